"""What was tried lately, over workers, in bounded memory."""

import os

from hypothesis import given
from hypothesis import strategies as st

from sekisho.adapters.process.recent import SETS, WAYS, SharedRecent


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from("abc"), st.sampled_from("uvwxyz"), st.floats(0, 40)),
        max_size=60,
    )
)
def test_it_counts_as_one_worker_would(steps: list[tuple[int, str, str, float]]) -> None:
    recent, alone, now = SharedRecent(3, 16), SharedRecent(1, 16), 1000.0
    until: dict[tuple[int, str], float] = {}
    members: dict[tuple[int, str], set[str]] = {}
    for slot, key, member, passed in steps:
        now += int(passed)
        recent.take_slot(slot)
        recent.note(key, member, now, 30)
        if until.get((slot, key), 0.0) < now:
            members[slot, key] = set()
        members[slot, key].add(member)
        until[slot, key] = now + 30
        expected = set[str]().union(
            *(members[one, key] for one in range(3) if until.get((one, key), 0.0) >= now)
        )
        assert recent.members(key, now) == len(expected)
    assert alone.members("a", now) == 0


def test_a_dead_workers_counts_stay_and_the_next_one_goes_on() -> None:
    recent = SharedRecent(2, 16)
    recent.take_slot(1)
    child = os.fork()
    if child == 0:
        for _ in range(3):
            recent.count("a", 1000.0, 60)
        os._exit(0)
    os.waitpid(child, 0)
    recent.take_slot(0)
    assert recent.count("a", 1010.0, 60) == 4
    recent.take_slot(1)
    assert (
        recent.count("a", 1020.0, 60) == 5
        and recent.count("a", 1070.5, 60) == 5
        and recent.count("a", 1131.0, 60) == 1
    )


def test_members_are_bounded() -> None:
    recent = SharedRecent(1, 16)
    for number in range(100):
        recent.note("a", str(number), 1000.0, 60)
    assert recent.members("a", 1000.0) == 16


def test_a_flood_of_keys_costs_the_oldest_and_no_memory() -> None:
    recent = SharedRecent(1, 1)
    octets = recent._cells.nbytes
    for number in range(4000):
        recent.count(f"old {number}", 1000.0, 600)
    for number in range(SETS * WAYS):
        recent.count(str(number), 1100.0, 600)
    kept = sum(recent.count(f"old {number}", 1101.0, 600) > 1 for number in range(100))
    assert kept < 80 and recent._cells.nbytes == octets
    assert (
        sum(recent.count(str(number), 1101.0, 600) > 1 for number in range(SETS * WAYS - 1000, SETS * WAYS))
        > 800  # which sets they share hangs on the process's hash seed
    )


def test_nobody_reads_in_it_what_was_typed() -> None:
    recent, other = SharedRecent(1, 16), SharedRecent(1, 16)
    for one in (recent, other):
        one.note("password:himitsu", "alice@example.test", 1000.0, 60)
    assert bytes(recent._cells) != bytes(other._cells) and b"himitsu" not in bytes(recent._cells)
