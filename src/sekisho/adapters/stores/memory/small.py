"""Leases and counters of the memory store."""

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.memory.spool import MemorySpool
from sekisho.ports.clock import Clock
from sekisho.ports.leases import Owner

CONNECTION_LEASES = "pop3:"


class MemoryLeases:
    def __init__(self, clock: Clock, spool: MemorySpool) -> None:
        self._clock, self._spool = clock, spool
        self._epochs: dict[str, int] = {}
        self._held: dict[str, tuple[Owner, int]] = {}  # name → (owner, until µs)

    async def acquire(self, name: str, owner: Owner, ttl_seconds: float) -> int | None:
        now_us = self._clock.now_us()
        until_us = now_us + int(ttl_seconds * 1_000_000)
        held = self._held.get(name)
        if held and held[1] > now_us:
            if held[0] != owner or name.startswith(CONNECTION_LEASES):
                return None
            self._held[name] = (owner, until_us)
            return self._epochs[name]
        self._held[name] = (owner, until_us)
        self._epochs[name] = self._epochs.get(name, 0) + 1
        return self._epochs[name]

    async def release(self, name: str, owner: Owner, epoch: int) -> None:
        held = self._held.get(name)
        if held and held[0] == owner and self._epochs[name] == epoch:
            del self._held[name]

    async def free_owner(self, owner: Owner) -> None:
        self._held = {name: held for name, held in self._held.items() if held[0] != owner}
        self._spool.free(lambda other: other == owner)

    async def free_host(self, host: str) -> None:
        self._held = {name: held for name, held in self._held.items() if held[0].host != host}
        self._spool.free(lambda other: other.host == host)


class MemoryCounters:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[tuple[str, int], tuple[int, int, int]] = {}

    async def add(self, key: str, amount: int, window_seconds: int) -> int:
        now_us = self._clock.now_us()
        row = rules.window_added(now_us, window_seconds, self._rows.get((key, window_seconds)), amount)
        self._rows[key, window_seconds] = row
        return rules.window_total(now_us, window_seconds, *row)

    async def total(self, key: str, window_seconds: int) -> int:
        row = self._rows.get((key, window_seconds))
        return rules.window_total(self._clock.now_us(), window_seconds, *row) if row else 0

    async def clear(self, key: str) -> None:
        self._rows = {k: row for k, row in self._rows.items() if k[0] != key}

    async def clear_below(self, prefix: str) -> None:
        self._rows = {k: row for k, row in self._rows.items() if not k[0].startswith(prefix)}
