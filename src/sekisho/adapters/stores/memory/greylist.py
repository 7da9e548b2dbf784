"""Who was asked to come again, in memory."""

from collections.abc import Callable

from sekisho.core.policy.greylist import GreylistRules, GreylistSummary, GreylistTry, summarize
from sekisho.ports.greylist import KnownTry


class MemoryGreylist:
    """Implements `ports.greylist.Greylist`."""

    def __init__(self) -> None:
        self._known: dict[str, GreylistTry] = {}

    async def tried(self, key: str) -> GreylistTry | None:
        return self._known.get(key)

    async def change(self, key: str, step: Callable[[GreylistTry | None], GreylistTry]) -> GreylistTry:
        self._known[key] = step(self._known.get(key))
        return self._known[key]

    async def listing(self, limit: int, *, waiting: bool = False) -> list[KnownTry]:
        found = [
            KnownTry(key, tried)
            for key, tried in self._known.items()
            if not waiting or not tried.passed_at_us
        ]
        return sorted(found, key=lambda known: (-known.tried.last_at_us, known.key))[:limit]

    async def summary(self, since_us: int, now_us: int, rules: GreylistRules) -> GreylistSummary:
        return summarize(
            (tried for tried in self._known.values() if tried.first_at_us >= since_us), now_us, rules
        )

    async def never_came(self, after_us: int, before_us: int) -> int:
        return sum(
            not tried.passed_at_us and after_us <= tried.first_at_us < before_us
            for tried in self._known.values()
        )

    async def trim(self, before_us: int, keep: int) -> int:
        before = len(self._known)
        kept = [(key, tried) for key, tried in self._known.items() if tried.last_at_us >= before_us]
        kept.sort(key=lambda known: (not known[1].passed_at_us, -known[1].last_at_us))
        self._known = dict(kept[:keep])
        return before - len(self._known)
