"""Who judged which message how: once per account, message and direction."""

from typing import Any

from sekisho.testing.clock import ManualClock


async def test_a_message_counts_once_per_direction_and_account(store: Any) -> None:
    note = store.judgements.note
    assert await note(1, "m", is_junk=True) == "first"
    assert await note(1, "m", is_junk=True) == "again"
    assert await note(1, "m", is_junk=False) == "changed"
    assert await note(1, "m", is_junk=False) == "again"
    assert await note(1, "m", is_junk=True) == "again"
    assert await note(2, "m", is_junk=False) == "first"
    assert await note(1, "n", is_junk=True) == "first"


async def test_the_oldest_are_forgotten(store: Any, clock: ManualClock) -> None:
    for content_id in ("a", "b", "c"):
        await store.judgements.note(1, content_id, is_junk=True)
        clock.advance(1)
    await store.judgements.trim(3)
    assert await store.judgements.note(1, "a", is_junk=True) == "again"
    await store.judgements.trim(2)
    assert await store.judgements.note(1, "b", is_junk=True) == "again"
    assert await store.judgements.note(1, "a", is_junk=True) == "first"
