"""Who was asked to come again: one row for a sender, changed in one step, bounded."""

import asyncio
from pathlib import Path
from typing import Any

from tests.stores.conftest import open_sqlite

from sekisho.core.policy.greylist import (
    DAY_US,
    MINUTE_US,
    GreylistRules,
    GreylistTry,
    after_passing,
    after_waiting,
)
from sekisho.testing.clock import ManualClock

RULES = GreylistRules()
A, B, C = "network:192.0.2.0/24 a.example", "domain:b.example", "domain:c.example"


async def put(store: Any, key: str, tried: GreylistTry) -> None:
    await store.greylist.change(key, lambda known: tried)


async def test_a_sender_is_known_once_it_came_back(store: Any, clock: ManualClock) -> None:
    greylist, now_us = store.greylist, clock.now_us()
    assert await greylist.tried(A) is None
    assert await greylist.change(A, lambda known: after_waiting(known, now_us, RULES)) == GreylistTry(
        now_us, now_us
    )
    assert await greylist.change(A, lambda known: after_waiting(known, now_us + 1, RULES)) == GreylistTry(
        now_us, now_us + 1, 0, 2
    )
    later_us = now_us + 2 * MINUTE_US
    assert await greylist.change(A, lambda known: after_passing(known, later_us)) == GreylistTry(
        now_us, later_us, later_us, 3
    )
    assert await greylist.tried(A) == GreylistTry(now_us, later_us, later_us, 3)
    assert await greylist.tried(B) is None


async def test_simultaneous_tries_all_count(store: Any, clock: ManualClock) -> None:
    now_us = clock.now_us()
    await asyncio.gather(
        *(store.greylist.change(A, lambda known: after_waiting(known, now_us, RULES)) for _ in range(20))
    )
    assert await store.greylist.tried(A) == GreylistTry(now_us, now_us, 0, 20)


async def test_every_worker_knows_at_once(tmp_path: Path, clock: ManualClock) -> None:
    here, there = open_sqlite(tmp_path, clock, 1), open_sqlite(tmp_path, clock, 2)
    assert await there.greylist.tried(A) is None
    await put(here, A, GreylistTry(1, 2))
    assert await there.greylist.tried(A) == GreylistTry(1, 2)
    for store in (here, there):
        await store.close()


async def test_lists_have_the_latest_first(store: Any) -> None:
    await put(store, A, GreylistTry(1, 5))
    await put(store, B, GreylistTry(1, 9, 3, 2))
    await put(store, C, GreylistTry(1, 7))
    assert [known.key for known in await store.greylist.listing(10)] == [B, C, A]
    assert [known.key for known in await store.greylist.listing(10, waiting=True)] == [C, A]
    assert len(await store.greylist.listing(1)) == 1


async def test_the_summary_is_of_first_tries_since(store: Any, clock: ManualClock) -> None:
    now_us = clock.now_us()
    await put(store, A, GreylistTry(now_us - 10, now_us - 10))
    await put(store, B, GreylistTry(now_us - 3 * DAY_US, now_us - 3 * DAY_US, 0, 4))
    await put(store, C, GreylistTry(now_us - DAY_US, now_us, now_us - DAY_US + MINUTE_US, 2))
    everything = await store.greylist.summary(0, now_us, RULES)
    assert (everything.senders, everything.waiting, everything.never, everything.tries) == (3, 1, 1, 7)
    assert everything.came_back[0] == 1
    recent = await store.greylist.summary(now_us - 2 * DAY_US, now_us, RULES)
    assert (recent.senders, recent.never) == (2, 0)


async def test_who_never_came_is_counted_by_the_first_try(store: Any) -> None:
    await put(store, A, GreylistTry(10, 10))
    await put(store, B, GreylistTry(20, 25, 0, 2))
    await put(store, C, GreylistTry(15, 30, 30, 2))
    assert await store.greylist.never_came(0, 100) == 2
    assert await store.greylist.never_came(10, 20) == 1
    assert await store.greylist.never_came(11, 20) == 0


async def test_trimming_spares_who_came_back(store: Any) -> None:
    for number in range(5):
        await put(store, f"domain:never{number}.example", GreylistTry(1, 100 + number))
    for number in range(3):
        await put(store, f"domain:back{number}.example", GreylistTry(1, 50 + number, 20, 2))
    assert await store.greylist.trim(0, 100) == 0
    assert await store.greylist.trim(51, 100) == 1  # its last message is too long ago
    assert await store.greylist.trim(0, 3) == 4
    assert {known.key for known in await store.greylist.listing(10)} == {
        "domain:back1.example",
        "domain:back2.example",
        "domain:never4.example",
    }
