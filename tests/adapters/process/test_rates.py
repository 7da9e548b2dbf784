"""Sums over a sliding window, over workers, one network apart from another."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from sekisho.adapters.process.rates import SharedRates

NOW = 1_800_000_000_000_000  # the beginning of a window of 600 seconds
CLIENT = ip_address("192.0.2.7")
SECOND = 1_000_000


def test_a_network_is_counted_as_one_and_apart_from_others() -> None:
    rates = SharedRates(1, 600)
    assert rates.add("messages", CLIENT, 1, NOW) == 1
    assert rates.add("messages", ip_address("192.0.2.200"), 2, NOW) == 3
    assert rates.add("messages", ip_address("::ffff:192.0.2.9"), 1, NOW) == 4
    assert rates.total("messages", ip_address("192.0.3.7"), NOW) == 0
    assert rates.total("recipients", CLIENT, NOW) == 0
    rates.add("errors", ip_address("2001:db8:0:1::1"), 5, NOW)
    assert rates.total("errors", ip_address("2001:db8:0:1:ffff::"), NOW) == 5
    assert rates.total("errors", ip_address("2001:db8:0:2::1"), NOW) == 0


def test_what_is_past_fades_and_goes() -> None:
    rates = SharedRates(1, 600)
    rates.add("connections", CLIENT, 100, NOW)
    assert rates.total("connections", CLIENT, NOW + 600 * SECOND) == 100
    assert rates.total("connections", CLIENT, NOW + 900 * SECOND) == 50
    assert rates.add("connections", CLIENT, 1, NOW + 900 * SECOND) == 51
    assert rates.total("connections", CLIENT, NOW + 1200 * SECOND) == 1
    assert rates.total("connections", CLIENT, NOW + 1800 * SECOND) == 0
    assert rates.add("connections", CLIENT, 1, NOW + 9000 * SECOND) == 1


def test_workers_count_together() -> None:
    rates = SharedRates(3, 600)
    for slot in range(3):
        rates.take_slot(slot)
        rates.add("refused", CLIENT, slot + 1, NOW)
    assert rates.total("refused", CLIENT, NOW) == 6


def test_another_window_forgets() -> None:
    rates = SharedRates(1, 600)
    rates.add("messages", CLIENT, 9, NOW)
    rates.set_window(60)
    assert rates.total("messages", CLIENT, NOW) == 0


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(1, 20)), max_size=30))
def test_a_sum_is_never_too_small(events: list[tuple[int, int]]) -> None:
    rates = SharedRates(1, 600)
    for third, amount in events:
        rates.add("messages", ip_address(f"10.0.{third}.1"), amount, NOW)
    for third in {third for third, _ in events}:
        done = sum(amount for other, amount in events if other == third)
        assert rates.total("messages", ip_address(f"10.0.{third}.99"), NOW) >= done
