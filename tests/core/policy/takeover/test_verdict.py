"""Signals one by one, what they add up to, and what an operator's word changes."""

from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from sekisho.core.policy.takeover.accounting import count_outcomes, pardon, unlearn
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import (
    Reach,
    Said,
    Sending,
    SentLink,
    client_of,
    network_of,
    wide_network,
)
from sekisho.core.policy.takeover.signals import NAMES, SIGNALS
from sekisho.core.policy.takeover.state import DAY_US, HOUR_US, MAX_CONTENTS, MAX_NETWORKS, State
from sekisho.core.policy.takeover.verdict import Verdict, consider, review
from sekisho.core.policy.takeover.wording import reason_in

RULES = GuardRules()
BEGIN = 20_000 * DAY_US
NOW = BEGIN + 30 * DAY_US + 10 * HOUR_US
HOME, AWAY = "198.51.100.0/24", "203.0.113.0/24"
USUAL = Sending(
    message_id="m",
    account_id=1,
    credential_id="password",
    at_us=NOW,
    network=HOME,
    client="Thunderbird, literal, PLAIN",
    remote_recipients=1,
    identities=(7,),
)
STRANGE = replace(USUAL, network=AWAY, client="unnamed, single, LOGIN")


def settled(days: int = 30) -> State:
    """A month of five messages a day at nine o'clock to people it knows."""
    state = State()
    for day in range(days):
        for minute in range(5):
            consider(
                state,
                replace(USUAL, at_us=BEGIN + day * DAY_US + 9 * HOUR_US + minute),
                Reach(known=1),
                RULES,
            )
    return state


def names(verdict: Verdict) -> set[str]:
    return {reason.signal for reason in verdict.reasons}


def test_ordinary_mail_passes_and_an_unfamiliar_context_waits() -> None:
    state = settled()
    assert consider(state, USUAL, Reach(known=1), RULES).action == "pass"
    verdict = consider(state, STRANGE, Reach(known=1), RULES)
    assert (verdict.action, verdict.score, names(verdict)) == ("slow", 35, {"network", "client"})
    assert verdict.because == (
        "The network 203.0.113.0/24 is new for this account. The mail program (unnamed, single, LOGIN) is "
        "new for this account."
    )
    assert (
        consider(state, replace(USUAL, network="198.51.7.0/24"), Reach(known=1), RULES).score == 10
    )  # the same provider


def test_from_a_strange_place_new_links_and_many_messages_speak() -> None:
    def link(n: int, *, quoted: bool = False) -> tuple[SentLink, ...]:
        return (SentLink(n, f"shop{n}.example", quoted),)

    def verdicts(*, quoted: bool, like: Sending = STRANGE) -> list[Verdict]:
        state = settled()
        mail = [
            replace(like, at_us=like.at_us + n * HOUR_US // 4, links=link(n, quoted=quoted))
            for n in range(40)
        ]
        return [consider(state, one, Reach(known=1), RULES) for one in mail]

    answers = verdicts(quoted=False)
    held = next(n for n, verdict in enumerate(answers) if verdict.holds)
    assert 12 <= held <= 18 and "fresh-links" in names(answers[held])
    assert not any(verdict.holds for verdict in verdicts(quoted=True))
    assert not any(names(verdict) & {"fresh-links", "busy"} for verdict in verdicts(quoted=False, like=USUAL))
    busy = settled()
    many = [
        consider(busy, replace(STRANGE, at_us=STRANGE.at_us + n), Reach(known=1), RULES) for n in range(120)
    ]
    assert ["busy" in names(verdict) for verdict in (many[30], many[60], many[-1])] == [False, True, True]


def test_a_young_account_is_free_only_where_it_began() -> None:
    """On its fourth day it writes to sixty strangers: from where it began, from a place of later, from
    nowhere known."""
    letters = [
        replace(one, at_us=BEGIN + 3 * DAY_US + 10 * HOUR_US + n) for n in range(60) for one in [USUAL]
    ]
    at_home, away = settled(3), settled(3)
    assert not any(consider(at_home, one, Reach(strangers=1), RULES).holds for one in letters)
    elsewhere = [replace(one, network=AWAY, client=STRANGE.client) for one in letters]
    assert any("strangers" in names(consider(away, one, Reach(strangers=1), RULES)) for one in elsewhere)


def test_the_bulk_right_of_a_seldom_used_account_stays_at_home() -> None:
    """One newsletter a month ago is all its history."""

    def holds(like: Sending) -> bool:
        state = State()
        consider(
            state, replace(USUAL, at_us=BEGIN, remote_recipients=50), Reach(strangers=50), RULES, bulk=True
        )
        issues = [replace(like, at_us=NOW + n, remote_recipients=50) for n in range(4)]
        return any(
            consider(state, one, Reach(strangers=50, domains=tuple(range(12))), RULES, bulk=True).holds
            for one in issues
        )

    assert holds(STRANGE) and not holds(USUAL)
    assert not holds(replace(STRANGE, client=USUAL.client)) and not holds(
        replace(STRANGE, network=USUAL.network)
    )


def test_context_becomes_familiar_on_its_third_day() -> None:
    state = settled()
    scores = [
        consider(state, replace(STRANGE, at_us=NOW + day * DAY_US), Reach(known=1), RULES).score
        for day in range(4)
    ]
    assert scores == [35, 35, 18, 0]


def test_a_strange_place_alone_never_holds() -> None:
    state = settled()
    worst = replace(STRANGE, credential_id="other", at_us=NOW + 13 * HOUR_US)
    verdicts = [
        consider(state, replace(worst, at_us=worst.at_us + n), Reach(known=1), RULES) for n in range(25)
    ]
    assert {verdict.action for verdict in verdicts} == {"slow"} and {
        verdict.context for verdict in verdicts
    } == {45}


def test_strangers_from_a_strange_place_hold_sooner_than_from_home() -> None:
    counts = {}
    for sending in (USUAL, STRANGE):
        state = settled()
        for count in range(1, 200):
            if consider(state, replace(sending, at_us=NOW + count), Reach(strangers=1), RULES).holds:
                break
        counts[sending.network] = count
    assert counts == {AWAY: 31, HOME: 57}


def test_one_invitation_counts_less_than_many_messages() -> None:
    state = settled()
    verdict = consider(state, replace(USUAL, remote_recipients=40), Reach(strangers=40), RULES)
    assert (verdict.action, verdict.score) == ("slow", 0)
    assert not consider(settled(), replace(USUAL, remote_recipients=60), Reach(strangers=60), RULES).holds
    assert consider(
        settled(), replace(STRANGE, remote_recipients=50, hidden=50), Reach(strangers=50), RULES
    ).holds


def test_who_answers_people_that_wrote_first_may_answer_many() -> None:
    state = settled()
    for number in range(1, 60):
        answer = replace(USUAL, at_us=NOW + number, thread=number, answers=True, contents=(5,))
        assert not consider(state, answer, Reach(strangers=1), RULES).holds
    state = settled()
    one_thread = [replace(USUAL, at_us=NOW + n, thread=1, answers=True) for n in range(60)]
    assert any(consider(state, sending, Reach(strangers=1), RULES).holds for sending in one_thread)


def test_the_same_text_to_many_counts_unless_it_was_used_for_days() -> None:
    state = settled()
    for number in range(16):
        verdict = consider(state, replace(USUAL, at_us=NOW + number, contents=(5,)), Reach(known=1), RULES)
    assert verdict.score == 42 and str(verdict.reasons[0]) == "The same text or link went out in 16 messages."
    later = consider(state, replace(USUAL, at_us=NOW + 2 * DAY_US, contents=(5,)), Reach(known=1), RULES)
    assert later.score == 0


def test_links_names_hidden_recipients_networks_and_content_checks_speak() -> None:
    odd = replace(
        USUAL,
        links=(SentLink(1, "evil.example"),),
        identities=(8,),
        reply_elsewhere="x@y.example",
        hidden=12,
        said=(Said("content", "0.71"),),
    )
    verdict = consider(settled(), odd, Reach(known=12), RULES)
    assert {reason.signal: reason.points for reason in verdict.reasons} == {
        "content": 30,
        "identity": 15,
        "hidden": 15,
        "link": 10,
    }
    state = settled()
    for number in range(4):
        verdict = consider(
            state, replace(USUAL, at_us=NOW + number, network=f"192.0.{number}.0/24"), Reach(known=1), RULES
        )
    assert {reason.signal: reason.points for reason in verdict.reasons} == {"network": 20, "networks": 15}
    for number in range(4, 16):
        verdict = consider(
            state, replace(USUAL, at_us=NOW + number, network=f"192.0.{number}.0/24"), Reach(known=1), RULES
        )
    assert str(verdict.reasons[0]) == "Mail came from 16 new networks within an hour." and verdict.score == 75


def test_dormant_recipients_and_scattered_domains() -> None:
    state = settled()
    verdict = consider(state, replace(USUAL, remote_recipients=40), Reach(known=40, dormant=20), RULES)
    assert names(verdict) == {"dormant"}
    verdict = consider(
        state, replace(USUAL, remote_recipients=12), Reach(strangers=12, domains=tuple(range(12))), RULES
    )
    assert "domains" in names(verdict)


@pytest.mark.parametrize(
    ("bounced", "delivered", "points"), [(2, 1, 0), (3, 4, 40), (5, 60, 0), (5, 30, 40), (12, 10, 60)]
)
def test_bounces(bounced: int, delivered: int, points: int) -> None:
    state = settled()
    count_outcomes(state, NOW, delivered=delivered, bounced=bounced)
    assert review(state, 1, "password", NOW, RULES).score == points


def test_bounces_after_strange_mail_hold_what_still_waits() -> None:
    state = settled()
    for number in range(20):
        assert not consider(state, replace(STRANGE, at_us=NOW + number), Reach(known=1), RULES).holds
    count_outcomes(state, NOW + HOUR_US, delivered=10, bounced=10)
    verdict = review(state, 1, "password", NOW + HOUR_US, RULES)
    assert not verdict.holds and verdict.context == 35
    count_outcomes(state, NOW + HOUR_US, complaints=1)
    assert review(state, 1, "password", NOW + HOUR_US, RULES).action == "hold"


def test_budgets_hold_whatever_else_is_known() -> None:
    state = State()
    everybody = replace(USUAL, remote_recipients=201)
    assert consider(state, everybody, Reach(strangers=201), RULES).reasons[0].signal == "first-time-budget"
    state = State()
    assert not consider(state, replace(USUAL, local_recipients=900), Reach(), RULES).holds
    verdict = consider(state, replace(USUAL, local_recipients=101), Reach(), RULES)
    assert verdict.holds and "budget" in names(verdict)
    tomorrow = replace(USUAL, at_us=NOW + DAY_US, local_recipients=1)
    assert "budget" not in names(consider(state, tomorrow, Reach(), RULES))


def test_a_program_has_a_small_budget() -> None:
    state = State()
    program = replace(USUAL, is_service=True, remote_recipients=1)
    actions = [
        consider(state, replace(program, at_us=NOW + n), Reach(known=1), RULES).action for n in range(51)
    ]
    assert set(actions[:50]) == {"pass"} and actions[50] == "hold"


def test_the_bulk_right_is_for_who_is_recognised() -> None:
    large = Reach(strangers=1000, domains=tuple(range(32)))
    assert (
        consider(settled(), replace(USUAL, remote_recipients=1000), large, RULES, bulk=True).action == "pass"
    )
    assert (
        consider(
            settled(), replace(STRANGE, client=USUAL.client, remote_recipients=1000), large, RULES, bulk=True
        ).action
        == "slow"
    )
    assert (
        consider(settled(), replace(STRANGE, remote_recipients=1000), large, RULES, bulk=True).action
        == "freeze"
    )
    assert (
        consider(State(), replace(STRANGE, remote_recipients=1000), large, RULES, bulk=True).action == "pass"
    )


def test_an_operators_pardon_lets_the_same_happen_again() -> None:
    state = settled()
    mail = [
        replace(USUAL, at_us=NOW + n, contents=(5,), links=(SentLink(6, "new.example"),)) for n in range(60)
    ]
    assert consider_all(state, mail).holds
    pardon(state, NOW + HOUR_US)
    again = [replace(sending, at_us=sending.at_us + 2 * HOUR_US) for sending in mail]
    assert not consider_all(state, again).holds


def test_what_a_thief_did_is_unlearnt() -> None:
    state = settled(20)
    before = msgspec.msgpack.encode(state)
    thief = [
        replace(STRANGE, at_us=NOW + n, identities=(9,), links=(SentLink(6, "evil.example"),), contents=(5,))
        for n in range(60)
    ]
    assert consider_all(state, thief).action == "freeze"
    unlearn(state, NOW)
    after = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State)
    earlier = msgspec.msgpack.decode(before, type=State)
    assert (after.days, after.networks, after.clients, after.links) == (
        earlier.days,
        earlier.networks,
        earlier.clients,
        earlier.links,
    )
    assert consider(state, replace(USUAL, at_us=NOW + 100), Reach(strangers=1), RULES).action == "pass"


def consider_all(state: State, mail: list[Sending]) -> Verdict:
    return max(
        (consider(state, sending, Reach(strangers=1), RULES) for sending in mail),
        key=lambda verdict: verdict.score,
    )


def test_memory_is_bounded_and_the_owners_places_are_kept() -> None:
    state = settled()
    for number in range(3000):
        sending = replace(
            STRANGE,
            at_us=NOW + number,
            network=f"10.{number // 256}.{number % 256}.0/24",
            client=f"c{number}",
            credential_id=f"k{number}",
            identities=(number,),
            links=(SentLink(number, "x"),),
            contents=(10**6 + number,),
            thread=number,
        )
        consider(state, sending, Reach(known=1, domains=(number,)), GuardRules(hold_at=10**6))
    assert len(state.networks) == MAX_NETWORKS and len(state.contents) == MAX_CONTENTS
    assert HOME in state.networks and USUAL.client in state.clients
    assert len(msgspec.msgpack.encode(state)) < 16_384


def test_signals_can_be_left_out_by_name() -> None:
    rules = GuardRules(ignored=frozenset({"network", "client"}))
    assert consider(settled(), STRANGE, Reach(known=1), rules).score == 0
    assert len(NAMES) == len(SIGNALS)


@pytest.mark.parametrize(
    ("address", "network", "wide"),
    [
        ("198.51.100.77", "198.51.100.0/24", "198.51"),
        ("::ffff:198.51.100.77", "198.51.100.0/24", "198.51"),
        ("2001:db8:1:2::3", "2001:db8:1::/48", "2001:db8"),
    ],
)
def test_networks(address: str, network: str, wide: str) -> None:
    assert network_of(ip_address(address)) == network and wide_network(network) == wide
    assert network_of(None) == ""


def test_programs_are_known_without_their_versions() -> None:
    one = client_of("Mozilla/5.0 (X11; rv:115.0) Thunderbird/115.3.1", "[192.168.1.7]", "PLAIN")
    assert (
        one
        == client_of("Mozilla/5.0 (X11; rv:128.0) Thunderbird/128.1", "[10.0.0.2]", "PLAIN")
        != client_of("", "WIN-1", "LOGIN")
    )
    assert (
        client_of("", "host-17.pool.example.net", "")
        == client_of("", "host-99.pool.example.net", "")
        == "unnamed, example.net, none"
    )


@pytest.mark.parametrize("check", ["virus", "rspamd", "attachment", "content"])
def test_of_what_content_says_only_a_virus_holds_by_itself(check: Any) -> None:
    verdict = consider(
        settled(), replace(USUAL, said=(Said(check, "words"),)), Reach(known=1), RULES, bulk=True
    )
    (reason,) = verdict.reasons
    assert reason.signal == check and str(reason).endswith(": words.")
    assert verdict.action == ("hold" if check == "virus" else "slow")
    ja = reason_in(reason, "ja")
    assert ja.endswith(": words") and ja != reason_in(reason, "en")


@pytest.mark.parametrize("check", ["rspamd", "attachment", "content"])
def test_doubtful_content_from_a_strange_place_waits_and_two_opinions_hold(check: Any) -> None:
    assert (
        consider(settled(), replace(STRANGE, said=(Said(check, "x"),)), Reach(known=1), RULES).action
        == "slow"
    )
    both = (Said("rspamd", "x"), Said("content", "x"))
    assert consider(settled(), replace(STRANGE, said=both), Reach(known=1), RULES).holds
