from sekisho.adapters.process.recent import SharedRecent
from sekisho.services.authentication.newcomers import Lately
from sekisho.testing.clock import ManualClock


def test_what_was_counted_lately() -> None:
    clock = ManualClock()
    lately = Lately(SharedRecent(1, 16).by(clock), "asked", 60)
    assert [lately.count("192.0.2.0/24") for _ in range(3)] == [1, 2, 3]
    assert lately.count("198.51.100.0/24") == 1
    clock.advance(59)
    assert lately.count("192.0.2.0/24") == 4
    clock.advance(61)
    assert lately.count("192.0.2.0/24") == 1


def test_what_others_count_is_something_else() -> None:
    recent = SharedRecent(1, 16).by(ManualClock())
    asked, unanswered = Lately(recent, "asked", 60), Lately(recent, "unanswered", 60)
    assert [asked.count("192.0.2.0/24"), unanswered.count("192.0.2.0/24")] == [1, 1]


def test_a_network_is_no_newcomer_at_the_next_worker() -> None:
    recent = SharedRecent(2, 16)
    lately = Lately(recent.by(ManualClock()), "asked", 60)
    found = []
    for number in range(4):
        recent.take_slot(number % 2)
        found.append(lately.count("192.0.2.0/24"))
    assert found == [1, 2, 3, 4]
