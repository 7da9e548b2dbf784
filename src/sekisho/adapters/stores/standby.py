"""Counters and bans that go on in memory while their store cannot be written: a full disk neither locks
anybody out nor lets anybody guess.

Each worker counts for itself then, on top of what is stored: a guesser has at most so many times the tries as
there are workers.
"""

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from sekisho.adapters.stores import rules
from sekisho.ports.bans import ANYBODY, Ban, Bans
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.counters import Counters

MOST_KEYS = 50_000
MOST_BANS = 1_000

Row = tuple[int, int, int]  # rules.window_added


class StandbyCounters:
    """Implements `ports.counters.Counters` over another one."""

    def __init__(self, store: Counters, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._here: OrderedDict[str, dict[int, Row]] = OrderedDict()  # key → seconds of a window → row

    async def add(self, key: str, amount: int, window_seconds: int) -> int:
        try:
            stored = await self._store.add(key, amount, window_seconds)
        except StoreUnavailable:
            self._add_here(key, amount, window_seconds)
            stored = await self._store.total(key, window_seconds)
        return stored + self._total_here(key, window_seconds)

    def _add_here(self, key: str, amount: int, window_seconds: int) -> None:
        rows = self._here.setdefault(key, {})
        rows[window_seconds] = rules.window_added(
            self._clock.now_us(), window_seconds, rows.get(window_seconds), amount
        )
        self._here.move_to_end(key)
        if len(self._here) > MOST_KEYS:
            self._here.popitem(last=False)

    async def total(self, key: str, window_seconds: int) -> int:
        return await self._store.total(key, window_seconds) + self._total_here(key, window_seconds)

    def _total_here(self, key: str, window_seconds: int) -> int:
        row = self._here.get(key, {}).get(window_seconds)
        return rules.window_total(self._clock.now_us(), window_seconds, *row) if row else 0

    async def clear(self, key: str) -> None:
        """What cannot be forgotten now counts on: who is forgiven too late waits, who is forgiven too early
        guesses."""
        self._here.pop(key, None)
        try:
            await self._store.clear(key)
        except StoreUnavailable:
            return

    async def clear_below(self, prefix: str) -> None:
        for key in [key for key in self._here if key.startswith(prefix)]:
            del self._here[key]
        await self._store.clear_below(prefix)


class StandbyBans:
    """Implements `ports.bans.Bans` over another one."""

    def __init__(self, store: Bans, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._here: dict[tuple[str, str], tuple[IPv4Network | IPv6Network, Ban]] = {}

    async def banning(self, client: IPv4Network | IPv6Network, account: str) -> list[Ban]:
        stored = await self._store.banning(client, account)
        if not self._here:
            return stored
        return stored + [
            ban
            for network, ban in self._standing()
            if ban.account in (ANYBODY, account) and _covers(network, client)
        ]

    def _standing(self) -> list[tuple[IPv4Network | IPv6Network, Ban]]:
        now_us = self._clock.now_us()
        self._here = {key: held for key, held in self._here.items() if held[1].is_on(now_us)}
        return list(self._here.values())

    async def put(self, ban: Ban) -> None:
        self._here.pop((ban.network, ban.account), None)
        try:
            await self._store.put(ban)
        except StoreUnavailable:
            if ban.by != "limiter":
                raise  # an operator is to know
            if len(self._standing()) >= MOST_BANS:
                del self._here[next(iter(self._here))]
            self._here[ban.network, ban.account] = ip_network(ban.network), ban

    async def listing(self) -> list[Ban]:
        return [ban for _, ban in self._standing()] + await self._store.listing()

    async def lift(self, bans: Sequence[Ban]) -> None:
        for ban in bans:
            self._here.pop((ban.network, ban.account), None)
        await self._store.lift(bans)


def _covers(network: IPv4Network | IPv6Network, client: IPv4Network | IPv6Network) -> bool:
    return network.version == client.version and client.network_address in network
