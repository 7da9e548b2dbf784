"""How many guesses a network has. The account itself is never locked: a stranger could then lock out its
owner (STANDARDS A-11).

What is used up becomes a ban: a row with a reason and an end. Counts that led to it are forgotten with it, so
that who comes back later has all tries again; but each further ban within a week lasts twice as long.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from msgspec import Struct

from sekisho.config.schema import LoginSettings
from sekisho.ports.bans import ANYBODY, Ban, BanReason, Bans
from sekisho.ports.clock import Clock
from sekisho.ports.counters import Counters, Recent
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.ledger import client_keys
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import IpAddress
from sekisho.services.authentication import tallies
from sekisho.services.authentication.hashing import Lane
from sekisho.services.authentication.newcomers import FIRST_TRIES, Lately

# So many checks of one network may run at once; by so many may guesses sent at the same moment exceed the
# limit.
CHECKS_PER_NETWORK = 8
FAMILIAR_SECONDS = 30 * 86_400
FAMILIAR_WEIGHT = 1000  # so much that it outlives the turn of the window
REPEATED_SECONDS = 7 * 86_400
FAMILIAR_FACTOR = (
    3  # tries at an account that a network has which it logged in from, as compared to a strange one
)
CROWDED_FACTOR = 5  # and how many times fewer a strange one has while many of them guess at it
WIDE_FACTOR = 10  # how many times fewer tries a network has while there is guessing from all around it
WIDE_END = 4  # so many times the wide limit ends all tries of strangers


@dataclass(frozen=True, slots=True, kw_only=True)
class LimiterTools:
    counters: Counters
    bans: Bans
    clock: Clock
    journal: Journal
    metrics: Metrics
    recent: Recent


class Leave(Struct, frozen=True):
    """May this network try to log in? `ban`: why not. `is_familiar`: the account logged in from there before.
    `is_newcomer`: the network hardly tried anything yet.

    `only_known`: guesses at the account used up the tries of a network that is familiar to it. A password
    whose outcome is remembered as good is no guess and still passes; anything else does not.
    """

    ban: Ban | None = None
    is_familiar: bool = False
    only_known: bool = False
    is_newcomer: bool = False

    @property
    def lane(self) -> Lane:
        return Lane.FAMILIAR if self.is_familiar else Lane.NEWCOMER if self.is_newcomer else Lane.STRANGE


class LoginLimiter:
    """Failed logins per network, per account and network, and from wider networks, over all workers.

    A network from which the account logged in before is familiar to it: strangers next door (the same NAT)
    who use up the network's guesses do not keep the owner out, nor do strangers elsewhere who guess at the
    account.
    """

    def __init__(self, tools: LimiterTools, settings: LoginSettings) -> None:
        self._tools, self._settings = tools, settings
        self._gates: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self._banning = asyncio.Lock()
        self._asked = Lately(tools.recent, "asked", settings.window_seconds)
        self._unanswered = Lately(tools.recent, "unanswered", settings.window_seconds)

    @asynccontextmanager
    async def turn(self, client: IpAddress) -> AsyncIterator[None]:
        """Wait until fewer than CHECKS_PER_NETWORK logins of the client's network are being checked by this
        worker."""
        network = tallies.network_of(client)
        gate, users = self._gates.get(network) or (asyncio.Semaphore(CHECKS_PER_NETWORK), 0)
        self._gates[network] = gate, users + 1
        try:
            async with gate:
                yield
        finally:
            gate, users = self._gates.pop(network)
            if users > 1:
                self._gates[network] = gate, users - 1

    async def leave(self, client: IpAddress, name: str) -> Leave:
        """`name`: canonical, or as typed if it is no address."""
        bans = await self._tools.bans.banning(tallies.host_of(client), tallies.plain(name))
        network = tallies.network_of(client)
        is_familiar = await self._is_familiar(network, name)
        is_newcomer = not is_familiar and self._asked.count(network) <= FIRST_TRIES
        only_known = False
        for ban in bans:
            if ban.reason == "operator" or not is_familiar:
                return Leave(ban, is_familiar)
            only_known = only_known or ban.account != ANYBODY
        return Leave(None, is_familiar, only_known, is_newcomer)

    async def _is_familiar(self, network: str, name: str) -> bool:
        return await self._tools.counters.total(tallies.familiar_key(network, name), FAMILIAR_SECONDS) > 0

    async def count_failure(self, client: IpAddress, name: str, *, is_known: bool) -> None:
        """`is_known`: there is such an account."""
        settings, window = self._settings, self._settings.window_seconds
        network, wide = tallies.network_of(client), tallies.wide_network_of(client)
        is_familiar = await self._is_familiar(network, name)
        is_first = not await self._tools.counters.total(tallies.pair_key(network, name), window)
        at_pair, at_network, unknown, around, at_account = await asyncio.gather(
            self._add(tallies.pair_key(network, name)),
            self._add(tallies.network_key(network)),
            self._add(tallies.unknown_key(network), int(is_first and not is_known)),
            self._add(tallies.network_key(wide), int(not is_familiar)),
            self._add(tallies.account_key(name), int(not is_familiar)),
        )
        fewer = WIDE_FACTOR if around >= settings.failures_per_wide_network else 1
        of_pair = settings.failures_per_account_and_network
        if is_familiar:
            of_pair *= FAMILIAR_FACTOR
        elif at_account >= settings.strange_failures_per_account:
            of_pair = max(1, of_pair // CROWDED_FACTOR)
        found: list[tuple[str, str, BanReason, int]] = []
        if at_pair >= of_pair:
            found.append((network, tallies.plain(name), "account", at_pair))
        if unknown >= max(1, settings.unknown_accounts_per_network // fewer):
            found.append((network, ANYBODY, "unknown-names", unknown))
        elif at_network >= max(1, settings.failures_per_network // fewer):
            found.append((network, ANYBODY, "guesses", at_network))
        if around >= settings.failures_per_wide_network * WIDE_END:
            found.append((wide, ANYBODY, "wide", around))
        for network_, account, reason, failures in found:
            await self._ban(client, network_, account, reason, failures)

    async def count_unanswered(self, client: IpAddress) -> None:
        """Its password could not be looked at, as too many waited: a flood lives by being many, and runs out
        of tries too."""
        settings, network = self._settings, tallies.network_of(client)
        tries = self._unanswered.count(network)
        around = self._unanswered.count(tallies.wide_network_of(client))
        fewer = WIDE_FACTOR if around >= settings.failures_per_wide_network else 1
        if tries >= max(1, settings.failures_per_network // fewer):
            await self._ban(client, network, ANYBODY, "guesses", tries)

    async def _add(self, key: str, amount: int = 1) -> int:
        window = self._settings.window_seconds
        return (
            await self._tools.counters.add(key, amount, window)
            if amount
            else await self._tools.counters.total(key, window)
        )

    async def _ban(
        self, client: IpAddress, network: str, account: str, reason: BanReason, failures: int
    ) -> None:
        tools, settings = self._tools, self._settings
        async with self._banning:
            standing = await tools.bans.banning(tallies.host_of(client), account)
            if any((ban.network, ban.account) == (network, account) for ban in standing):
                return  # a guess sent at the same moment was counted first
            times = await tools.counters.add(tallies.repeated_key(network, account), 1, REPEATED_SECONDS)
            seconds = min(settings.ban_seconds << min(times - 1, 30), settings.longest_ban_seconds)
            now_us = tools.clock.now_us()
            await tools.bans.put(
                Ban(
                    network=network,
                    account=account,
                    reason=reason,
                    since_us=now_us,
                    until_us=now_us + seconds * 1_000_000,
                    failures=failures,
                    times=times,
                )
            )
            for key in tallies.counted_for(network, account):
                await tools.counters.clear(key)
        tools.metrics.count("sekisho_login_bans_total", reason=reason)
        fields: dict[str, JournalValue] = {
            "network": network,
            "account": account,
            "reason": reason,
            "failures": failures,
            "seconds": seconds,
            "times": times,
            "client": str(client),
        }
        about = (network, *client_keys(client), *([account] if account else []))
        tools.journal.record(Entry("authentication.banned", "", fields, about))

    async def count_success(self, client: IpAddress, name: str) -> None:
        """Forget the account's failures from there, and remember that it knows this network."""
        counters, network = self._tools.counters, tallies.network_of(client)
        if await counters.total(tallies.pair_key(network, name), self._settings.window_seconds):
            await counters.clear(tallies.pair_key(network, name))
        if await counters.total(tallies.familiar_key(network, name), FAMILIAR_SECONDS) < FAMILIAR_WEIGHT // 2:
            await counters.add(tallies.familiar_key(network, name), FAMILIAR_WEIGHT, FAMILIAR_SECONDS)
