"""What every attempt of one relay shares."""

from dataclasses import dataclass

from sekisho.config.schema import RelaySettings
from sekisho.core.policy.retry import SECOND_US
from sekisho.core.terms.dns import Resolver
from sekisho.core.tlspolicy.demand import TlsDemand
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import Dialer, Endpoint, Stream
from sekisho.services.relay.hop import NOTHING_KEPT, HopMessage, HopPorts, HopRules, HopSecurity
from sekisho.services.relay.pool import Pool
from sekisho.services.relay.session import HostFailed, RelaySession, SessionTerms, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPorts:
    """The world as the relay needs it."""

    resolver: Resolver
    dialer: Dialer
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    hop: HopPorts = NOTHING_KEPT


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
        self._hop = ports.hop
        self._hop_rules = hop_rules(settings)
        self._own_endpoints = own_endpoints

    def is_own_endpoint(self, endpoint: Endpoint) -> bool:
        """Do we listen exactly there?"""
        return endpoint in self._own_endpoints

    def _ended_here(self, stream: Stream) -> bool:
        """A connection from an address to itself, at a port where we listen on every address: that is us."""
        return stream.peer.address == stream.local.address and any(
            own.port == stream.peer.port and own.address.is_unspecified for own in self._own_endpoints
        )

    def security(self, message: HopMessage) -> HopSecurity:
        """For one attempt."""
        return HopSecurity(message, self._hop_rules, self._hop, self.resolver, (self.clock, self.journal))

    async def open_session(
        self, target: Target, *, message_id: str, demand: TlsDemand, use_tls: bool = True
    ) -> RelaySession:
        """Raises `HostFailed`, `IsOurselves`."""
        asked: dict[str, JournalValue] = {"policy": demand.source, "because": demand.because}
        try:
            session = await RelaySession.open(
                target,
                ehlo_name=self.hostname,
                settings=self.settings,
                dialer=self._dialer,
                terms=SessionTerms(demand=demand, clock=self.clock, use_tls=use_tls),
                is_ourselves=self._ended_here,
            )
        except HostFailed as failure:
            found: dict[str, JournalValue] = {"remote": str(target), "reply": str(failure.reply), **asked}
            if failure.failure:
                found |= {"result": failure.failure, "error": str(failure.__cause__ or "")}
            self.journal.record(Entry("relay.host_failed", message_id, found))
            raise
        self.metrics.count("sekisho_relay_sessions_total", policy=demand.source, proof=session.proof)
        fields: dict[str, JournalValue] = {"remote": str(target), "tls": session.tls_version, **asked}
        if session.tls_refused is not None:
            fields["starttls"] = str(session.tls_refused)
        self.journal.record(Entry("relay.connected", message_id, fields | {"proof": session.proof}))
        return session


def hop_rules(settings: RelaySettings) -> HopRules:
    return HopRules(
        dane=settings.tls.dane,
        mta_sts=settings.tls.mta_sts,
        known_hosts=settings.tls.known_hosts,
        patience_us=int(settings.tls.known_hosts_wait_seconds * SECOND_US),
    )
