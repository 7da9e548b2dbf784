"""What blocklists say about a client, by a resolver over zone text."""

from dataclasses import replace
from ipaddress import ip_address

from tests.probes.test_mailauth_probes import _arrival

from sekisho.core.policy.dnsbl import Blocklist, CodeRange
from sekisho.ports.stream import Endpoint
from sekisho.probes.dnsbl import probe_dnsbl
from sekisho.testing.zones import ZoneResolver

ZONE = """
7.2.0.192.bl.example        A   127.0.0.4
7.2.0.192.other.example     A   127.0.0.99
spam.example.dbl.example    A   127.0.1.2
$TIMEOUT 7.2.0.192.slow.example
"""
CODES = (CodeRange.parse("127.0.0.2-11", "bots"),)
LISTS = (
    Blocklist(zone="bl.example", codes=CODES, weight=1.5),
    Blocklist(zone="other.example", codes=CODES),
    Blocklist(zone="slow.example", codes=CODES),
    Blocklist(zone="dbl.example", codes=(CodeRange.parse("127.0.1.2", "spam domain"),), kind="domain"),
)


async def test_every_list_is_asked_what_it_can_tell() -> None:
    arrival = _arrival("192.0.2.7", "joe@spam.example")
    finding = await probe_dnsbl(arrival, ZoneResolver(ZONE), LISTS)
    assert finding.asked == 4
    assert [one.standing for one in finding.listings] == ["listed", "clean", "unknown", "listed"]
    assert finding.weight == 2.5
    assert finding.explain() == "bl.example says bots (weight 1.5), dbl.example says spam domain (weight 1)"


async def test_without_lists_or_questions_nothing_is_asked() -> None:
    arrival = _arrival("192.0.2.7", "")
    assert (await probe_dnsbl(arrival, ZoneResolver(ZONE), ())).asked == 0
    assert (await probe_dnsbl(arrival, ZoneResolver(ZONE), LISTS[3:])).asked == 0  # no sender, no domain
    six = replace(arrival, client=Endpoint(ip_address("2001:db8::7"), 25000))
    assert (await probe_dnsbl(six, ZoneResolver(ZONE), LISTS[:3])).asked == 0  # none of them lists IPv6
