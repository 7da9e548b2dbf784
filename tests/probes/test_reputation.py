"""Who may speak for an author, and who is expected."""

from ipaddress import ip_address

import pytest
from tests.stores.opened import OpenStore

from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence, SpfFinding
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.reputation import ReputationFinding, ReputationRules
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.reputation import Expected
from sekisho.ports.stream import Endpoint
from sekisho.probes.arrival import Arrival
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.reputation import AuthenticationFindings, Organizations, ReputationProbe, passing_domains
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.zones import ZoneResolver

ZONE = """
_dmarc.hoster.example   TXT "v=DMARC1; p=none"
_dmarc.shop.example     TXT "v=DMARC1; p=reject"
$SERVFAIL _dmarc.dead.example
"""
CLIENT = Endpoint(ip_address("192.0.2.7"), 25000)


@pytest.mark.parametrize(
    ("author", "passing", "organization"),
    [
        ("shop.example", ["shop.example"], "shop.example"),
        ("shop.example", ["mail.shop.example"], "shop.example"),
        ("news.shop.example", ["shop.example"], "shop.example"),
        ("news.shop.example", ["bounces.shop.example"], ""),  # a neighbour
        ("alice.hoster.example", ["alice.hoster.example"], "hoster.example"),
        ("alice.hoster.example", ["mallory.hoster.example"], ""),
        ("alice.hoster.example", ["mallory.hoster.example", "ALICE.Hoster.example"], "hoster.example"),
        ("plain.example", ["plain.example"], "plain.example"),  # without any record
        ("mail.plain.example", ["plain.example"], ""),  # nothing says that they belong together
        ("plain.example", ["example"], ""),
        ("shop.example", ["workshop.example", "shop.example.evil.example", "shop.example."], ""),
        ("dead.example", ["dead.example"], ""),  # could not be known
        ("shop.example", [], ""),
    ],
)
async def test_who_may_speak_for_an_author(author: str, passing: list[str], organization: str) -> None:
    found = await Organizations(ManualClock()).vouched(BudgetedResolver(ZoneResolver(ZONE)), author, passing)
    assert found == organization


def spf(domain: str) -> SpfEvidence:
    return SpfEvidence(SpfFinding(identity="mailfrom", domain=domain, result="pass"))


def path(text: str) -> ReversePath:
    return ReversePath(Address.from_text(text) if text else None)


def test_hello_names_speak_for_nobody() -> None:
    dkim = [DkimEvidence("pass", "", domain="a.example"), DkimEvidence("fail", "", domain="b.example")]
    assert passing_domains(path("x@c.example"), spf("c.example"), dkim) == ["a.example", "c.example"]
    assert passing_domains(path(""), spf("mx.c.example"), dkim) == ["a.example"]


async def look(
    findings: AuthenticationFindings, *expected: Expected, reverse_path: str = "bounce@shop.example"
) -> ReputationFinding:
    store = OpenStore(ManualClock(), SeededDice())
    for one in expected:
        await store.reputation.expect(one)
    arrival = Arrival(
        client=CLIENT,
        hello="mx.shop.example",
        envelope=Envelope(reverse_path=path(reverse_path)),
        header=HeaderSection(b"From: a@shop.example\r\n\r\n"),
        content=store.spool.open_content(),
        hostname="mx.example.org",
        at_us=store.clock.now_us(),
        account_ids=(1, 2),
    )
    probe = ReputationProbe(store.reputation, Organizations(ManualClock()), ReputationRules())
    return await probe.look(
        arrival, BudgetedResolver(ZoneResolver(ZONE)), (Address.from_text("a@shop.example"),), findings
    )


async def test_where_dmarc_failed_nobody_vouches() -> None:
    """The domain asked for strict alignment, for example."""
    assert (await look(AuthenticationFindings(spf("shop.example")))).organization == "shop.example"
    assert (
        await look(AuthenticationFindings(spf("shop.example"), (), DmarcFinding("none", "shop.example")))
    ).organization == "shop.example"
    assert (
        await look(AuthenticationFindings(spf("shop.example"), (), DmarcFinding("fail", "shop.example")))
    ).organization == ""
    assert (await look(AuthenticationFindings(spf("shop.example")), reverse_path="")).organization == ""


async def test_accounts_expect_mail_from_anybody_or_from_somebody() -> None:
    far = 2**60
    assert (await look(AuthenticationFindings(), Expected(1, far))).expecting == {1}
    assert (
        await look(AuthenticationFindings(), Expected(9, far))
    ).expecting == frozenset()  # who gets no copy
    assert (
        await look(
            AuthenticationFindings(), Expected(1, far, "a@shop.example"), Expected(2, far, "@other.example")
        )
    ).expecting == {1}
    assert (await look(AuthenticationFindings(), Expected(2, far, "bounce@shop.example"))).expecting == {2}
    assert (
        await look(AuthenticationFindings(), Expected(2, far, "@shop.example"), reverse_path="")
    ).expecting == {2}
