"""The ledger in memory, for tests and for the conformance suite."""

from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry
from sekisho.ports.ledger import LedgerEntry, LedgerSpan, is_about, normal_key

_DAY_US = 86_400_000_000


class MemoryLedger:
    """Implements `ports.ledger.Ledger` and `Recorder`."""

    def __init__(self, clock: Clock, keep_days: int = 90) -> None:
        self._clock, self._keep_days = clock, keep_days
        self._entries: list[LedgerEntry] = []

    def keep(self, at_us: int, entry: Entry) -> None:
        self._entries.append(
            LedgerEntry(
                at_us=at_us, kind=entry.kind, id=entry.id, fields=dict(entry.fields), about=entry.about
            )
        )

    async def find(self, key: str, *, since_us: int = 0, limit: int = 200) -> list[LedgerEntry]:
        normal = normal_key(key)
        return [
            entry
            for entry in reversed(self._entries)
            if normal and entry.at_us >= since_us and is_about(entry, normal)
        ][:limit]

    async def span(self) -> LedgerSpan:
        return LedgerSpan(len(self._entries), min((entry.at_us for entry in self._entries), default=0), 0)

    async def settle(self) -> None:
        pass

    def trim(self) -> bool:
        oldest_us = self._clock.now_us() - self._keep_days * _DAY_US
        self._entries = [entry for entry in self._entries if entry.at_us >= oldest_us]
        return False

    def close(self) -> None:
        pass
