from sekisho.services.authentication.remembered import RememberedLogins
from sekisho.testing.clock import ManualClock


def test_expiry_capacity_and_clear() -> None:
    clock = ManualClock()
    logins = RememberedLogins(b"k" * 32, clock, 60, capacity=2)
    first, second, third = (logins.fingerprint("imap", name) for name in "abc")
    for fingerprint in (first, second, third):
        logins.remember(fingerprint)
    assert not logins.has(first) and logins.has(second) and logins.has(third)
    clock.advance(60)
    assert not logins.has(second)
    logins.remember(second)
    logins.clear()
    assert not logins.has(second)


def test_inputs_do_not_run_together() -> None:
    logins = RememberedLogins(b"k" * 32, ManualClock(), 60)
    assert logins.fingerprint("ab", "c") != logins.fingerprint("a", "bc")
    assert logins.fingerprint("ab", "c") != RememberedLogins(b"x" * 32, ManualClock(), 60).fingerprint(
        "ab", "c"
    )


def test_zero_means_never() -> None:
    logins = RememberedLogins(b"k" * 32, ManualClock(), 0)
    logins.remember(logins.fingerprint("a"))
    assert not logins.has(logins.fingerprint("a"))
