from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from sekisho.adapters.process.counts import SharedConnectionCounts

A, B = ip_address("192.0.2.1"), ip_address("192.0.2.2")


def on_slot(counts: SharedConnectionCounts, slot: int) -> SharedConnectionCounts:
    counts.take_slot(slot)
    return counts


def test_caps_are_over_all_workers() -> None:
    counts = SharedConnectionCounts(2, 3, 2)
    assert on_slot(counts, 0).enter("smtp", A) is None
    assert on_slot(counts, 1).enter("smtp", A) is None
    assert counts.enter("smtp", A) == "per_ip"
    assert counts.enter("smtp", B) is None
    assert counts.enter("smtp", B) == "total"
    assert counts.enter("imap", A) is None
    counts.leave("smtp", B)
    assert counts.open_connections("smtp") == 2
    assert counts.enter("smtp", B) is None


def test_an_ipv6_client_is_its_64() -> None:
    counts = SharedConnectionCounts(1, 100, 1)
    assert counts.enter("smtp", ip_address("2001:db8:0:1::1")) is None
    assert counts.enter("smtp", ip_address("2001:db8:0:1:ffff::2")) == "per_ip"
    assert counts.enter("smtp", ip_address("2001:db8:0:2::1")) is None


def test_a_dead_worker_is_forgotten() -> None:
    counts = SharedConnectionCounts(2, 100, 2)
    for _ in range(2):
        assert on_slot(counts, 1).enter("smtp", A) is None
    assert on_slot(counts, 0).enter("smtp", B) is None
    assert counts.enter("smtp", A) == "per_ip"
    counts.forget_worker(1)
    assert counts.open_connections("smtp") == 1
    assert counts.enter("smtp", A) is None


def test_the_local_socket_has_no_cap_per_client() -> None:
    counts = SharedConnectionCounts(1, 3, 1)
    assert [counts.enter("local", A) for _ in range(4)] == [None, None, None, "total"]


def test_new_caps() -> None:
    counts = SharedConnectionCounts(1, 1, 1)
    assert counts.enter("smtp", A) is None
    counts.set_caps(2, 2)
    assert counts.enter("smtp", A) is None
    assert counts.enter("smtp", A) == "total"


@given(st.lists(st.tuples(st.sampled_from(["smtp", "imaps"]), st.integers(0, 3), st.booleans()), max_size=60))
def test_what_entered_and_left_is_what_is_open(steps: list[tuple[str, int, bool]]) -> None:
    counts = SharedConnectionCounts(3, 10, 4)
    inside: list[tuple[str, int, int]] = []
    for number, (kind, host, enters) in enumerate(steps):
        client = ip_address(host + 1)
        if enters:
            counts.take_slot(number % 3)
            here = [one for one in inside if one[0] == kind]
            refused = counts.enter(kind, client)
            assert (refused is None) == (len(here) < 10 and sum(one[1] == host for one in here) < 4)
            if refused is None:
                inside.append((kind, host, number % 3))
        elif inside:
            kind, host, slot = inside.pop()
            counts.take_slot(slot)
            counts.leave(kind, ip_address(host + 1))
    for kind in ("smtp", "imaps"):
        assert counts.open_connections(kind) == sum(one[0] == kind for one in inside)
