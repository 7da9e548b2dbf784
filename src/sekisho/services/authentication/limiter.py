"""How many guesses a network has. The account itself is never locked: a stranger could then lock out its owner (STANDARDS A-11)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv6Address, ip_network

from sekisho.config.schema import LoginSettings
from sekisho.ports.counters import Counters
from sekisho.ports.stream import IpAddress

# So many checks of one network may run at once; by so many may guesses sent at the same moment exceed the limit.
CHECKS_PER_NETWORK = 8
FAMILIAR_SECONDS = 30 * 86_400


def network_of(client: IpAddress) -> str:
    """The /24 or /64 that an address stands for; an IPv4-mapped one counts as IPv4."""
    if isinstance(client, IPv6Address) and client.ipv4_mapped:
        client = client.ipv4_mapped
    return str(ip_network((client, 64 if client.version == 6 else 24), strict=False))


class LoginLimiter:
    """Failed logins per network, and per account and network, over all workers.

    A network from which the account logged in before is familiar to it: strangers next door (the same NAT) who use up
    the network's guesses do not keep the owner out, only guesses at that very account do.
    """

    def __init__(self, counters: Counters, settings: LoginSettings) -> None:
        self._counters = counters
        self._settings = settings
        self._gates: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def turn(self, network: str) -> AsyncIterator[None]:
        """Wait until fewer than CHECKS_PER_NETWORK logins of this network are being checked by this worker."""
        gate, users = self._gates.get(network) or (asyncio.Semaphore(CHECKS_PER_NETWORK), 0)
        self._gates[network] = gate, users + 1
        try:
            async with gate:
                yield
        finally:
            gate, users = self._gates.pop(network)
            if users > 1:
                self._gates[network] = gate, users - 1

    async def is_limited(self, network: str, name: str) -> bool:
        """Has this network used up its guesses, in all or at this name (canonical, or as typed if it is no address)?"""
        window = self._settings.window_seconds
        if await self._counters.total(_pair_key(network, name), window) >= self._settings.failures_per_account_and_network:
            return True
        if await self._counters.total(_network_key(network), window) < self._settings.failures_per_network:
            return False
        return await self._counters.total(_familiar_key(network, name), FAMILIAR_SECONDS) == 0

    async def count_failure(self, network: str, name: str) -> None:
        window = self._settings.window_seconds
        await self._counters.add(_pair_key(network, name), 1, window)
        await self._counters.add(_network_key(network), 1, window)

    async def count_success(self, network: str, name: str) -> None:
        """Forget the account's failures from there, and remember that it knows this network."""
        if await self._counters.total(_pair_key(network, name), self._settings.window_seconds):
            await self._counters.clear(_pair_key(network, name))
        if not await self._counters.total(_familiar_key(network, name), FAMILIAR_SECONDS // 2):
            await self._counters.add(_familiar_key(network, name), 1, FAMILIAR_SECONDS)


def _network_key(network: str) -> str:
    return f"login:{network}"


def _pair_key(network: str, name: str) -> str:
    return f"login:{network}:{_short(name)}"


def _familiar_key(network: str, name: str) -> str:
    return f"familiar:{network}:{_short(name)}"


def _short(name: str) -> str:
    """A bounded, harmless stand-in for what a client typed."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=12).hexdigest()
