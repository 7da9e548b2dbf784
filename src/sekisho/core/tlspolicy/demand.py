"""What TLS one mail host must have, from what DNS, MTA-STS and the message say. The rule of precedence stands
here and nowhere else.

TLS-Required: No      → as if nobody had said anything (RFC 8689 §4.1 and §5)
DANE                  → decides alone where usable TLSA records are; MTA-STS never overrides it (RFC 8461 §2)
MTA-STS, enforce      → authenticated, and only hosts that the policy names
REQUIRETLS            → authenticated by one of the two, or by PKIX where DNSSEC vouches for the host's name;
                        and the host must offer it (RFC 8689 §4.2.1)
known host            → one that had TLS lately must have it again, if the operator says so
nothing               → whatever the host offers (RFC 7435 §3)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sekisho.core.terms.dns import Answer, DnsStatus, Tlsa
from sekisho.core.terms.reply import Cause, Reply
from sekisho.core.tlspolicy.dane import match_chain, usable_records
from sekisho.core.tlspolicy.sts import StsPolicy

# opportunistic: TLS if offered, plaintext else. encrypted: TLS, whoever it is. dane and pkix: TLS, and the
# host must prove who it is.
Level = Literal["opportunistic", "encrypted", "dane", "pkix"]
# waived: the message asks for no guarantees. dnssec: REQUIRETLS, and the name of the host is validated.
Source = Literal["none", "waived", "dane", "mta-sts", "mta-sts-testing", "dnssec", "known-host"]
# How a session was protected in the end.
Proof = Literal["dane", "pkix", "encrypted", "clear"]
_CAUSES: dict[Source, Cause] = {
    "dane": "dane",
    "mta-sts": "mta-sts",
    "dnssec": "requiretls",
    "known-host": "known-tls",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsDemand:
    """`server_name`: for SNI; `names`: by which the host may call itself; `because`: one sentence for the
    journal.

    `tries_pkix`: MTA-STS in testing: prove it if possible, report if not, deliver in any case (RFC 8461 §5).
    """

    level: Level
    source: Source
    server_name: str
    because: str
    names: tuple[str, ...] = ()
    records: tuple[Tlsa, ...] = ()
    tries_pkix: bool = False

    @property
    def is_authenticated(self) -> bool:
        return self.level in ("dane", "pkix")

    @property
    def needs_tls(self) -> bool:
        return self.level != "opportunistic"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUnusable:
    """This host may not be used now: try others, or later. Never a reason to fail for good, and never one to
    use less TLS."""

    reply: Reply
    failure: str  # the result-type of RFC 8460 §4.3


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What DNS said. `mx_secure`: the answer that named the host was validated; `addresses`: of A and AAAA,
    `tlsa`: by base domain, in the order in which they were asked; empty where RFC 7672 §2.2 says not to
    ask."""

    host: str
    next_hop: str
    mx_secure: bool
    addresses: tuple[Answer, ...]
    tlsa: tuple[Answer, ...] = ()


def tlsa_domains(facts: HostFacts) -> tuple[str, ...]:
    """The TLSA base domains to ask, in this order; none where DANE does not apply (RFC 7672 §2.2.1 to
    §2.2.3)."""
    found = [answer for answer in facts.addresses if answer.status is DnsStatus.NOERROR]
    # RFC 7672 §2.2.2: with insecure address records the TLSA record is not asked for: broken servers fail
    # such questions.
    if not facts.mx_secure or not found or not all(answer.secure for answer in found):
        return ()
    expanded = next((answer.canonical_name for answer in found if answer.canonical_name), "") or facts.host
    return (facts.host,) if expanded == facts.host else (expanded, facts.host)


def demand_of(
    facts: HostFacts, policy: StsPolicy | None, *, tls_optional: bool = False
) -> TlsDemand | HostUnusable:
    """What the host must have. `policy`: of the next hop's domain, None where there is none; `tls_optional`:
    the message says `TLS-Required: No`."""
    host = facts.host
    if tls_optional:
        return TlsDemand(
            level="opportunistic",
            source="waived",
            server_name=host,
            because="the sender asked for delivery without guarantees",
        )
    if (dane := _by_dane(facts)) is not None:
        return dane
    if policy is None or policy.mode == "none":
        return TlsDemand(
            level="opportunistic",
            source="none",
            server_name=host,
            because="neither DANE nor MTA-STS asks for more",
        )
    if policy.mode == "testing":
        because = "MTA-STS is being tested there: what fails is only reported"
        return TlsDemand(
            level="opportunistic",
            source="mta-sts-testing",
            server_name=host,
            names=(host,),
            because=because,
            tries_pkix=True,
        )
    if not policy.names(host):
        # RFC 8461 §5: another host, or later; never without.
        reply = Reply.of(
            451,
            "4.7.5",
            f"{host} is not among the mail hosts of the MTA-STS policy of {facts.next_hop}",
            cause="mta-sts",
        )
        return HostUnusable(reply=reply, failure="validation-failure")
    because = f"the MTA-STS policy of {facts.next_hop} is enforced"
    return TlsDemand(level="pkix", source="mta-sts", server_name=host, names=(host,), because=because)


def _by_dane(facts: HostFacts) -> TlsDemand | HostUnusable | None:
    """None: DANE does not apply."""
    if (broken := _untold((*facts.addresses, *facts.tlsa))) is not None:
        # RFC 7672 §2.1.1: bogus and unanswered questions make the host unreachable; what an attacker
        # suppresses is no permission.
        text = (
            f"The DNS does not say now what TLS {facts.host} must have ({broken.rtype} of "
            f"{broken.name}: {broken.status.value})"
        )
        return HostUnusable(reply=Reply.of(451, "4.7.5", text, cause="dane"), failure="dnssec-invalid")
    secure = next(
        (answer for answer in facts.tlsa if answer.secure and answer.status is DnsStatus.NOERROR), None
    )
    if secure is None:
        return None
    records = usable_records([record for record in secure.records if isinstance(record, Tlsa)])
    base = secure.name.split(".", 2)[2]
    if not records:
        # RFC 7672 §2.2: secure TLSA records of which none is usable ask for TLS all the same, without proof.
        because = f"{base} has TLSA records, none of which can be used"
        return TlsDemand(level="encrypted", source="dane", server_name=base, because=because)
    names = tuple(dict.fromkeys((base, facts.host, facts.next_hop)))
    return TlsDemand(
        level="dane",
        source="dane",
        server_name=base,
        names=names,
        records=records,
        because=f"{base} has TLSA records (DANE)",
    )


def _untold(answers: Sequence[Answer]) -> Answer | None:
    """An answer about which nothing may be concluded. An address family may be silent as long as the other
    speaks, but not be bogus."""
    for answer in answers:
        if answer.status is DnsStatus.BOGUS or (answer.is_unknown and answer.rtype == "TLSA"):
            return answer
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTls:
    """What a session has: `version` "" without TLS; `chain`: DER, leaf first; `verified`: by PKIX, for
    `server_name`."""

    version: str = ""
    chain: tuple[bytes, ...] = ()
    verified: bool = False
    server_name: str = ""


def lack_of(demand: TlsDemand, seen: SeenTls, now_us: int) -> HostUnusable | None:
    """Why a session is not what the demand wants; None: it is."""
    if not demand.needs_tls:
        return None
    if not seen.version:
        text = f"{demand.server_name} does not offer TLS, which it must have: {demand.because}"
        return _unusable(demand, text, "starttls-not-supported")
    if demand.level == "pkix" and not (seen.verified and seen.server_name == demand.server_name):
        text = f"{demand.server_name} did not prove who it is: {demand.because}"
        return _unusable(demand, text, "certificate-not-trusted")
    if demand.level == "dane":
        match = match_chain(demand.records, seen.chain, demand.names, now_us)
        if match.record is None:
            text = f"{demand.server_name} did not prove who it is: {match.because}; {demand.because}"
            return _unusable(demand, text, match.failure or "validation-failure")
    return None


def _unusable(demand: TlsDemand, text: str, failure: str) -> HostUnusable:
    # RFC 3463 §3.8: X.7.5 is a cryptographic failure.
    return HostUnusable(
        reply=Reply.of(451, "4.7.5", text, cause=_CAUSES.get(demand.source, "tls")), failure=failure
    )


def failed_handshake(demand: TlsDemand, failure: str) -> HostUnusable:
    """The handshake did not come about; `failure` as in RFC 8460 §4.3."""
    text = f"The TLS handshake with {demand.server_name} failed"
    if demand.needs_tls:
        text += f" ({failure}): {demand.because}"
    return _unusable(demand, text, failure)


def proof_of(demand: TlsDemand, seen: SeenTls) -> Proof:
    """In a session that lacks nothing."""
    if not seen.version:
        return "clear"
    if demand.level == "dane":
        return "dane"
    return "pkix" if seen.verified else "encrypted"


def for_requiretls(demand: TlsDemand, facts: HostFacts, policy: StsPolicy | None) -> TlsDemand | HostUnusable:
    """What a message with REQUIRETLS asks beyond that (RFC 8689 §4.2.1): whose host it is must be proved."""
    if demand.is_authenticated:
        return demand
    host = facts.host
    if facts.mx_secure:
        because = f"REQUIRETLS, and DNSSEC vouches that {host} is a mail host of {facts.next_hop}"
        return replace(
            demand, level="pkix", source="dnssec", server_name=host, names=(host,), because=because
        )
    if policy is not None and policy.mode == "testing" and policy.names(host):
        because = f"REQUIRETLS, and the MTA-STS policy of {facts.next_hop} names {host}"
        return replace(
            demand, level="pkix", source="mta-sts", server_name=host, names=(host,), because=because
        )
    return HostUnusable(reply=_no_proof(demand), failure="")


def for_known_host(demand: TlsDemand, until: str) -> TlsDemand:
    """`until`: the day on which the host was last seen with TLS."""
    because = f"it had TLS until {until} at least"
    return replace(demand, level="encrypted", source="known-host", because=because)


def lacks_requiretls(demand: TlsDemand, *, offered: bool) -> Reply | None:
    """Why a message with REQUIRETLS may not go to this host (RFC 8689 §4.2.1); None: it may. `offered`:
    REQUIRETLS stood in EHLO."""
    if not demand.is_authenticated:
        return _no_proof(demand)
    if not offered:
        text = f"REQUIRETLS: {demand.server_name} does not promise to pass it on"
        return Reply.of(550, "5.7.30", text, cause="requiretls")
    return None


def _no_proof(demand: TlsDemand) -> Reply:
    text = (
        f"REQUIRETLS: nothing proves that {demand.server_name} is the host it should be "
        "(no DANE, no MTA-STS, no DNSSEC)"
    )
    return Reply.of(550, "5.7.30", text, cause="requiretls")
