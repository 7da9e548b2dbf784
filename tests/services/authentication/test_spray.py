from sekisho.services.authentication import spray
from sekisho.services.authentication.spray import SprayWatch
from sekisho.testing.clock import ManualClock


def test_one_password_at_many_accounts() -> None:
    clock = ManualClock()
    watch = SprayWatch(b"k" * 32, clock, 3, 60)
    for name in ("a", "b", "a", "a"):
        watch.note("sakura2024", name)
    assert not watch.is_sprayed("sakura2024")
    watch.note("sakura2024", "c")
    assert watch.is_sprayed("sakura2024") and not watch.is_sprayed("sakura2025")
    clock.advance(61)
    assert not watch.is_sprayed("sakura2024")
    watch.note("sakura2024", "a")
    assert not watch.is_sprayed("sakura2024")


def test_it_is_bounded_and_can_be_off() -> None:
    watch = SprayWatch(b"k" * 32, ManualClock(), 2, 60)
    for number in range(spray.PASSWORDS + 10):
        watch.note(f"guess {number}", "a")
    assert len(watch._tried) == spray.PASSWORDS
    off = SprayWatch(b"k" * 32, ManualClock(), 0, 60)
    off.note("x", "a")
    assert not off.is_sprayed("x") and not watch.is_sprayed("")
