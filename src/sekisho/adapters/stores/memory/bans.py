"""Banned networks, in memory."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from sekisho.ports.bans import ANYBODY, Ban
from sekisho.ports.clock import Clock


class MemoryBans:
    """Implements `ports.bans.Bans`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bans: dict[tuple[str, str], Ban] = {}

    async def banning(self, client: IPv4Network | IPv6Network, account: str) -> list[Ban]:
        now_us = self._clock.now_us()
        return [
            ban
            for ban in self._bans.values()
            if ban.is_on(now_us) and ban.account in (ANYBODY, account) and _meets(ban.network, client)
        ]

    async def put(self, ban: Ban) -> None:
        now_us = self._clock.now_us()
        self._bans = {key: kept for key, kept in self._bans.items() if kept.is_on(now_us)}
        self._bans[ban.network, ban.account] = ban

    async def listing(self) -> list[Ban]:
        now_us = self._clock.now_us()
        return sorted(
            (ban for ban in self._bans.values() if ban.is_on(now_us)),
            key=lambda ban: (-ban.since_us, ban.network, ban.account),
        )

    async def lift(self, bans: Sequence[Ban]) -> None:
        for ban in bans:
            self._bans.pop((ban.network, ban.account), None)


def _meets(network: str, client: IPv4Network | IPv6Network) -> bool:
    banned = ip_network(network)
    return banned.version == client.version and client.network_address in banned
