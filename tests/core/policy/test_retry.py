import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.policy.retry import (
    RetrySchedule,
    is_about_next_hop,
    wants_failure_notice,
    wants_success_notice,
)
from sekisho.core.terms.envelope import Notify
from sekisho.core.terms.reply import Reply

SCHEDULE = RetrySchedule.of_seconds(
    (300, 900, 3600), jitter=0.2, lifetime=432_000, notice_lifetime=172_800, delay_notice=14_400
)


@pytest.mark.parametrize(
    ("attempts", "roll", "seconds"),
    [(1, 0, 300), (2, 0, 900), (3, 0, 3600), (9, 0, 3600), (0, 0, 300), (1, 1, 360), (1, -1, 240)],
)
def test_waits(attempts: int, roll: float, seconds: int) -> None:
    assert SCHEDULE.wait_us(attempts, roll) == seconds * 1_000_000


@given(st.integers(0, 10**18), st.integers(1, 100), st.integers(0, 10**18), st.floats(-1, 1))
def test_the_next_try_lies_between_now_and_expiry(
    now_us: int, attempts: int, expires_at_us: int, roll: float
) -> None:
    retry_at_us = SCHEDULE.retry_at_us(now_us, attempts, expires_at_us, roll)
    if now_us >= expires_at_us:
        assert retry_at_us is None
    else:
        assert retry_at_us is not None and now_us < retry_at_us <= expires_at_us


def test_notices_live_shorter() -> None:
    assert SCHEDULE.expires_at_us(5, is_notice=False) == 432_000_000_005
    assert SCHEDULE.expires_at_us(5, is_notice=True) == 172_800_000_005


@pytest.mark.parametrize(
    ("age_seconds", "notify", "by_default", "wanted"),
    [
        (14_399, None, True, False),
        (14_400, None, True, True),
        (14_400, None, False, False),
        (14_400, frozenset({"DELAY"}), False, True),
        (14_400, frozenset({"FAILURE"}), True, False),
        (14_400, frozenset({"NEVER"}), True, False),
    ],
)
def test_delay_notices(
    age_seconds: int, notify: frozenset[Notify] | None, by_default: bool, wanted: bool
) -> None:
    assert (
        SCHEDULE.wants_delay_notice(age_seconds * 1_000_000 + 7, 7, notify, by_default=by_default) is wanted
    )


def test_failure_and_success_notices() -> None:
    assert wants_failure_notice(None) and wants_failure_notice(frozenset({"FAILURE", "DELAY"}))
    assert not wants_failure_notice(frozenset({"NEVER"})) and not wants_failure_notice(frozenset({"SUCCESS"}))
    assert (
        wants_success_notice(frozenset({"SUCCESS"}))
        and not wants_success_notice(None)
        and not wants_success_notice(frozenset({"NEVER"}))
    )


@pytest.mark.parametrize(
    ("reply", "about"),
    [
        (Reply.of(421, None, "bye"), True),
        (Reply.of(451, "4.4.1", "no answer"), True),
        (Reply.of(451, "4.3.0", "no"), False),
        (Reply.of(450, None, "no"), False),
        (Reply.of(550, "5.4.4", "no"), False),
        (None, False),
    ],
)
def test_what_makes_a_destination_rest(reply: Reply | None, about: bool) -> None:
    assert is_about_next_hop(reply) is about
