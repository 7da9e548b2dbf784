"""How safe the way to a host must be, was, and what is remembered and counted of it. What is asked of a
host is decided in core/tlspolicy; here the world is asked."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from msgspec import structs

from sekisho.core.policy.mode import Mode
from sekisho.core.policy.retry import SECOND_US
from sekisho.core.terms.dns import Answer, DnsStatus, Resolver, Tlsa
from sekisho.core.terms.reply import Reply
from sekisho.core.tlspolicy.demand import (
    HostFacts,
    HostUnusable,
    TlsDemand,
    demand_of,
    for_known_host,
    for_requiretls,
    lack_of,
    lacks_requiretls,
    tlsa_domains,
)
from sekisho.core.tlspolicy.sts import StsPolicy
from sekisho.core.tlspolicy.tlsrpt import FailureKey
from sekisho.core.tlspolicy.wishes import TlsWishes
from sekisho.ports.clock import Clock
from sekisho.ports.hoptls import HopSession, HopSessions, KnownHost, KnownHosts
from sekisho.ports.journal import Entry, Journal
from sekisho.services.relay.session import HostFailed, RelaySession, Target
from sekisho.services.relay.stsdesk import StsFinding

# After that what a host must have is asked anew: a session may be kept busy for longer than a policy lasts.
JUDGED_SECONDS = 60.0
# Of the results of RFC 8460 §4.3, those that speak of the host, and not of a bad moment.
_FINAL = frozenset(
    ("starttls-not-supported", "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted")
)
KNOWN_SECONDS = 30 * 86_400  # so long a host is expected to have TLS again


class PolicyFinder(Protocol):
    """MTA-STS, as `services.relay.stsdesk` knows it."""

    async def find(self, domain: str) -> StsFinding: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HopPorts:
    """What is kept of the TLS of other hosts; None: nothing is."""

    policies: PolicyFinder | None = None
    hosts: KnownHosts | None = None
    sessions: HopSessions | None = None


NOTHING_KEPT = HopPorts()


@dataclass(frozen=True, slots=True, kw_only=True)
class HopRules:
    """`patience_us`: how old a message may become while it waits for a known host to have TLS again."""

    dane: bool = True
    mta_sts: bool = True
    known_hosts: Mode = "off"
    patience_us: int = 86_400 * SECOND_US


@dataclass(frozen=True, slots=True, kw_only=True)
class HopMessage:
    """What of the message matters here."""

    id: str
    wishes: TlsWishes
    arrived_at_us: int


class HopSecurity:
    """Of one attempt. Each host is judged once."""

    def __init__(
        self,
        message: HopMessage,
        rules: HopRules,
        ports: HopPorts,
        resolver: Resolver,
        world: tuple[Clock, Journal],
    ) -> None:
        self._message, self._rules, self._ports = message, rules, ports
        self._resolver = resolver
        self._clock, self._journal = world
        self._judged: dict[str, TlsDemand | HostUnusable] = {}
        self._policies: dict[str, HopSession] = {}  # by host: under what its sessions are counted
        self._finding: StsFinding | None = None
        self._known: dict[str, KnownHost] = {}
        self._failed_tests: set[str] = set()  # hosts: what came after counts no more
        self.demand: TlsDemand | None = None  # the last one that was given

    def fits(self, session: RelaySession) -> bool:
        """May an idle session to the same next hop carry this message?"""
        wishes = self._message.wishes
        if wishes.waives:
            return True
        if wishes.requires and not (session.demand.is_authenticated and "REQUIRETLS" in session.extensions):
            return False
        is_recent = self._clock.monotonic() - session.judged_at < JUDGED_SECONDS
        return is_recent and session.demand.source != "waived"

    def lacks_requiretls(self, session: RelaySession) -> Reply | None:
        """Why a message with REQUIRETLS may not go over this session."""
        if not self._message.wishes.requires:
            return None
        return lacks_requiretls(session.demand, offered="REQUIRETLS" in session.extensions)

    def satisfies(self, demand: TlsDemand, session: RelaySession) -> bool:
        """May an idle session that was opened for another domain?"""
        if demand.tries_pkix and not session.seen.verified:
            return session.demand == demand
        return lack_of(demand, session.seen, self._clock.now_us()) is None

    async def judge(self, facts: HostFacts, port: int) -> TlsDemand | HostUnusable:
        """What this host must have. Raises StoreUnavailable: then nothing is known."""
        found = self._judged.get(facts.host)
        if found is None:
            found = self._judged[facts.host] = await self._judge(facts, port)
            if isinstance(found, HostUnusable):
                self._count(facts.host, found.failure, found.reply.text)
        self.demand = found if isinstance(found, TlsDemand) else self.demand
        return found

    async def _judge(self, facts: HostFacts, port: int) -> TlsDemand | HostUnusable:
        wishes, policy = self._message.wishes, None
        if wishes.waives:
            return demand_of(facts, None, tls_optional=True)
        asked = await self._with_tlsa(facts, port) if self._rules.dane else replace(facts, mx_secure=False)
        found = demand_of(asked, None)
        if isinstance(found, TlsDemand) and found.source == "none":
            policy = await self._policy(facts.next_hop)
            found = demand_of(asked, policy)
            if isinstance(found, TlsDemand) and self._finding is not None and self._finding.is_kept:
                found = replace(found, because=f"{found.because} (kept from before; nobody confirms it now)")
        self._policies[facts.host] = _counted_as(found, asked, policy)
        if isinstance(found, TlsDemand) and found.tries_pkix and policy and not policy.names(facts.host):
            # RFC 8461 §5: what testing finds is reported, and nothing else.
            self._count(facts.host, "validation-failure", "the policy does not name this host")
            self._failed_tests.add(facts.host)
            found = replace(found, tries_pkix=False)
        if wishes.requires and isinstance(found, TlsDemand):
            needed = for_requiretls(found, facts, policy)
            if isinstance(needed, HostUnusable) and self._finding is not None and self._finding.is_unknown:
                # What cannot be known is no reason to give a message back.
                text = f"REQUIRETLS: whether {facts.next_hop} has an MTA-STS policy cannot be found out now"
                return replace(needed, reply=Reply.of(451, "4.7.5", text, cause="requiretls"))
            return needed
        if isinstance(found, TlsDemand) and not found.needs_tls:
            return await self._remembering(found, facts.host)
        return found

    async def _with_tlsa(self, facts: HostFacts, port: int) -> HostFacts:
        answers: list[Answer] = []
        for base in tlsa_domains(facts):
            answer = await self._resolver.resolve(f"_{port}._tcp.{base}", "TLSA")
            answers.append(answer)
            # RFC 7672 §2.2.2: the name behind an alias goes before the alias, if its records are secure.
            if answer.is_unknown or (answer.secure and answer.status is DnsStatus.NOERROR):
                break
        return replace(facts, tlsa=tuple(answers))

    async def _policy(self, domain: str) -> StsPolicy | None:
        if self._ports.policies is None or not self._rules.mta_sts or not domain:
            return None
        if self._finding is None:
            finding = self._finding = await self._ports.policies.find(domain)
            if finding.failure and self._ports.sessions is not None:
                failure = FailureKey(result_type=finding.failure, reason=finding.reason[:200])
                self._ports.sessions.count(
                    HopSession(policy_type="sts", policy_domain=domain, failure=failure)
                )
        return self._finding.policy

    async def _remembering(self, demand: TlsDemand, host: str) -> TlsDemand:
        """A host that had TLS lately is expected to have it."""
        if self._rules.known_hosts == "off" or self._ports.hosts is None:
            return demand
        known = await self._ports.hosts.find(host)
        if known is None or known.last_us <= self._clock.now_us() - KNOWN_SECONDS * SECOND_US:
            return demand
        self._known[host] = known
        return for_known_host(demand, _day(known.last_us)) if self._rules.known_hosts == "enforce" else demand

    async def opened(self, session: RelaySession) -> None:
        """Counts and remembers it; raises StoreUnavailable."""
        host = session.target.host
        if host not in self._failed_tests:
            self._count(host)
        if self._rules.known_hosts == "off" or self._ports.hosts is None:
            return
        if session.tls_version:
            await self._ports.hosts.note(host, session.tls_version, self._clock.now_us())
        elif host in self._known:
            self._lapsed(host, str(session.target))

    def failed(self, target: Target, demand: TlsDemand, failure: HostFailed) -> Reply:
        """Counts it, and says what holds: the failure's reply, or after too long a wait the last word."""
        if failure.failure:
            self._count(target.host, failure.failure, failure.reply.text, str(target.endpoint.address))
        if self._message.wishes.requires and failure.failure in _FINAL:
            # RFC 8689 §4.2.1: what such a host cannot do is a reason to give the message back.
            return Reply.of(550, "5.7.10", f"REQUIRETLS: {failure.reply.text}", cause="requiretls")
        if demand.source != "known-host" or not failure.failure:
            return failure.reply
        self._lapsed(target.host, str(target))
        if self._clock.now_us() - self._message.arrived_at_us < self._rules.patience_us:
            return failure.reply
        text = f"{failure.reply.text}; the message has waited long enough for that"
        return Reply.of(550, "5.7.5", text, cause="known-tls")

    def tested(self, target: Target, failure: str, why: str) -> None:
        """What was only tried, and went wrong: MTA-STS in testing (RFC 8461 §5)."""
        self._failed_tests.add(target.host)
        self._count(target.host, failure, why, str(target.endpoint.address))

    def _lapsed(self, host: str, remote: str) -> None:
        known = self._known[host]
        fields = {"remote": remote, "last_seen": _day(known.last_us), "version": known.version}
        self._journal.record(Entry("relay.tls_lapsed", self._message.id, fields))

    def _count(self, host: str, failure: str = "", why: str = "", address: str = "") -> None:
        base = self._policies.get(host)
        if base is None or self._ports.sessions is None:
            return
        key = FailureKey(
            result_type=failure, receiving_mx_hostname=host, receiving_ip=address, reason=why[:200]
        )
        self._ports.sessions.count(structs.replace(base, failure=key) if failure else base)


def _counted_as(found: TlsDemand | HostUnusable, facts: HostFacts, policy: StsPolicy | None) -> HopSession:
    """RFC 8460 §4.2: which policy applies."""
    records = [record for answer in facts.tlsa for record in answer.records if isinstance(record, Tlsa)]
    is_dane = found.source == "dane" if isinstance(found, TlsDemand) else found.failure == "dnssec-invalid"
    if is_dane:
        strings = tuple(
            f"{usage} {selector} {matching} {data.hex()}" for usage, selector, matching, data in records
        )
        return HopSession(
            policy_type="tlsa", policy_domain=facts.next_hop, policy_string=strings, mx_host=(facts.host,)
        )
    if policy is not None and policy.mode != "none":
        return HopSession(
            policy_type="sts",
            policy_domain=facts.next_hop,
            policy_string=policy.lines,
            mx_host=policy.patterns,
        )
    return HopSession(policy_type="no-policy-found", policy_domain=facts.next_hop)


def _day(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // SECOND_US, UTC).strftime("%Y-%m-%d")
