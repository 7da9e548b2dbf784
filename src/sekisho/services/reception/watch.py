"""The watch at the door: what a worker remembers of clients from one connection to the next."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.greeting import HeloFinding, hello_address
from sekisho.core.terms.dns import Resolver
from sekisho.ports.clock import Clock
from sekisho.ports.counters import Rates
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics
from sekisho.ports.names import Names
from sekisho.ports.stream import IpAddress, Stream
from sekisho.probes.helo import probe_helo
from sekisho.probes.kept import KeptFindings
from sekisho.probes.rate import RateProbe

MOST_TOLD = 1000
SAME_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTools:
    """`budgeted` gives a resolver whose patience is that of a client before its greeting. `pause` waits so
    many seconds."""

    rates: Rates
    probe: RateProbe
    directory: Names
    budgeted: Callable[[], Resolver]
    clock: Clock
    journal: Journal
    metrics: Metrics
    kept: KeptFindings
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


class DoorWatch:
    """One per worker. Clients in `unchecked` are not watched."""

    def __init__(
        self,
        hostname: str,
        rules: DoorRules,
        unchecked: Sequence[IPv4Network | IPv6Network],
        tools: WatchTools,
        greet_delay: float = 0.0,
    ) -> None:
        self.hostname, self.rules, self.tools, self.greet_delay = hostname, rules, tools, greet_delay
        self.slowed = 0
        self._unchecked = tuple(unchecked)
        self._foreign: dict[str, float] = {}  # names in EHLO that are not ours: until when that is believed
        self._told: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def watches(self, client: IpAddress) -> bool:
        return not any(client in network for network in self._unchecked)

    async def look_at_hello(self, name: str, stream: Stream) -> HeloFinding:
        """A name that was a moment ago none of ours is not looked up again."""
        now = self.tools.clock.monotonic()
        if self._foreign.get(name, 0.0) > now:
            return HeloFinding(name)
        own = (self.hostname, stream.local.address)
        found = await probe_helo(self.tools.budgeted(), self.tools.directory, name, stream.peer.address, own)
        if not found.forgery and hello_address(name) is None:
            if len(self._foreign) >= MOST_TOLD:
                self._foreign.clear()
            self._foreign[name] = now + SAME_SECONDS
        return found

    def told(self, rule: str, network: str) -> str:
        """The id that this network was told a moment ago, "" if it was not: a flood must not flood the
        log."""
        id_, until = self._told.get((rule, network), ("", 0.0))
        return id_ if self.tools.clock.monotonic() < until else ""

    def tell(self, rule: str, network: str, id_: str) -> None:
        self._told[rule, network] = (id_, self.tools.clock.monotonic() + SAME_SECONDS)
        if len(self._told) > MOST_TOLD:
            self._told.popitem(last=False)
