"""The classifier's book: one lesson per account and message, in order, taken back at will."""

from typing import Any

import msgspec

from sekisho.ports.classifier import BookState, Tally, Taught
from sekisho.testing.clock import ManualClock


def lesson(key: str, is_spam: bool = True, account_id: int = 0, *, is_private: bool = False) -> Taught:
    return Taught(
        key=key, account_id=account_id, is_spam=is_spam, features=key.encode() * 4, is_private=is_private
    )


async def keys(store: Any, after: int = 0) -> list[tuple[str, bool]]:
    return [(each.key, each.is_spam) for each in await store.lessons.after(after, 100)]


async def test_an_empty_book(store: Any) -> None:
    assert store.lessons.state() == BookState()
    assert await store.lessons.after(0, 10) == []
    assert await store.lessons.knowledge() == b""
    assert await store.lessons.tally() == []
    assert await store.lessons.forget() == 0


async def test_lessons_come_back_in_order_and_whole(store: Any, clock: ManualClock) -> None:
    taught = [lesson("a"), lesson("b", False, 7, is_private=True), lesson("c")]
    assert await store.lessons.teach(taught) == 3
    found = await store.lessons.after(0, 100)
    assert [msgspec.structs.replace(each, serial=0, at_us=0) for each in found] == taught
    assert [each.serial for each in found] == [1, 2, 3]
    assert {each.at_us for each in found} == {clock.now_us()}
    assert await keys(store, 2) == [("c", True)]
    assert len(await store.lessons.after(0, 2)) == 2
    assert store.lessons.state().serial == 3


async def test_a_second_lesson_about_a_message_replaces_the_first(store: Any) -> None:
    await store.lessons.teach([lesson("a"), lesson("b"), lesson("a", account_id=7)])
    assert await store.lessons.teach([lesson("a")]) == 0
    assert await store.lessons.teach([lesson("a", False)]) == 1
    assert await keys(store) == [("b", True), ("a", True), ("a", False)]
    assert store.lessons.state() == BookState(serial=4, withdrawn=1)


async def test_many_at_once(store: Any) -> None:
    assert await store.lessons.teach([lesson(f"m{n}", n % 2 == 0) for n in range(450)]) == 450
    assert store.lessons.state().serial == 450


async def test_forgetting_an_account_a_message_and_all(store: Any) -> None:
    await store.lessons.teach(
        [lesson("a"), lesson("b"), lesson("a", account_id=7), lesson("c", account_id=7)]
    )
    assert await store.lessons.forget(7, "c") == 1
    assert await store.lessons.forget(key="a") == 2
    state = store.lessons.state()
    assert (state.withdrawn, state.generation) == (3, 2)
    await store.lessons.keep(b"knowledge", 4)
    assert await store.lessons.forget(8) == 0
    assert await store.lessons.forget() == 1
    assert await store.lessons.knowledge() == b""
    state = store.lessons.state()
    assert (state.serial, state.fitted, state.withdrawn) == (4, 4, 0)


async def test_knowledge_is_kept_and_marks_what_it_includes(store: Any, clock: ManualClock) -> None:
    await store.lessons.teach([lesson("a"), lesson("b")])
    await store.lessons.teach([lesson("a", False)])
    await store.lessons.keep(b"\0one", 2)
    await store.lessons.keep(b"\0two", 3)
    assert await store.lessons.knowledge() == b"\0two"
    assert store.lessons.state() == BookState(
        serial=3, fitted=3, generation=2, withdrawn=0, fitted_at_us=clock.now_us()
    )


async def test_the_oldest_of_each_side_are_forgotten(store: Any) -> None:
    await store.lessons.teach(
        [lesson(f"s{n}") for n in range(5)] + [lesson(f"h{n}", False) for n in range(2)]
    )
    assert await store.lessons.trim(3) == 2
    assert await keys(store) == [("s2", True), ("s3", True), ("s4", True), ("h0", False), ("h1", False)]
    assert store.lessons.state().withdrawn == 2
    assert await store.lessons.trim(3) == 0


async def test_tally(store: Any, clock: ManualClock) -> None:
    await store.lessons.teach([lesson("a"), lesson("b", False), lesson("c", account_id=7, is_private=True)])
    at_us = clock.now_us()
    clock.advance(5)
    await store.lessons.teach([lesson("d", account_id=7)])
    assert await store.lessons.tally() == [
        Tally(account_id=0, ham=1, spam=1, private=0, latest_at_us=at_us),
        Tally(account_id=7, ham=0, spam=2, private=1, latest_at_us=clock.now_us()),
    ]
