"""What an operator does about banned networks: see, lift, add."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from msgspec import Struct

from sekisho.config.schema import LoginSettings
from sekisho.ports.bans import ANYBODY, Ban, Bans
from sekisho.ports.counters import Counters
from sekisho.services.authentication import tallies

Network = IPv4Network | IPv6Network


class TriesTally(Struct, frozen=True):
    """What is counted against one network now."""

    network: str
    failures: int
    unknown_names: int


@dataclass(frozen=True, slots=True)
class BanDesk:
    bans: Bans
    counters: Counters
    settings: LoginSettings

    async def about(self, network: Network | None, account: str | None = None) -> list[Ban]:
        """Bans of networks in it or around it (None: all), and of this account (None: all); the newest
        first."""
        found = await self.bans.listing()
        if network is not None:
            found = [ban for ban in found if overlap(ip_network(ban.network), network)]
        return [ban for ban in found if account is None or ban.account == account]

    async def tallies(self, network: Network) -> list[TriesTally]:
        """Of the /24 or /64, and of the wide network around it."""
        client, window = network.network_address, self.settings.window_seconds
        return [
            TriesTally(
                name,
                await self.counters.total(tallies.network_key(name), window),
                await self.counters.total(tallies.unknown_key(name), window),
            )
            for name in (tallies.network_of(client), tallies.wide_network_of(client))
        ]

    async def add(self, ban: Ban) -> None:
        await self.bans.put(ban)

    async def lift(self, bans: list[Ban]) -> None:
        """They have all their tries again, as if nothing had been."""
        await self.bans.lift(bans)
        for ban in bans:
            if ban.account == ANYBODY:
                await self.counters.clear_below(tallies.below(ban.network))
            else:
                await self.counters.clear(tallies.pair_key(ban.network, ban.account))
                await self.counters.clear(tallies.repeated_key(ban.network, ban.account))


def overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and (one.network_address in other or other.network_address in one)
