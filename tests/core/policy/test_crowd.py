"""Who gives way, by numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.policy.crowd import CrowdRules, burden, crowding

RULES = CrowdRules()


@pytest.mark.parametrize(
    ("places", "vouched", "strangers"),
    [
        (4000, 0, 3600),
        (4000, 1000, 2600),
        (4000, 3600, 200),
        (4000, 3990, 5),
        (4000, 4000, 1),
        (3, 0, 3),
        (1, 0, 1),
        (1, 1, 1),
    ],
)
def test_how_many_strangers_there_may_be(places: int, vouched: int, strangers: int) -> None:
    assert RULES.strangers(places, vouched) == strangers


@given(st.integers(1, 10_000), st.integers(0, 10_000), st.floats(0, 0.5))
def test_there_is_always_room_for_a_stranger(places: int, vouched: int, share: float) -> None:
    assert 1 <= CrowdRules(share).strangers(places, min(vouched, places)) <= places


def test_stress_ends_lower_than_it_begins() -> None:
    assert [RULES.is_stress(1000, taken, already=False) for taken in (0, 500, 599, 600, 1000)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert [RULES.is_stress(1000, taken, already=True) for taken in (0, 399, 401, 600)] == [
        False,
        False,
        True,
        True,
    ]
    assert not RULES.is_stress(1, 0, already=False) and not RULES.is_stress(1, 0, already=True)


def test_a_flood_meets_itself() -> None:
    honest = burden(crowding(1, 1), 30.0)
    assert burden(crowding(50, 50), 1.0) > honest  # in one /24
    assert burden(crowding(1, 4000), 1.0) > honest  # one from each /24 of a provider
    assert burden(crowding(1, 4), 31.0) > honest  # from everywhere, and silent for longer
    assert burden(crowding(20, 20), 0.0) < burden(crowding(1, 1), 11.0)  # many who work are no flood
