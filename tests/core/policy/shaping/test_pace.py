"""A complaint slows everything for the provider at once, and the pace comes back slowly."""

import itertools

from sekisho.core.policy.shaping.pace import (
    FREE,
    FREE_PER_MINUTE,
    LONGEST_REST_US,
    MINUTE_US,
    SECOND_US,
    Pace,
    admitted,
    eased,
    slowed,
)
from sekisho.core.policy.shaping.recognise import Recognised, recognise_text

T0 = 1_800_000_000 * SECOND_US
GOOGLE = "aspmx.l.google.com"


def complaint(text: str = "421 4.7.28 unusual rate of mail", remote: str = GOOGLE) -> Recognised:
    found = recognise_text(text, remote)
    assert found is not None
    return found


def after(pace: Pace, now_us: int) -> Pace:
    pace_after = slowed(pace, now_us, complaint(), "421 4.7.28")
    assert pace_after is not None
    return pace_after


def test_without_complaints_nothing_waits() -> None:
    for _ in range(1000):
        assert admitted(FREE, T0) == (FREE, T0)


def test_a_complaint_closes_the_provider_then_messages_go_one_by_one() -> None:
    pace = after(FREE, T0)
    assert pace.closed_until_us == T0 + 15 * MINUTE_US
    times = []
    for _ in range(5):
        pace, at_us = admitted(pace, T0 + MINUTE_US)
        times.append(at_us)
    assert times[0] == pace.closed_until_us
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [3 * SECOND_US] * 4
    for at_us in times:  # who was given a time goes at that time
        pace, now_us = admitted(pace, at_us)
        assert now_us == at_us


def test_what_was_under_way_counts_once_and_new_trouble_halves_again() -> None:
    pace = after(FREE, T0)
    assert slowed(pace, T0 + SECOND_US, complaint(), "421 4.7.28") is None
    again_us = pace.closed_until_us + MINUTE_US
    worse = after(pace, again_us)
    assert worse.per_minute == pace.per_minute / 2
    assert worse.closed_until_us - again_us == 2 * 15 * MINUTE_US
    for _ in range(20):
        worse = after(worse, worse.closed_until_us + MINUTE_US)
    assert worse.per_minute == 1.0
    assert worse.closed_until_us - worse.slowed_at_us == LONGEST_REST_US


def test_the_pace_grows_slowly_until_it_is_free() -> None:
    pace, now_us, steps = after(FREE, T0), T0, 0
    while not pace.is_free:
        now_us += MINUTE_US
        pace = eased(pace, now_us, 5) or pace
        steps += 1
        assert steps < 1000
    assert steps == 15 + 5 * (FREE_PER_MINUTE - 20) / 5
    assert pace == FREE


def test_fewer_connections_close_nothing_for_long() -> None:
    pace = slowed(
        FREE,
        T0,
        complaint("421 4.3.2 exceeded the maximum number of connections", "x.olc.protection.outlook.com"),
        "",
    )
    assert pace is not None
    assert (pace.connections, pace.per_minute) == (2, 0.0)
    assert admitted(pace, T0 + 61 * SECOND_US)[1] == T0 + 61 * SECOND_US
    for minutes in range(6, 30, 6):
        pace = eased(pace, T0 + minutes * MINUTE_US, 5) or pace
    assert pace == FREE


def test_a_day_without_trouble_is_enough_even_without_mail() -> None:
    pace = after(FREE, T0)
    assert admitted(pace, pace.closed_until_us + 24 * 60 * MINUTE_US)[0] == FREE


def test_one_recipients_trouble_is_no_complaint() -> None:
    for text in (
        "450 4.2.1 The user is receiving email too quickly",
        "452 4.2.2 mailbox full",
        "550 5.1.1 No",
    ):
        assert slowed(FREE, T0, complaint(text), text) is None
