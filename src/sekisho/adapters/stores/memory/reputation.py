"""Experience with senders, in memory."""

from collections.abc import Iterable, Mapping, Sequence

from sekisho.core.policy.reputation import FORGOTTEN, NOTHING, History, ReputationRules, joined, standing
from sekisho.ports.clock import Clock
from sekisho.ports.reputation import Expected, Known


class MemoryReputation:
    """Implements `ports.reputation.Reputation`."""

    def __init__(self, clock: Clock, rules: ReputationRules | None = None) -> None:
        self._clock, self._rules = clock, rules or ReputationRules()
        self._histories: dict[str, History] = {}
        self._expected: dict[tuple[int, str], Expected] = {}

    def use(self, rules: ReputationRules) -> None:
        self._rules = rules

    async def histories(self, keys: Sequence[str]) -> Mapping[str, History]:
        return {key: self._histories[key] for key in keys if key in self._histories}

    def learn(self, news: Iterable[Known]) -> None:
        for known in news:
            old = self._histories.get(known.key, NOTHING)
            self._histories[known.key] = joined(old, known.history, self._rules.half_life_us)

    async def flush(self) -> None:
        pass

    async def listing(self, prefix: str, limit: int) -> list[Known]:
        found = [Known(key, history) for key, history in self._histories.items() if key.startswith(prefix)]
        return sorted(found, key=lambda known: (-known.history.at_us, known.key))[:limit]

    async def forget(self, key: str) -> bool:
        return self._histories.pop(key, None) is not None

    async def trim(self, keep: int) -> int:
        before = len(self._histories)
        weights = {key: self._weight(key, history) for key, history in self._histories.items()}
        kept = sorted(
            (key for key, weight in weights.items() if weight >= FORGOTTEN), key=lambda key: -weights[key]
        )[:keep]
        self._histories = {key: self._histories[key] for key in kept}
        return before - len(kept)

    def _weight(self, key: str, history: History) -> float:
        return standing(key, history, self._clock.now_us(), self._rules.half_life_us).weight

    async def expect(self, expected: Expected) -> None:
        self._expected[expected.account_id, expected.sender] = expected

    async def expected(self) -> Sequence[Expected]:
        now_us = self._clock.now_us()
        return [expected for expected in self._expected.values() if expected.until_us > now_us]
