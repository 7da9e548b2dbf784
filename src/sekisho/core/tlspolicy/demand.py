"""What TLS one mail host must have, from what DNS, MTA-STS and the message say. The rule of precedence stands
here and nowhere else.

TLS-Required: No      → as if nobody had said anything (RFC 8689 §4.1 and §5)
DANE                  → decides alone where usable TLSA records are; MTA-STS never overrides it (RFC 8461 §2)
MTA-STS, enforce      → authenticated, and only hosts that the policy names
REQUIRETLS            → authenticated by one of the two, and the host must offer it (RFC 8689 §4.2.1)
nothing               → whatever the host offers (RFC 7435 §3)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sekisho.core.terms.dns import Answer, DnsStatus, Tlsa
from sekisho.core.terms.reply import Reply
from sekisho.core.tlspolicy.dane import usable_records
from sekisho.core.tlspolicy.sts import StsPolicy

# opportunistic: TLS if offered, plaintext else. encrypted: TLS, whoever it is. dane and pkix: TLS, and the
# host must prove who it is.
Level = Literal["opportunistic", "encrypted", "dane", "pkix"]
Source = Literal["none", "dane", "mta-sts", "mta-sts-testing"]


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
            source="none",
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
            451, "4.7.5", f"{host} is not among the mail hosts of the MTA-STS policy of {facts.next_hop}"
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
        return HostUnusable(reply=Reply.of(451, "4.7.5", text), failure="dnssec-invalid")
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


def lacks_requiretls(demand: TlsDemand, *, offered: bool) -> Reply | None:
    """Why a message with REQUIRETLS may not go to this host (RFC 8689 §4.2.1); None: it may. `offered`:
    REQUIRETLS stood in EHLO."""
    if not demand.is_authenticated:
        return Reply.of(
            550,
            "5.7.30",
            f"REQUIRETLS: nothing proves that {demand.server_name} is the host it should be (no DANE, no "
            f"MTA-STS)",
        )
    if not offered:
        return Reply.of(550, "5.7.30", f"REQUIRETLS: {demand.server_name} does not promise to pass it on")
    return None
