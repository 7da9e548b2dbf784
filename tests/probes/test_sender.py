"""Does the domain of a sender exist? A server that is wrong about one type hurts nobody."""

import pytest

from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType
from sekisho.probes.sender import probe_sender
from sekisho.testing.zones import ZoneResolver

ZONE = """
text.example        TXT  "x"
mail.example        MX   10 mx.mail.example
only.below.example  A    192.0.2.1
alias.example       CNAME gone.elsewhere.example
$SERVFAIL dead.example
"""


@pytest.mark.parametrize(
    ("sender", "state"),
    [
        ("a@text.example", "exists"),
        ("a@mail.example", "exists"),
        ("a@below.example", "exists"),
        ("a@alias.example", "exists"),
        ("a@dead.example", "unknown"),
        ("a@nowhere.example", "missing"),
    ],
)
async def test_what_the_dns_says(sender: str, state: str) -> None:
    resolver = ZoneResolver(ZONE)
    finding = await probe_sender(resolver, ReversePath(Address.from_text(sender)))
    assert finding is not None and finding.state == state
    if state != "missing":
        assert [rtype for _, rtype in resolver.questions] == ["TXT"]  # which SPF asks as well


async def test_who_has_no_domain_is_not_asked_about() -> None:
    resolver = ZoneResolver(ZONE)
    assert await probe_sender(resolver, ReversePath()) is None
    assert await probe_sender(resolver, ReversePath(Address.from_text("a@[192.0.2.7]"))) is None
    assert resolver.questions == []


class Confused:
    """Says NXDOMAIN for all but `known`."""

    def __init__(self, known: RecordType) -> None:
        self._known = known

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        return Answer(
            name=name, rtype=rtype, status=DnsStatus.NOERROR if rtype == self._known else DnsStatus.NXDOMAIN
        )


@pytest.mark.parametrize("known", ["MX", "A", "AAAA"])
async def test_a_server_that_is_wrong_about_other_types_hurts_nobody(known: RecordType) -> None:
    finding = await probe_sender(Confused(known), ReversePath(Address.from_text("a@shop.example")))
    assert finding is not None and finding.state == "exists"
