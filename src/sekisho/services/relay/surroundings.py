"""What every attempt of one relay shares."""

from dataclasses import dataclass

from sekisho.config.schema import RelaySettings
from sekisho.core.terms.dns import Resolver
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import Dialer, Endpoint, Stream
from sekisho.services.relay.pool import Pool
from sekisho.services.relay.session import HostFailed, RelaySession, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPorts:
    """The world as the relay needs it."""

    resolver: Resolver
    dialer: Dialer
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics


class RelaySurroundings:
    def __init__(
        self,
        hostname: str,
        settings: RelaySettings,
        ports: RelayPorts,
        own_endpoints: frozenset[Endpoint],
        pool: Pool,
    ) -> None:
        self.hostname = hostname
        self.settings = settings
        self.resolver = ports.resolver
        self.clock = ports.clock
        self.dice = ports.dice
        self.journal = ports.journal
        self.metrics = ports.metrics
        self.pool = pool
        self._dialer = ports.dialer
        self._own_endpoints = own_endpoints

    def is_own_endpoint(self, endpoint: Endpoint) -> bool:
        """Do we listen exactly there?"""
        return endpoint in self._own_endpoints

    def _ended_here(self, stream: Stream) -> bool:
        """A connection from an address to itself, at a port where we listen on every address: that is us."""
        return stream.peer.address == stream.local.address and any(
            own.port == stream.peer.port and own.address.is_unspecified for own in self._own_endpoints
        )

    async def open_session(self, target: Target, *, message_id: str, use_tls: bool) -> RelaySession:
        """Raises `HostFailed`, `IsOurselves`."""
        try:
            session = await RelaySession.open(
                target,
                ehlo_name=self.hostname,
                settings=self.settings,
                dialer=self._dialer,
                use_tls=use_tls,
                is_ourselves=self._ended_here,
            )
        except HostFailed as failure:
            self.journal.record(
                Entry("relay.host_failed", message_id, {"remote": str(target), "reply": str(failure.reply)})
            )
            raise
        refused = {"starttls": str(session.tls_refused)} if session.tls_refused is not None else {}
        self.journal.record(
            Entry(
                "relay.connected", message_id, {"remote": str(target), "tls": session.tls_version, **refused}
            )
        )
        return session
