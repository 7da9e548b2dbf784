from sekisho.services.authentication import newcomers
from sekisho.services.authentication.newcomers import Newcomers
from sekisho.testing.clock import ManualClock


def test_the_first_tries_of_a_network_are_a_newcomers() -> None:
    clock = ManualClock()
    counted = Newcomers(clock, 60)
    assert [counted.is_one("192.0.2.0/24") for _ in range(5)] == [True, True, True, False, False]
    assert counted.is_one("198.51.100.0/24")
    clock.advance(61)
    assert counted.is_one("192.0.2.0/24")


def test_it_is_bounded() -> None:
    counted = Newcomers(ManualClock(), 60)
    for number in range(newcomers.NETWORKS + 5):
        counted.is_one(str(number))
    assert len(counted._asked) == newcomers.NETWORKS
