"""S25R: each rule by names of today; nothing more than a suspicion."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.iprev.check import IprevFinding, IprevResult
from sekisho.core.policy.s25r import NO_NAME, PATTERNS, check_s25r, matching_rules

ADDRESS = ip_address("192.0.2.7")

ROWS = [
    # large senders: hit, which is why a hit alone must do nothing
    ("mail-ej1-f54.google.com", (1,)),
    ("a8-29.smtp-out.amazonses.com", (1,)),
    ("mail-eur05on2087.outbound.protection.outlook.com", (1,)),
    # lines of end users
    ("220-139-165-188.dynamic.hinet.net", (1, 3)),
    ("p12345.tokyo.example.ne.jp", (2,)),
    ("pool.123line.example.ne.jp", (3,)),
    ("host1.line2-3.example.jp", (4,)),
    ("a1.b2.tokyo.example.ne.jp", (5,)),
    ("dsl7.example.ne.jp", (6,)),
    ("adsl9.example.ne.jp", (6,)),
    ("ppp4.example.ne.jp", (6,)),
    # servers
    ("mx.example.org", ()),
    ("mx1.example.org", ()),
    ("mail.example.ne.jp", ()),
    ("smtp-out2.example.co.jp", ()),
]


@pytest.mark.parametrize(("name", "hits"), ROWS, ids=[name for name, _ in ROWS])
def test_names(name: str, hits: tuple[int, ...]) -> None:
    assert matching_rules(name) == hits
    finding = check_s25r(IprevFinding("pass", ADDRESS, name.upper(), (name,)))
    assert finding.hits == hits
    assert finding.is_suspicious is bool(hits)
    assert all(f"rule {number}" in finding.explain() for number in hits)


@pytest.mark.parametrize("result", ["fail", "permerror"])
def test_no_confirmed_name_is_rule_0(result: IprevResult) -> None:
    finding = check_s25r(IprevFinding(result, ADDRESS, "", ("claims.example",)))
    assert finding.hits == (0,)
    assert finding.explain() == NO_NAME


def test_a_silent_dns_is_no_suspicion() -> None:
    finding = check_s25r(IprevFinding("temperror", ADDRESS))
    assert finding.hits is None
    assert not finding.is_suspicious
    assert "could not" in finding.explain()


@given(st.text(max_size=400))
def test_any_name_is_judged(name: str) -> None:
    finding = check_s25r(IprevFinding("pass", ADDRESS, name))
    assert finding.hits is not None
    assert set(finding.hits) <= {0, *(number for number, _, _ in PATTERNS)}


def test_long_names_cost_nothing() -> None:
    assert check_s25r(IprevFinding("pass", ADDRESS, "1-" * 100_000)).hits == (0,)
