"""UidSet against Python's own sets."""

from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.terms.uidset import UidSet

uids = st.sets(st.integers(1, 60), max_size=40)


@given(uids)
def test_numbers_and_uids_are_inverse(members: set[int]) -> None:
    uidset = UidSet.of(members)
    ordered = sorted(members)
    assert list(uidset) == ordered
    assert len(uidset) == len(ordered)
    assert [uidset.uid_at(n) for n in range(1, len(ordered) + 1)] == ordered
    for uid in range(65):
        assert uidset.number_of(uid) == (ordered.index(uid) + 1 if uid in members else None)
        assert uidset.count_up_to(uid) == sum(1 for member in ordered if member <= uid)


@given(uids, uids)
def test_operations_equal_those_of_sets(left: set[int], right: set[int]) -> None:
    a, b = UidSet.of(left), UidSet.of(right)
    assert set(a | b) == left | right
    assert set(a & b) == left & right
    assert set(a - b) == left - right
    for result in (a | b, a & b, a - b):
        assert result == UidSet.of(result)  # runs are normal: ascending, not touching
