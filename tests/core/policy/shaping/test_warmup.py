"""The budget of a cold address: it grows on clean days of sending, and people's mail goes before bulk."""

from sekisho.core.policy.shaping.warmup import (
    DAY_US,
    HOUR_US,
    Warmth,
    WarmupRules,
    cold,
    granted,
    through_us,
    troubled,
    turned,
)

RULES = WarmupRules()
T0 = 20_000 * DAY_US


def spent(warmth: Warmth, now_us: int, wanted: int, *, bulk: bool = False) -> Warmth:
    return granted(warmth, now_us, wanted, RULES, bulk=bulk).warmth


def test_a_small_server_feels_nothing() -> None:
    warmth = cold(T0, RULES)
    for number in range(RULES.first):
        result = granted(warmth, T0 + number, 1, RULES, bulk=False)
        assert result.amount == 1
        warmth = result.warmth


def test_a_newsletter_of_300_goes_in_portions_and_knows_when_it_is_through() -> None:
    warmth, left, now_us, last_us = cold(T0, RULES), 300, T0 + 12 * HOUR_US, 0
    first = granted(warmth, now_us, left, RULES, bulk=True)
    assert first.amount == 20
    while left:
        result = granted(warmth, now_us, left, RULES, bulk=True)
        warmth, left = result.warmth, left - result.amount
        assert granted(warmth, now_us, 5, RULES, bulk=False).amount == 5  # people write meanwhile
        last_us, now_us = now_us, result.at_us
    assert last_us == first.through_us
    assert last_us - T0 < 2 * DAY_US


def test_bulk_leaves_room_for_people() -> None:
    warmth = cold(T0, RULES)
    for hour in range(24):
        warmth = spent(warmth, T0 + hour * HOUR_US, 10_000, bulk=True)
    assert warmth.used == 150
    assert granted(warmth, T0 + 23 * HOUR_US, 60, RULES, bulk=False).amount == 50


def test_only_clean_days_of_sending_count() -> None:
    idle = turned(spent(cold(T0, RULES), T0, 5), T0 + DAY_US, RULES)
    assert (idle.budget, idle.clean_days) == (200, 0)
    busy = spent(cold(T0, RULES), T0, 150)
    assert turned(busy, T0 + DAY_US, RULES).budget == 280
    assert turned(troubled(busy, T0, "slowed", RULES), T0 + DAY_US, RULES).budget == 200
    blocked = troubled(troubled(busy, T0, "blocked", RULES), T0, "slowed", RULES)
    assert turned(blocked, T0 + DAY_US, RULES).budget == 100


def test_ten_clean_days_make_it_warm_and_a_block_cold_again() -> None:
    warmth, days = cold(T0, RULES), 0
    while not warmth.is_warm:
        days += 1
        warmth = turned(spent(warmth, T0 + (days - 1) * DAY_US, warmth.budget), T0 + days * DAY_US, RULES)
    assert days == 10
    assert granted(warmth, T0 + days * DAY_US, 10**6, RULES, bulk=True).amount == 10**6
    assert not troubled(warmth, T0 + days * DAY_US, "blocked", RULES).is_warm


def test_a_clock_that_goes_back_opens_no_second_day() -> None:
    warmth = spent(cold(T0, RULES), T0, 200)
    assert granted(warmth, T0 - DAY_US, 5, RULES, bulk=False).amount == 0


def test_the_forecast_ends() -> None:
    assert through_us(cold(T0, RULES), T0, 10**9, RULES, bulk=True) < T0 + 60 * DAY_US
