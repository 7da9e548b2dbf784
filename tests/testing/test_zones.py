from ipaddress import IPv4Address, IPv6Address

import pytest

from sekisho.core.terms.dns import DnsStatus, Mx, Soa, Srv, Tlsa
from sekisho.testing.zones import Zone, ZoneResolver, ZoneTextError

TEXT = """
$TTL 600
$ORIGIN example.com.
@            SOA   ns hostmaster 7 7200 900 86400 60
             NS    ns
             MX    10 mail
             MX    20 mail2.example.net.   ; elsewhere
       90 IN TXT   "v=spf1 mx -all" " and\\032more\\"; "
$AD on
mail         A     192.0.2.1
mail         AAAA  2001:db8::1
_25._tcp.mail TLSA 3 1 1 00ff aa55
$AD off
www          CNAME mail
loop         CNAME loop2
loop2        CNAME loop
out          CNAME nowhere.example.net.
_sip._tcp    SRV   1 2 5060 mail
*.wild       A     192.0.2.9
1.2.0.192.in-addr.arpa. PTR mail
null         MX    0 .
$SERVFAIL broken
$TIMEOUT slow A
slow         AAAA  2001:db8::2
$BOGUS forged
"""


@pytest.fixture
def resolver() -> ZoneResolver:
    return ZoneResolver(TEXT)


async def test_records_of_all_types(resolver: ZoneResolver) -> None:
    async def records(name: str, rtype: str) -> tuple[object, ...]:
        answer = await resolver.resolve(name, rtype)  # type: ignore[arg-type]  # plain strings read better in this test
        assert answer.status is DnsStatus.NOERROR
        return answer.records

    assert await records("EXAMPLE.com.", "MX") == (Mx(10, "mail.example.com"), Mx(20, "mail2.example.net"))
    assert await records("example.com", "TXT") == (b'v=spf1 mx -all and more"; ',)
    assert await records("example.com", "SOA") == (Soa("ns.example.com", "hostmaster.example.com", 7, 60),)
    assert await records("example.com", "NS") == ("ns.example.com",)
    assert await records("mail.example.com", "AAAA") == (IPv6Address("2001:db8::1"),)
    assert await records("_25._tcp.mail.example.com", "TLSA") == (Tlsa(3, 1, 1, b"\x00\xff\xaa\x55"),)
    assert await records("_sip._tcp.example.com", "SRV") == (Srv(1, 2, 5060, "mail.example.com"),)
    assert await records("1.2.0.192.in-addr.arpa", "PTR") == ("mail.example.com",)
    assert await records("null.example.com", "MX") == (Mx(0, ""),)
    assert await records("a.b.wild.example.com", "A") == (IPv4Address("192.0.2.9"),)


async def test_the_six_statuses(resolver: ZoneResolver) -> None:
    expected = {
        ("mail.example.com", "A"): DnsStatus.NOERROR,
        ("mail.example.com", "MX"): DnsStatus.NODATA,
        ("_tcp.mail.example.com", "A"): DnsStatus.NODATA,  # an empty non-terminal
        ("nothing.example.com", "A"): DnsStatus.NXDOMAIN,
        ("out.example.com", "A"): DnsStatus.NXDOMAIN,
        ("broken.example.com", "TXT"): DnsStatus.SERVFAIL,
        ("loop.example.com", "A"): DnsStatus.SERVFAIL,
        ("slow.example.com", "A"): DnsStatus.TIMEOUT,
        ("slow.example.com", "AAAA"): DnsStatus.NOERROR,
        ("forged.example.com", "A"): DnsStatus.BOGUS,
        ("a" * 64 + ".example.com", "A"): DnsStatus.NXDOMAIN,  # no such name can exist
    }
    for (name, rtype), status in expected.items():
        assert (await resolver.resolve(name, rtype)).status is status, name  # type: ignore[arg-type]  # as above
    assert resolver.questions == list(expected)


async def test_aliases_times_and_security(resolver: ZoneResolver) -> None:
    www = await resolver.resolve("www.example.com", "A")
    assert (www.canonical_name, www.secure, www.ttl_seconds) == ("mail.example.com", False, 600)
    assert (await resolver.resolve("mail.example.com", "A")).secure
    assert (await resolver.resolve("example.com", "TXT")).ttl_seconds == 90
    assert (await resolver.resolve("nothing.example.com", "A")).ttl_seconds == 60
    assert (await resolver.resolve("www.example.com", "CNAME")).records == ("mail.example.com",)


@pytest.mark.parametrize(
    "line",
    ["a.example A", "a.example A 300.1.1.1", "a.example HINFO x", "$FOO x", "$AD maybe", "a..b A 192.0.2.1"],
)
def test_bad_lines_are_quoted(line: str) -> None:
    with pytest.raises(ZoneTextError, match="cannot read the zone line"):
        Zone.from_text(line)
