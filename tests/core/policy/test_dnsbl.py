"""Blocklists: names to ask for, answers by row, canaries, and how much is enough."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.policy.dnsbl import (
    Blocklist,
    CodeRange,
    DnsblFinding,
    DnsblRules,
    Listing,
    canaries,
    is_enough,
    judge_canaries,
    read_answer,
)
from sekisho.core.terms.dns import Answer, DnsStatus

LIST = Blocklist(
    zone="bl.example",
    codes=(CodeRange.parse("127.0.0.2", "spam source"), CodeRange.parse("127.0.0.4-7", "exploited")),
    ipv6=True,
)
DOMAINS = Blocklist(zone="dbl.example", codes=(CodeRange.parse("127.0.1.2-106"),), kind="domain")


def answer(*addresses: str, name: str = "x") -> Answer:
    return Answer(
        name=name,
        rtype="A",
        status=DnsStatus.NOERROR,
        records=tuple(IPv4Address(address) for address in addresses),
        ttl_seconds=60,
    )


def test_questions() -> None:
    assert LIST.question(ip_address("192.0.2.99")) == "99.2.0.192.bl.example"  # RFC 5782 §2.1
    assert LIST.question(ip_address("::ffff:192.0.2.99")) == "99.2.0.192.bl.example"
    six = LIST.question(ip_address("2001:db8:1:2:3:4:567:89ab"))
    assert (
        six == "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"
    )  # RFC 5782 §2.4
    whole = Blocklist(zone="bl.example", codes=LIST.codes, ipv6=True, ipv6_prefix=64).question(
        ip_address("2001:db8:1:2:3:4:567:89ab")
    )
    assert whole == "0." * 16 + "2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.bl.example"
    assert Blocklist(zone="bl.example", codes=LIST.codes).question(ip_address("2001:db8::1")) is None
    assert DOMAINS.question(ip_address("192.0.2.99")) is None
    assert DOMAINS.domain_question("spam.example") == "spam.example.dbl.example"
    assert DOMAINS.domain_question("[192.0.2.1]") is None
    assert LIST.domain_question("spam.example") is None


@pytest.mark.parametrize(
    ("given", "standing", "meaning"),
    [
        (answer("127.0.0.2"), "listed", "spam source"),
        (answer("127.0.0.6"), "listed", "exploited"),
        (answer("127.0.0.9", "127.0.0.4"), "listed", "exploited"),
        (answer("127.0.0.8"), "clean", ""),  # not a documented code
        (answer("127.255.255.254"), "fault", "refuses our questions"),
        (answer("127.0.0.2", "127.255.255.255"), "fault", "refuses our questions"),
        (answer("203.0.113.9"), "fault", "somebody else answers"),
        (Answer(name="x", rtype="A", status=DnsStatus.NXDOMAIN), "clean", ""),
        (Answer(name="x", rtype="A", status=DnsStatus.NODATA), "clean", ""),
        (Answer(name="x", rtype="A", status=DnsStatus.SERVFAIL), "unknown", "servfail"),
        (Answer(name="x", rtype="A", status=DnsStatus.TIMEOUT), "unknown", "timeout"),
        (Answer(name="x", rtype="A", status=DnsStatus.BOGUS), "unknown", "bogus"),
    ],
)
def test_answers(given: Answer, standing: str, meaning: str) -> None:
    listing = read_answer(LIST, given)
    assert listing.standing == standing
    assert meaning in listing.meaning
    assert (listing.weight > 0) is (standing == "listed")


@pytest.mark.parametrize(
    "text", ["127.0.0", "10.0.0.2", "127.0.0.7-4", "127.255.255.254", "127.0.0.2-999", "127.0.0.300", ""]
)
def test_codes_that_cannot_be_listings(text: str) -> None:
    with pytest.raises(ValueError):
        CodeRange.parse(text)


def test_canaries_of_rfc_5782() -> None:
    assert canaries(Blocklist(zone="bl.example", codes=LIST.codes)) == (
        ("2.0.0.127.bl.example", True),
        ("1.0.0.127.bl.example", False),
    )
    both = canaries(LIST)
    assert len(both) == 4
    assert both[2] == ("2.0.0.0.0.0.f.7.f.f.f.f." + "0." * 20 + "bl.example", True)
    assert canaries(DOMAINS) == (("test.dbl.example", True), ("invalid.dbl.example", False))


def test_health() -> None:
    missing = Answer(name="n", rtype="A", status=DnsStatus.NXDOMAIN)
    four = Blocklist(zone="bl.example", codes=LIST.codes)
    assert judge_canaries(four, [(True, answer("127.0.0.2")), (False, missing)]).is_fit is True
    wildcard = judge_canaries(
        four, [(True, answer("127.0.0.2")), (False, answer("127.0.0.2", name="1.0.0.127.bl.example"))]
    )
    assert wildcard.is_fit is False
    assert "lists everything" in wildcard.problem
    dead = judge_canaries(four, [(True, missing), (False, missing)])
    assert dead.is_fit is False
    assert "dead or renamed" in dead.problem
    refusing = judge_canaries(four, [(True, answer("127.255.255.254")), (False, answer("127.255.255.254"))])
    assert refusing.is_fit is False
    assert "refuses our questions" in refusing.problem
    rewritten = judge_canaries(four, [(True, answer("203.0.113.9")), (False, answer("203.0.113.9"))])
    assert rewritten.is_fit is False
    silent = judge_canaries(
        four, [(True, Answer(name="n", rtype="A", status=DnsStatus.TIMEOUT)), (False, missing)]
    )
    assert silent.is_fit is None  # could not know: nothing changes


STANDINGS = st.builds(
    Listing,
    st.sampled_from(["a.example", "b.example", "c.example"]),
    st.sampled_from(["clean", "unknown", "fault"]),
    st.just(0.0),
)


@given(st.lists(STANDINGS, max_size=6), st.booleans(), st.integers(0, 3), st.floats(0, 3))
def test_could_not_know_never_suffices(listings: list[Listing], bad: bool, lists: int, weight: float) -> None:
    finding = DnsblFinding(tuple(listings), len(listings))
    assert not is_enough(finding, DnsblRules(reject_lists=lists, reject_weight=weight), bad_history=bad)


@pytest.mark.parametrize(
    ("zones", "bad", "enough"),
    [((), True, False), (("a",), False, False), (("a",), True, True), (("a", "b"), False, True)],
)
def test_two_lists_or_one_and_our_own_history(zones: tuple[str, ...], bad: bool, enough: bool) -> None:
    finding = DnsblFinding(tuple(Listing(zone, "listed", 1.0, "spam source") for zone in zones), 2)
    assert is_enough(finding, DnsblRules(), bad_history=bad) is enough
    assert all(f"{zone} says spam source (weight 1)" in finding.explain() for zone in zones)
    assert finding.weight == len(zones)
