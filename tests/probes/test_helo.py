"""Whose name a client takes: ours, and is it a host of ours?"""

from ipaddress import ip_address

import pytest
from tests.stores.opened import OpenStore

from sekisho.ports.directory import Domain
from sekisho.probes.helo import probe_helo
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.zones import ZoneResolver

ZONE = """
mx.ours.example     A 192.0.2.25
ours.example        A 192.0.2.80
$SERVFAIL dead.example
proxied.example     A 203.0.113.80
proxied.example     TXT "v=spf1 ip4:203.0.113.9 -all"
"""
OWN = ("mx.ours.example", ip_address("192.0.2.25"))


@pytest.mark.parametrize(
    ("name", "client", "forgery", "is_forged"),
    [
        ("client.example", "198.51.100.1", "", False),
        ("mx.ours.example", "198.51.100.1", "own-name", True),
        ("mx.ours.example", "192.0.2.25", "own-name", False),  # this machine itself
        ("ours.example", "198.51.100.1", "own-domain", True),
        ("ours.example", "192.0.2.80", "own-domain", False),  # another host of ours
        ("ours.example", "2001:db8::1", "own-domain", True),
        ("web.ours.example", "198.51.100.1", "", False),
        ("dead.example", "198.51.100.1", "own-domain", None),
        ("proxied.example", "203.0.113.9", "own-domain", False),  # SPF says that it is ours
        ("proxied.example", "198.51.100.1", "own-domain", True),
        ("[198.51.100.1]", "198.51.100.1", "", False),
        ("[192.0.2.25]", "198.51.100.1", "own-address", True),
    ],
)
async def test_names(name: str, client: str, forgery: str, is_forged: bool | None) -> None:
    directory = OpenStore(ManualClock(), SeededDice()).directory
    await directory.add_domain(Domain("ours.example", 0))
    await directory.add_domain(Domain("dead.example", 0))
    await directory.add_domain(Domain("proxied.example", 0))
    found = await probe_helo(ZoneResolver(ZONE), directory, name, ip_address(client), OWN)
    assert (found.name, found.forgery, found.is_forged) == (name, forgery, is_forged)
