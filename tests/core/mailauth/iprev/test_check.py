from ipaddress import ip_address

import pytest

from sekisho.core.mailauth.iprev.check import IprevFinding, check_iprev, check_iprev_now
from sekisho.testing.zones import ZoneResolver

ZONE = """
1.2.0.192.in-addr.arpa    PTR  other.example
1.2.0.192.in-addr.arpa    PTR  mail.example
mail.example              A    192.0.2.1
mail.example              AAAA 2001:db8::1
other.example             A    192.0.2.99
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR mail.example
3.2.0.192.in-addr.arpa    PTR  other.example
4.2.0.192.in-addr.arpa    PTR  slow.example
$TIMEOUT slow.example
$SERVFAIL 5.2.0.192.in-addr.arpa
6.2.0.192.in-addr.arpa    PTR  gone.example
"""


@pytest.mark.parametrize(
    ("address", "result", "name"),
    [
        ("192.0.2.1", "pass", "mail.example"),
        ("::ffff:192.0.2.1", "pass", "mail.example"),
        ("2001:db8::1", "pass", "mail.example"),
        ("192.0.2.2", "permerror", ""),
        ("192.0.2.3", "fail", ""),
        ("192.0.2.4", "temperror", ""),
        ("192.0.2.5", "temperror", ""),
        ("192.0.2.6", "fail", ""),
    ],
)
def test_results(address: str, result: str, name: str) -> None:
    finding = check_iprev_now(ZoneResolver(ZONE), ip_address(address))
    assert (finding.result, finding.name) == (result, name)


async def test_claimed_names_are_told() -> None:
    finding = await check_iprev(ZoneResolver(ZONE), ip_address("192.0.2.3"))
    assert finding == IprevFinding("fail", ip_address("192.0.2.3"), "", ("other.example",))


def test_only_ten_names_are_followed() -> None:
    zone = "".join(f"9.2.0.192.in-addr.arpa PTR n{number}.example\n" for number in range(50))
    resolver = ZoneResolver(zone + "n20.example A 192.0.2.9\n")
    assert check_iprev_now(resolver, ip_address("192.0.2.9")).result == "fail"
    assert len(resolver.questions) == 11
