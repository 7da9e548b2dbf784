"""When an MTA-STS policy is fetched, and how long it is applied."""

import pytest

from sekisho.core.tlspolicy.sts import StsError
from sekisho.core.tlspolicy.stscache import RETRY_SECONDS, StsEntry, fetched, not_fetched, wants_fetch

NOW = 1_700_000_000_000_000
SECOND = 1_000_000
TEXT = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"


def test_a_live_policy_is_not_fetched_again() -> None:
    assert wants_fetch(None, "1", NOW)
    entry = fetched(None, "example.com", "1", TEXT, NOW)
    assert not wants_fetch(entry, "1", NOW + 86_399 * SECOND)
    assert wants_fetch(entry, "1", NOW + 86_400 * SECOND)
    assert wants_fetch(entry, "2", NOW + RETRY_SECONDS * SECOND)
    assert entry.policy(NOW) is not None and entry.policy(NOW + 86_400 * SECOND) is None


def test_after_a_try_five_minutes_pass() -> None:
    failed = not_fetched(None, "example.com", "sts-policy-fetch-error", NOW)
    assert failed.policy(NOW) is None
    assert not wants_fetch(failed, "1", NOW + RETRY_SECONDS * SECOND - 1)
    assert wants_fetch(failed, "1", NOW + RETRY_SECONDS * SECOND)
    assert wants_fetch(failed, "1", NOW - SECOND)  # the clock was set back


def test_a_failure_takes_nothing_away() -> None:
    entry = not_fetched(
        fetched(None, "example.com", "1", TEXT, NOW), "example.com", "sts-webpki-invalid", NOW + SECOND
    )
    policy = entry.policy(NOW + SECOND)
    assert policy is not None and policy.mode == "enforce" and entry.policy_id == "1"
    assert entry.expires_at_us == NOW + 86_400 * SECOND  # and gives none


def test_refreshed_well_before_the_end() -> None:
    assert fetched(None, "a.example", "1", TEXT, NOW).refresh_at_us() == NOW + 43_200 * SECOND
    long = TEXT.replace(b"86400", b"31557600")
    assert fetched(None, "a.example", "1", long, NOW).refresh_at_us() == NOW + 86_400 * SECOND
    short = TEXT.replace(b"86400", b"1")
    assert fetched(None, "a.example", "1", short, NOW).refresh_at_us() == NOW + RETRY_SECONDS * SECOND


def test_what_is_no_policy() -> None:
    with pytest.raises(StsError):
        fetched(None, "example.com", "1", b"mode: enforce\n", NOW)
    unreadable = StsEntry(domain="example.com", text=b"?", expires_at_us=NOW + SECOND)
    assert unreadable.policy(NOW) is None and wants_fetch(unreadable, "1", NOW)
