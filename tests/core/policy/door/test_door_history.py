"""The door by blocklists and by our own experience: who is turned away, who goes into Junk, who is spared."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.policy.dnsbl import DnsblFinding, Listing
from sekisho.core.policy.door.judge import RULES, TRUSTED, judge
from sekisho.core.policy.door.rule import ACCEPTED, DoorRules
from sekisho.core.policy.door.stranger import DNSBL, REPUTATION
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.reputation import (
    DAY_US,
    NOTHING,
    Event,
    History,
    ReputationFinding,
    ReputationRules,
    Standing,
    joined,
    of_event,
    standing,
)
from sekisho.core.policy.s25r import S25rFinding
from sekisho.core.policy.sender import SenderFinding

NOW_US = 1_800_000_000_000_000
HALF_LIFE = ReputationRules().half_life_us


def _standing(key: str, event: Event | None = None, times: int = 1) -> Standing:
    history: History = NOTHING
    for _ in range(times if event else 0):
        history = joined(history, of_event(event, NOW_US - DAY_US), HALF_LIFE)
    return standing(key, history, NOW_US, HALF_LIFE)


def _known(
    client: Standing | None = None,
    pairs: dict[int, Standing] | None = None,
    roles: frozenset[int] = frozenset(),
) -> ReputationFinding:
    nothing = _standing("network 192.0.2.0/24")
    return ReputationFinding(
        client=client or _standing("client 192.0.2.7"),
        network=nothing,
        pairs=pairs or {1: _standing("pair a b")},
        roles=roles,
    )


def _listed(*zones: str) -> DnsblFinding:
    return DnsblFinding(tuple(Listing(zone, "listed", 1.0, "spam source") for zone in zones), 2)


BAD = _standing("client 192.0.2.7", "refused", 20)
GOOD = _standing("client 192.0.2.7", "accepted", 40)
TRUSTED_PAIR = _standing("pair a b", "cleared")


def test_lists_that_agree_turn_a_stranger_away() -> None:
    verdict = judge(Evidence(dnsbl=_listed("a.example", "b.example"), reputation=_known()), DoorRules())
    assert (verdict.action, verdict.rule) == ("refuse", DNSBL)
    assert verdict.reply is not None and verdict.reply.code == 550
    assert "a.example says spam source" in verdict.because
    observed = judge(
        Evidence(dnsbl=_listed("a.example", "b.example"), reputation=_known()),
        DoorRules(modes={"dnsbl-listed": "observe"}),
    )
    assert (observed.action, observed.rule, observed.observed) == ("accept", DNSBL, True)


@pytest.mark.parametrize(
    "known",
    [_known(GOOD), _known(pairs={1: TRUSTED_PAIR})],
    ids=["good history", "trusted by the recipient"],
)
def test_the_known_are_spared(known: ReputationFinding) -> None:
    assert (
        judge(Evidence(dnsbl=_listed("a.example", "b.example"), reputation=known), DoorRules()).action
        == "accept"
    )


@pytest.mark.parametrize("known", [None, _known(), replace(_known(), problem="the store is not there")])
def test_postmaster_is_reached_whatever_is_known_of_the_sender(known: ReputationFinding | None) -> None:
    missing = SenderFinding("gone.example", "missing")
    evidence = Evidence(
        dnsbl=_listed("a.example", "b.example"), sender=missing, reputation=known, roles=frozenset({1})
    )
    assert judge(evidence, DoorRules(refuses_senders=True)).action == "accept"


def test_who_could_be_known_is_put_off_where_a_stranger_is_refused() -> None:
    known = replace(_known(), problem="the store is not there")
    verdict = judge(Evidence(dnsbl=_listed("a.example", "b.example"), reputation=known), DoorRules())
    assert (
        (verdict.action, verdict.rule) == ("defer", DNSBL)
        and verdict.reply is not None
        and verdict.reply.code == 451
    )


def test_one_list_needs_our_own_experience_beside_it() -> None:
    alone = judge(Evidence(dnsbl=_listed("a.example"), reputation=_known()), DoorRules())
    assert alone.action == "accept"
    both = judge(Evidence(dnsbl=_listed("a.example"), reputation=_known(BAD)), DoorRules())
    assert (both.action, both.rule) == ("refuse", DNSBL)
    assert "our own experience" in both.because


def test_bad_experience_alone_is_junk_and_trust_spares() -> None:
    verdict = judge(Evidence(reputation=_known(BAD)), DoorRules())
    assert (verdict.action, verdict.rule, verdict.spared) == ("junk", REPUTATION, frozenset())
    two = judge(Evidence(reputation=_known(BAD, {1: _standing("pair a b"), 2: TRUSTED_PAIR})), DoorRules())
    assert (two.action, two.spared) == ("junk", frozenset({2}))
    assert judge(Evidence(reputation=_known(BAD, {2: TRUSTED_PAIR})), DoorRules()).action == "accept"
    deferring = DoorRules(experience=ReputationRules(bad_action="defer"))
    verdict = judge(Evidence(reputation=_known(BAD)), deferring)
    assert verdict.action == "defer" and verdict.reply is not None and verdict.reply.code == 451
    assert judge(Evidence(reputation=_known(BAD)), DoorRules(modes={"bad-reputation": "off"})) == ACCEPTED


def test_s25r_alone_does_nothing() -> None:
    for hits in (None, (0,), (1, 3), (6,)):
        assert judge(Evidence(s25r=S25rFinding(hits)), DoorRules()).action == "accept"


_UNKNOWN = st.builds(
    Evidence,
    iprev=st.sampled_from([None, IprevFinding("temperror", ip_address("192.0.2.7"))]),
    dnsbl=st.builds(
        DnsblFinding,
        st.lists(
            st.builds(Listing, st.just("a.example"), st.sampled_from(["unknown", "fault", "clean"])),
            max_size=3,
        ).map(tuple),
    ),
    s25r=st.sampled_from([None, S25rFinding(None)]),
    reputation=st.sampled_from(
        [
            None,
            ReputationFinding(client=BAD, network=BAD, pairs={1: BAD}, problem="the store does not answer"),
        ]
    ),
)


@given(_UNKNOWN)
def test_what_could_not_be_known_never_rejects(evidence: Evidence) -> None:
    assert judge(evidence, DoorRules()).action in ("accept", "defer")


def test_rules_are_named_once_and_explained() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names) >= 4
    assert all(rule.says.endswith(".") for rule in RULES)
    assert TRUSTED not in names  # it spares, it accuses nobody


def test_a_rule_that_is_off_says_nothing_and_the_next_is_heard() -> None:
    evidence = Evidence(dnsbl=_listed("a.example", "b.example"), reputation=_known(BAD))
    assert judge(evidence, DoorRules(modes={"dnsbl-listed": "off"})).rule == REPUTATION
    assert judge(evidence, DoorRules(modes={"dnsbl-listed": "observe"})).rule == REPUTATION
    assert judge(evidence, DoorRules(modes={"dnsbl-listed": "off", "bad-reputation": "off"})) == ACCEPTED
