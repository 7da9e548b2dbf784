"""The table of precedence: every row of DANE × MTA-STS, and what the message itself asks."""

from ipaddress import IPv4Address
from typing import Literal

import pytest

from sekisho.core.terms.dns import Answer, DnsStatus, Record, RecordType, Tlsa
from sekisho.core.tlspolicy.demand import (
    HostFacts,
    HostUnusable,
    TlsDemand,
    demand_of,
    lacks_requiretls,
    tlsa_domains,
)
from sekisho.core.tlspolicy.sts import StsMode, StsPolicy

HOST, NEXT_HOP = "mx.example.com", "example.com"
GOOD = Tlsa(3, 1, 1, b"\x01" * 32)
UNUSABLE = Tlsa(0, 1, 1, b"\x01" * 32)


def answer(
    name: str,
    rtype: RecordType,
    *records: Record,
    status: DnsStatus = DnsStatus.NOERROR,
    secure: bool = True,
    canonical: str = "",
) -> Answer:
    return Answer(
        name=name,
        rtype=rtype,
        status=status,
        records=records,
        ttl_seconds=60,
        secure=secure,
        canonical_name=canonical,
    )


def facts(
    tlsa: tuple[Answer, ...] = (), *, secure: bool = True, addresses: tuple[Answer, ...] = ()
) -> HostFacts:
    addresses = addresses or (answer(HOST, "A", IPv4Address("192.0.2.1"), secure=secure),)
    return HostFacts(host=HOST, next_hop=NEXT_HOP, mx_secure=secure, addresses=addresses, tlsa=tlsa)


def tlsa(
    *records: Tlsa, status: DnsStatus = DnsStatus.NOERROR, secure: bool = True, base: str = HOST
) -> tuple[Answer, ...]:
    return (answer(f"_25._tcp.{base}", "TLSA", *records, status=status, secure=secure),)


def policy(mode: StsMode, *patterns: str) -> StsPolicy:
    return StsPolicy(mode, 86400, patterns or (HOST,))


DANE: dict[str, tuple[Answer, ...]] = {
    "none": (),
    "absent": tlsa(status=DnsStatus.NXDOMAIN),
    "insecure": tlsa(GOOD, secure=False),
    "good": tlsa(GOOD),
    "unusable": tlsa(UNUSABLE),
    "bogus": tlsa(status=DnsStatus.BOGUS),
    "silent": tlsa(status=DnsStatus.TIMEOUT),
    "broken": tlsa(status=DnsStatus.SERVFAIL),
}
STS: dict[str, StsPolicy | None] = {
    "none": None,
    "off": policy("none"),
    "testing": policy("testing"),
    "enforce": policy("enforce"),
    "enforce, other hosts": policy("enforce", "other.example.com"),
}
Row = Literal["opportunistic", "encrypted", "dane", "pkix", "later"]
BY_STS: dict[str, Row] = {
    "none": "opportunistic",
    "off": "opportunistic",
    "testing": "opportunistic",
    "enforce": "pkix",
    "enforce, other hosts": "later",
}
BY_DANE: dict[str, Row] = {
    "good": "dane",
    "unusable": "encrypted",
    "bogus": "later",
    "silent": "later",
    "broken": "later",
}


@pytest.mark.parametrize("sts", STS)
@pytest.mark.parametrize("dane", DANE)
def test_every_row(dane: str, sts: str) -> None:
    found = demand_of(facts(DANE[dane]), STS[sts])
    expected = BY_DANE.get(dane) or BY_STS[sts]
    if isinstance(found, HostUnusable):
        assert expected == "later" and found.reply.code == 451
        assert found.failure == ("dnssec-invalid" if dane in BY_DANE else "validation-failure")
    else:
        assert found.level == expected and found.because
        assert found.tries_pkix == (expected == "opportunistic" and sts == "testing")
    # RFC 8689 §5: whoever asks for delivery without guarantees gets it, over any policy.
    optional = demand_of(facts(DANE[dane]), STS[sts], tls_optional=True)
    assert isinstance(optional, TlsDemand) and optional.level == "opportunistic" and not optional.tries_pkix


def test_where_dane_does_not_apply() -> None:
    assert tlsa_domains(facts(secure=False)) == ()
    assert tlsa_domains(facts()) == (HOST,)
    mixed = (
        answer(HOST, "A", IPv4Address("192.0.2.1")),
        answer(HOST, "AAAA", IPv4Address("192.0.2.1"), secure=False),
    )
    assert tlsa_domains(facts(addresses=mixed)) == ()
    alias = (answer(HOST, "A", IPv4Address("192.0.2.1"), canonical="real.example.net"),)
    assert tlsa_domains(facts(addresses=alias)) == ("real.example.net", HOST)  # RFC 7672 §2.2.2
    insecure_mx = HostFacts(host=HOST, next_hop=NEXT_HOP, mx_secure=False, addresses=facts().addresses)
    assert tlsa_domains(insecure_mx) == ()


def test_bogus_addresses_are_no_way_around() -> None:
    bogus = (
        answer(HOST, "A", IPv4Address("192.0.2.1")),
        answer(HOST, "AAAA", status=DnsStatus.BOGUS, secure=False),
    )
    assert isinstance(demand_of(facts(addresses=bogus), policy("enforce")), HostUnusable)
    silent = (
        answer(HOST, "A", IPv4Address("192.0.2.1")),
        answer(HOST, "AAAA", status=DnsStatus.TIMEOUT, secure=False),
    )
    assert isinstance(demand_of(facts(tlsa(GOOD), addresses=silent), None), TlsDemand)


def test_names_under_dane() -> None:
    found = demand_of(facts(tlsa(GOOD, base="real.example.net")), None)
    assert isinstance(found, TlsDemand)
    assert found.server_name == "real.example.net"  # RFC 7672 §8.1
    assert found.names == ("real.example.net", HOST, NEXT_HOP)  # RFC 7672 §3.2.2
    assert found.records == (GOOD,)


def test_requiretls() -> None:
    dane, pkix = demand_of(facts(tlsa(GOOD)), None), demand_of(facts(), policy("enforce"))
    weak = [
        demand_of(facts(), None),
        demand_of(facts(tlsa(UNUSABLE)), None),
        demand_of(facts(), policy("testing")),
    ]
    for demand in (dane, pkix):
        assert isinstance(demand, TlsDemand)
        assert lacks_requiretls(demand, offered=True) is None
        assert "REQUIRETLS" in str(lacks_requiretls(demand, offered=False))
    for demand in weak:
        assert isinstance(demand, TlsDemand)
        assert "5.7.30" in str(lacks_requiretls(demand, offered=True))
