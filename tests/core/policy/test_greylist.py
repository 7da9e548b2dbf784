"""Greylisting that cannot hurt: all suspicions together make a stranger wait, one good sign or one unknown is
enough to pass."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence, SpfFinding
from sekisho.core.policy.content import ContentFinding
from sekisho.core.policy.dnsbl import DnsblFinding, Listing
from sekisho.core.policy.door.judge import RULES, judge
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.policy.door.stranger import DNSBL, GREYLIST, SENDER
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greylist import (
    BOUNDS_US,
    DAY_US,
    HOUR_US,
    MINUTE_US,
    GreylistFinding,
    GreylistRules,
    GreylistTry,
    after_passing,
    after_waiting,
    spell,
    state_of,
    summarize,
)
from sekisho.core.policy.reputation import (
    NOTHING,
    Event,
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
WAITING = GreylistRules()
HALF_LIFE = ReputationRules().half_life_us
KEY = "network:192.0.2.0/24 stranger.example"


def stands(key: str, *events: Event) -> Standing:
    history = NOTHING
    for event in events:
        history = joined(history, of_event(event, NOW_US - DAY_US), HALF_LIFE)
    return standing(key, history, NOW_US, HALF_LIFE)


STRANGER = ReputationFinding(
    client=stands("client:192.0.2.7"),
    network=stands("network:192.0.2.0/24"),
    author="x@stranger.example",
    pairs={1: stands("pair:x 1"), 2: stands("pair:x 2")},
)
NO_RECORD = DmarcFinding("none", "stranger.example")
SUSPICIOUS = Evidence(
    iprev=IprevFinding("permerror", ip_address("192.0.2.7")),
    spf=SpfEvidence(SpfFinding(identity="mailfrom", domain="stranger.example", result="none")),
    dkim=(),
    dmarc=NO_RECORD,
    reputation=STRANGER,
    s25r=S25rFinding((0,)),
    greylist=GreylistFinding(key=KEY, tried=None, now_us=NOW_US),
)


def spf(result: str, domain: str = "stranger.example") -> SpfEvidence:
    return SpfEvidence(SpfFinding(identity="mailfrom", domain=domain, result=result))  # type: ignore[arg-type]


def dkim(result: str, domain: str = "stranger.example") -> tuple[DkimEvidence, ...]:
    return (DkimEvidence(result, "", domain),)  # type: ignore[arg-type]


def known(evidence: Evidence, **changes: object) -> Evidence:
    return replace(evidence, reputation=replace(evidence.reputation or STRANGER, **changes))  # type: ignore[arg-type]


Sign = Callable[[Evidence], Evidence]
GOOD: dict[str, Sign] = {
    "a server's name that leads back": lambda one: replace(
        one, s25r=S25rFinding((), "mail.stranger.example")
    ),
    "SPF for the author": lambda one: replace(one, spf=spf("pass"), dmarc=NO_RECORD),
    "SPF for a name above": lambda one: replace(
        one, spf=spf("pass"), dmarc=DmarcFinding("none", "news.stranger.example")
    ),
    "SPF for a name below": lambda one: replace(
        one, spf=spf("pass", "bounce.stranger.example"), dmarc=NO_RECORD
    ),
    "DKIM for the author": lambda one: replace(one, dkim=dkim("pass"), dmarc=NO_RECORD),
    "DMARC": lambda one: replace(one, dmarc=DmarcFinding("pass", "stranger.example")),
    "an organization that we can name": lambda one: known(one, organization="stranger.example"),
    "one accepted message of the client": lambda one: known(
        one, client=stands("client:192.0.2.7", "accepted")
    ),
    "one accepted message of the domain": lambda one: known(
        one, domain=stands("domain:stranger.example", "accepted")
    ),
    "one accepted message of a pair": lambda one: known(
        one, pairs={1: stands("p"), 2: stands("p", "accepted")}
    ),
    "a good network": lambda one: known(one, network=stands("network:192.0.2.0/24", *["accepted"] * 20)),
    "somebody wrote to the address": lambda one: known(one, written=stands("written:x", "written")),
    "somebody wrote to the domain": lambda one: known(one, written_domain=stands("written:@x", "written")),
    "somebody took one out of Junk": lambda one: known(
        one, pairs={1: stands("p"), 2: stands("p", "cleared")}
    ),
    "one of the recipients expects mail": lambda one: known(one, expecting=frozenset({2})),
    "postmaster is among them": lambda one: known(one, roles=frozenset({2})),
    "a one-time code": lambda one: replace(
        one, greylist=GreylistFinding(key=KEY, tried=None, now_us=NOW_US, code="verification code")
    ),
    "it came back": lambda one: replace(
        one,
        greylist=GreylistFinding(
            key=KEY, tried=GreylistTry(NOW_US - HOUR_US, NOW_US - HOUR_US), now_us=NOW_US
        ),
    ),
    "it came back before": lambda one: replace(
        one, greylist=GreylistFinding(key=KEY, tried=GreylistTry(1, NOW_US - DAY_US, 2), now_us=NOW_US)
    ),
}
UNKNOWN: dict[str, Sign] = {
    "no answer about the reverse name": lambda one: replace(one, s25r=S25rFinding(None)),
    "no answer about SPF": lambda one: replace(one, spf=spf("temperror")),
    "no answer about a key": lambda one: replace(one, dkim=dkim("temperror")),
    "no answer about DMARC": lambda one: replace(one, dmarc=DmarcFinding("temperror", "stranger.example")),
    "no experience at hand": lambda one: known(one, problem="the store does not answer"),
    "no memory of who came": lambda one: replace(
        one, greylist=GreylistFinding(problem="the store does not answer")
    ),
    "reverse names were not asked for": lambda one: replace(one, s25r=None),
    "SPF was not asked": lambda one: replace(one, spf=None),
    "experience was not asked": lambda one: replace(one, reputation=None),
    "nobody remembers": lambda one: replace(one, greylist=None),
}
BAD: dict[str, Sign] = {
    "a name as of a line": lambda one: replace(one, s25r=S25rFinding((1, 3), "p1-2.line.example")),
    "SPF fails": lambda one: replace(one, spf=spf("fail")),
    "SPF for somebody else": lambda one: replace(one, spf=spf("pass", "other.example")),
    "a broken signature": lambda one: replace(one, dkim=dkim("fail")),
    "a signature of somebody else": lambda one: replace(one, dkim=dkim("pass", "other.example")),
    "a bad client": lambda one: known(one, client=stands("client:192.0.2.7", *["refused"] * 3)),
    "an accepted message and more refused ones": lambda one: known(
        one, client=stands("c", "accepted", "refused", "refused")
    ),
    "nobody's author": lambda one: replace(one, dmarc=DmarcFinding("permerror")),
    "too early": lambda one: replace(
        one,
        greylist=GreylistFinding(
            key=KEY, tried=GreylistTry(NOW_US - MINUTE_US + 1, NOW_US - 1), now_us=NOW_US
        ),
    ),
    "too late": lambda one: replace(
        one,
        greylist=GreylistFinding(
            key=KEY, tried=GreylistTry(NOW_US - 25 * HOUR_US, NOW_US - 1), now_us=NOW_US
        ),
    ),
    "known too long ago": lambda one: replace(
        one, greylist=GreylistFinding(key=KEY, tried=GreylistTry(1, NOW_US - 37 * DAY_US, 2), now_us=NOW_US)
    ),
}


def with_all(signs: list[Sign]) -> Evidence:
    evidence = SUSPICIOUS
    for sign in signs:
        evidence = sign(evidence)
    return evidence


def test_when_all_suspicions_agree_it_waits() -> None:
    verdict = judge(SUSPICIOUS, DoorRules())
    assert (verdict.action, verdict.rule) == ("defer", GREYLIST)
    assert verdict.reply is not None and str(verdict.reply).startswith("451 4.7.1 ")
    assert "no name of the client" in verdict.because and "first try" in verdict.because
    assert verdict.greylist is not None and (verdict.greylist.key, verdict.greylist.what) == (KEY, "wait")


@pytest.mark.parametrize("sign", GOOD)
def test_each_good_sign_alone_is_enough(sign: str) -> None:
    assert judge(with_all([GOOD[sign]]), DoorRules()).action == "accept"


@pytest.mark.parametrize("sign", UNKNOWN)
def test_what_could_not_be_known_delays_nobody(sign: str) -> None:
    assert judge(with_all([UNKNOWN[sign]]), DoorRules()).action == "accept"


@pytest.mark.parametrize("sign", BAD)
def test_what_is_no_good_sign_helps_nobody(sign: str) -> None:
    assert judge(with_all([BAD[sign]]), DoorRules()).rule == GREYLIST


def _mixed(*tables: dict[str, Sign]) -> st.SearchStrategy[list[Sign]]:
    return st.lists(st.sampled_from([sign for table in tables for sign in table.values()]), max_size=5)


@given(_mixed(BAD), st.sampled_from([*GOOD.values(), *UNKNOWN.values()]))
def test_a_good_sign_wins_over_any_number_of_bad_ones(bad: list[Sign], good: Sign) -> None:
    """Whatever else speaks against it: the last word of a field counts, so that the good sign is put on
    last."""
    verdict = judge(with_all([*bad, good]), DoorRules(modes={"bad-reputation": "off"}))
    assert verdict.rule != GREYLIST


ONLY_GREYLIST = DoorRules(
    modes={
        "dmarc": "off",
        "own-domain": "off",
        "unknown-sender-domain": "off",
        "dnsbl-listed": "off",
        "bad-reputation": "off",
        "virus": "off",
        "dangerous-attachment": "off",
        "rspamd": "off",
        "content-junk": "off",
    }
)


@given(_mixed(GOOD, BAD, UNKNOWN), st.sampled_from(["enforce", "observe", "off"]))
def test_greylisting_never_turns_away(signs: list[Sign], mode: str) -> None:
    rules = replace(ONLY_GREYLIST, modes={**ONLY_GREYLIST.modes, "greylist": mode})  # type: ignore[dict-item]
    verdict = judge(with_all(signs), rules)
    assert verdict.action in (("accept", "defer") if mode == "enforce" else ("accept",))
    assert verdict.reply is None or verdict.reply.code == 451
    assert verdict.greylist is None or mode == "enforce"


@given(st.sampled_from(["exists", "missing", "unknown"]), st.booleans())
def test_a_missing_domain_is_the_only_early_reason(state: str, refuses: bool) -> None:
    evidence = Evidence(sender=SenderFinding("nowhere.example", state))  # type: ignore[arg-type]
    verdict = judge(evidence, DoorRules(refuses_senders=refuses))
    if state != "missing":
        assert verdict.action == "accept"
        return
    assert (verdict.rule, verdict.action) == (SENDER, "refuse" if refuses else "defer")
    assert verdict.reply is not None and verdict.reply.code == (550 if refuses else 450)
    assert judge(replace(evidence, roles=frozenset({1})), DoorRules()).action == "accept"


def test_observing_says_who_would_have_waited_and_remembers_nobody() -> None:
    verdict = judge(SUSPICIOUS, DoorRules(modes={"greylist": "observe"}))
    assert (verdict.action, verdict.rule, verdict.observed, verdict.greylist) == (
        "accept",
        GREYLIST,
        True,
        None,
    )


def test_who_is_turned_away_is_not_remembered() -> None:
    listed = DnsblFinding(
        tuple(Listing(zone, "listed", 1.0, "spam") for zone in ("a.example", "b.example")), 2
    )
    verdict = judge(replace(SUSPICIOUS, dnsbl=listed), DoorRules())
    assert (verdict.action, verdict.rule, verdict.greylist) == ("refuse", DNSBL, None)


def test_what_came_back_is_remembered_also_when_it_goes_into_junk() -> None:
    content = ContentFinding(account_ids=(1, 2), is_test=True)
    verdict = judge(replace(GOOD["it came back"](SUSPICIOUS), content=content), DoorRules())
    assert verdict.action == "junk" and verdict.greylist is not None
    assert (verdict.greylist.what, verdict.greylist.waited_us) == ("back", HOUR_US)
    seen = judge(GOOD["it came back before"](SUSPICIOUS), DoorRules()).greylist
    assert seen is not None and seen.what == "seen"
    early = judge(BAD["too early"](SUSPICIOUS), DoorRules())
    assert (
        early.greylist is not None and early.greylist.what == "early" and "after only 59 s" in early.because
    )


def test_it_stands_behind_blocklists_and_before_junk() -> None:
    names = [rule.name for rule in RULES]
    assert (
        names.index("dnsbl-listed")
        < names.index(GREYLIST)
        < names.index("bad-reputation")
        < names.index("content-junk")
    )


@given(st.lists(st.integers(0, 40 * DAY_US), min_size=1, max_size=8))
def test_a_sender_that_keeps_trying_gets_in(pauses: list[int]) -> None:
    """Whatever its pauses: a try is let in, or the window of the next one is open."""
    tried, now_us = None, NOW_US
    for pause in pauses:
        now_us += pause
        state = state_of(tried, now_us, WAITING)
        if state in ("back", "known"):
            tried = after_passing(tried, now_us)
            assert state_of(tried, now_us + WAITING.remember_us, WAITING) == "known"
            assert state_of(tried, now_us + WAITING.remember_us + 1, WAITING) == "new"
        else:
            tried = after_waiting(tried, now_us, WAITING)
            assert state_of(tried, tried.first_at_us + WAITING.after_us, WAITING) == "back"
            assert state_of(tried, tried.first_at_us + WAITING.until_us, WAITING) == "back"


def test_a_clock_that_goes_back_holds_nobody_up() -> None:
    assert state_of(GreylistTry(NOW_US, NOW_US), NOW_US - DAY_US, WAITING) == "back"
    assert state_of(GreylistTry(NOW_US, NOW_US), NOW_US + MINUTE_US - 1, WAITING) == "early"


def test_the_summary_counts_by_how_long_it_took() -> None:
    tried = [
        GreylistTry(NOW_US - HOUR_US, NOW_US - HOUR_US),
        GreylistTry(NOW_US - 2 * DAY_US, NOW_US - 2 * DAY_US, 0, 3),
        GreylistTry(1, 90 * 1_000_000 + 1, 90 * 1_000_000 + 1, 2),
        GreylistTry(1, NOW_US, 1 + 3 * HOUR_US, 2),
        GreylistTry(1, NOW_US, 1 + BOUNDS_US[-1] + 1, 2),
    ]
    summary = summarize(tried, NOW_US, WAITING)
    assert (summary.senders, summary.waiting, summary.never, summary.tries) == (5, 1, 1, 10)
    assert summary.came_back == [1, 0, 0, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("passed_us", "text"),
    [(0, "0 s"), (119_999_999, "119 s"), (120_000_000, "2 min"), (2 * HOUR_US, "2 h"), (49 * HOUR_US, "2 d")],
)
def test_times_are_spelled_for_people(passed_us: int, text: str) -> None:
    assert spell(passed_us) == text


def test_a_finding_tells_itself() -> None:
    assert GreylistFinding(key=KEY).explain() == f"never seen: {KEY}"
    assert (
        "try 2, 60 min after"
        in GreylistFinding(key=KEY, tried=GreylistTry(NOW_US - HOUR_US, 1), now_us=NOW_US).explain()
    )
    assert (
        "tried again before, after 5 min"
        in GreylistFinding(key=KEY, tried=GreylistTry(1, 2, 5 * MINUTE_US + 1), now_us=NOW_US).explain()
    )
    assert (
        "code" in GreylistFinding(key=KEY, code="passcode").explain()
        and GreylistFinding(problem="x").explain() == "x"
    )
