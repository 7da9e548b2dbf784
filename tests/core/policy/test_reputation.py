"""The score: bounded, monotone, fading, and the same whatever the order of events."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.policy.reputation import (
    DAY_US,
    NOTHING,
    WEIGHTS,
    History,
    ReputationRules,
    client_key,
    is_awaited,
    is_bad,
    is_good,
    joined,
    network_key,
    network_of,
    of_event,
    pair_key,
    standing,
)

HALF_LIFE_US = 30 * DAY_US
NOW_US = 1_800_000_000_000_000
RULES = ReputationRules()
events = st.lists(
    st.tuples(st.sampled_from(list(WEIGHTS)), st.integers(NOW_US - 400 * DAY_US, NOW_US)), max_size=30
)


def history(*happened: tuple[str, int]) -> History:
    whole = NOTHING
    for event, at_us in happened:
        whole = joined(whole, of_event(event, at_us), HALF_LIFE_US)  # type: ignore[arg-type]
    return whole


def score(known: History, now_us: int = NOW_US) -> float:
    return standing("domain:example.org", known, now_us, HALF_LIFE_US).score


def same(one: History, other: History) -> bool:
    fields = zip(list(one.__struct_fields__), list(other.__struct_fields__), strict=True)
    return all(getattr(one, a) == pytest.approx(getattr(other, b), rel=1e-9, abs=1e-12) for a, b in fields)


@given(events, st.randoms(use_true_random=False))
def test_the_order_of_events_is_nothing(happened: list[tuple[str, int]], random: object) -> None:
    shuffled = list(happened)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert same(history(*happened), history(*shuffled))


@given(events, events)
def test_histories_of_two_workers_join_to_one(
    here: list[tuple[str, int]], there: list[tuple[str, int]]
) -> None:
    assert same(joined(history(*here), history(*there), HALF_LIFE_US), history(*here, *there))
    assert (
        joined(history(*here), NOTHING, HALF_LIFE_US)
        == joined(NOTHING, history(*here), HALF_LIFE_US)
        == history(*here)
    )


@given(events, st.integers(0, 4000))
def test_a_score_is_bounded_and_fades_to_the_middle(happened: list[tuple[str, int]], days: int) -> None:
    known = history(*happened)
    now, later = score(known), score(known, NOW_US + days * DAY_US)
    assert 0 < now < 1
    assert abs(later - 0.5) <= abs(now - 0.5) + 1e-12
    assert (later - 0.5) * (now - 0.5) >= 0


@given(events, st.sampled_from(list(WEIGHTS)), st.integers(NOW_US - 400 * DAY_US, NOW_US))
def test_a_good_event_never_lowers_it_and_a_bad_one_never_raises_it(
    happened: list[tuple[str, int]], event: str, at_us: int
) -> None:
    before, after = score(history(*happened)), score(history(*happened, (event, at_us)))
    good, bad = WEIGHTS[event]  # type: ignore[index]
    assert (after >= before - 1e-12) if good > bad else (after <= before + 1e-12)


@given(events)
def test_nobody_is_good_and_bad(happened: list[tuple[str, int]]) -> None:
    known = standing("client:192.0.2.1", history(*happened), NOW_US, HALF_LIFE_US)
    assert not (is_good(known, RULES) and is_bad(known, RULES))
    assert known.weight >= 0


def test_half_is_left_after_a_half_life() -> None:
    known = history(("junk", NOW_US), ("cleared", NOW_US))
    assert standing("k:", known, NOW_US, HALF_LIFE_US).weight == pytest.approx(6)
    assert standing("k:", known, NOW_US + HALF_LIFE_US, HALF_LIFE_US).weight == pytest.approx(3)


@pytest.mark.parametrize(
    ("happened", "good", "bad"),
    [
        ([], False, False),
        (["accepted"] * 5, False, False),
        (["accepted"] * 6, True, False),
        (["cleared"], True, False),
        (["written"], True, False),
        (["accepted"] * 6 + ["junk"], False, False),
        (["accepted"] * 30 + ["junk"], True, False),
        (["junk"], False, False),  # one person does not speak for all
        (["junk"] * 2, False, True),
        (["refused"] * 4, False, True),
        (["suspect"] * 7, False, False),
        (["suspect"] * 8, False, True),
        (["refused"] * 4 + ["accepted"] * 4, False, False),
    ],
)
def test_how_much_it_takes(happened: list[str], good: bool, bad: bool) -> None:
    known = standing(
        "domain:example.org", history(*((event, NOW_US) for event in happened)), NOW_US, HALF_LIFE_US
    )
    assert (is_good(known, RULES), is_bad(known, RULES)) == (good, bad)


def test_bad_history_ends_by_itself() -> None:
    known = history(*(("refused", NOW_US) for _ in range(8)))
    assert is_bad(standing("k:", known, NOW_US, HALF_LIFE_US), RULES)
    assert not is_bad(standing("k:", known, NOW_US + 31 * DAY_US, HALF_LIFE_US), RULES)


def test_the_last_word_of_a_person_counts() -> None:
    assert not NOTHING.is_trusted
    assert history(("junk", NOW_US), ("junk", NOW_US + 1), ("cleared", NOW_US + 2)).is_trusted
    assert not history(("cleared", NOW_US), ("written", NOW_US + 1), ("junk", NOW_US + 2)).is_trusted
    assert not history(("accepted", NOW_US)).is_trusted


def test_it_is_told_in_numbers() -> None:
    first_us = NOW_US - 40 * DAY_US
    happened = [("accepted", first_us), *[("accepted", NOW_US)] * 10, ("suspect", NOW_US), ("junk", NOW_US)]
    known = standing("network:192.0.2.0/24", history(*happened), NOW_US, HALF_LIFE_US)
    assert (
        str(known)
        == "network 192.0.2.0/24: 12 messages in 40 days, 1 refused or put into Junk, 1 judged junk: score "
        "0.58"
    )
    known = standing(
        "domain:example.org", history(("accepted", NOW_US - 1), ("written", NOW_US)), NOW_US, HALF_LIFE_US
    )
    assert str(known) == "domain example.org: 1 message in 1 day, 1 letter to it: score 0.82"
    known = standing("pair:a@b.example 1", history(*[("cleared", NOW_US)] * 2), NOW_US, HALF_LIFE_US)
    assert (
        str(standing("client:192.0.2.1", NOTHING, NOW_US, HALF_LIFE_US))
        == "client 192.0.2.1: unknown: score 0.50"
    )
    assert str(known) == "pair a@b.example: 2 taken out of Junk: score 0.88"


def test_keys() -> None:
    assert client_key(ip_address("192.0.2.77")) == "client:192.0.2.77"
    assert network_key(network_of(ip_address("192.0.2.77"))) == "network:192.0.2.0/24"
    assert network_of(ip_address("2001:db8:1:2:3::4")) == "2001:db8:1:2::/64"
    assert pair_key("a@b.example", 7) != pair_key("a@b.example", 7, "192.0.2.0/24")


@pytest.mark.parametrize(
    ("sender", "addresses", "awaited"),
    [
        ("", ["a@shop.example"], True),
        ("", [], True),
        ("a@shop.example", ["x@other.example", "a@shop.example"], True),
        ("a@shop.example", ["b@shop.example"], False),
        ("@shop.example", ["b@shop.example"], True),
        ("@shop.example", ["b@mail.shop.example"], True),
        ("@shop.example", ["b@workshop.example"], False),
        ("@shop.example", [], False),
    ],
)
def test_who_is_awaited(sender: str, addresses: list[str], awaited: bool) -> None:
    assert is_awaited(sender, addresses) is awaited
