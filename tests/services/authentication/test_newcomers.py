from sekisho.services.authentication import newcomers
from sekisho.services.authentication.newcomers import Lately
from sekisho.testing.clock import ManualClock


def test_what_was_counted_lately() -> None:
    clock = ManualClock()
    lately = Lately(clock, 60)
    assert [lately.count("192.0.2.0/24") for _ in range(3)] == [1, 2, 3]
    assert lately.count("198.51.100.0/24") == 1
    clock.advance(59)
    assert lately.count("192.0.2.0/24") == 4
    clock.advance(61)
    assert lately.count("192.0.2.0/24") == 1


def test_it_is_bounded() -> None:
    lately = Lately(ManualClock(), 60)
    for number in range(newcomers.NETWORKS + 5):
        lately.count(str(number))
    assert len(lately._counted) == newcomers.NETWORKS
