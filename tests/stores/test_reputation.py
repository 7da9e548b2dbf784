"""Experience with senders: joined in any order, forgotten in time, bounded."""

from pathlib import Path
from typing import Any

import pytest
from tests.stores.conftest import open_sqlite

from sekisho.adapters.stores.sqlite.reputation import FRESH_SECONDS
from sekisho.core.policy.reputation import DAY_US, NOTHING, Event, History, ReputationRules, joined, of_event
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.reputation import Expected, Known
from sekisho.testing.clock import ManualClock

HALF_LIFE_US = ReputationRules().half_life_us
A, B, C = "domain:a.example", "domain:b.example", "client:192.0.2.1"


def close(one: History, other: History) -> bool:
    return all(
        getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9) for name in one.__struct_fields__
    )


def learn(store: Any, clock: ManualClock, key: str, *events: Event) -> None:
    store.reputation.learn([Known(key, of_event(event, clock.now_us())) for event in events])


async def test_news_count_at_once_and_after_they_were_written(store: Any, clock: ManualClock) -> None:
    assert await store.reputation.histories([A, B]) == {}
    learn(store, clock, A, "accepted", "junk")
    first = await store.reputation.histories([A, B])
    assert first.keys() == {A}
    await store.reputation.flush()
    clock.advance(40 * 86400)
    learn(store, clock, A, "cleared")
    expected = joined(first[A], of_event("cleared", clock.now_us()), HALF_LIFE_US)
    assert close((await store.reputation.histories([A]))[A], expected)
    await store.reputation.flush()
    clock.advance(FRESH_SECONDS + 1)
    assert close((await store.reputation.histories([A]))[A], expected)
    (known,) = await store.reputation.listing("domain:", 10)
    assert known.key == A
    assert close(known.history, expected)


async def test_two_workers_add_up_in_any_order(tmp_path: Path, clock: ManualClock) -> None:
    here, there = open_sqlite(tmp_path, clock, 1), open_sqlite(tmp_path, clock, 2)
    assert await here.reputation.histories([A]) == await there.reputation.histories([A]) == {}
    learn(there, clock, A, "accepted")
    clock.advance(86400 * 10)
    learn(here, clock, A, "refused")
    await here.reputation.flush()
    await there.reputation.flush()  # what happened earlier comes later
    clock.advance(FRESH_SECONDS + 1)
    now_us = clock.now_us()
    for store in (here, there):
        found = (await store.reputation.histories([A]))[A]
        assert (found.messages, found.refused, found.bad) == (2, 1, 1.0)
        assert found.good == pytest.approx(0.5 * 2 ** (-10 / 30))
        assert found.at_us - found.first_at_us == 10 * DAY_US
        assert found.at_us <= now_us
        await store.close()


async def test_a_store_that_fails_keeps_the_news(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_sqlite(tmp_path, clock)

    async def fails(*arguments: Any, **more: Any) -> None:
        raise StoreUnavailable("full")

    learn(store, clock, A, "accepted")
    with monkeypatch.context() as patch:
        patch.setattr(store.hints_writer, "write", fails)
        with pytest.raises(StoreUnavailable):
            await store.reputation.flush()
    learn(store, clock, A, "accepted")
    await store.reputation.flush()
    (known,) = await store.reputation.listing("", 10)
    assert known.history.messages == 2
    await store.close()


async def test_listing_is_by_prefix_and_the_latest_first(store: Any, clock: ManualClock) -> None:
    for key in (A, C, B):
        learn(store, clock, key, "accepted")
        clock.advance(1)
    await store.reputation.flush()
    assert [known.key for known in await store.reputation.listing("", 10)] == [B, C, A]
    assert [known.key for known in await store.reputation.listing("domain:", 10)] == [B, A]
    assert [known.key for known in await store.reputation.listing("", 1)] == [B]
    assert await store.reputation.listing("pair:", 10) == []


async def test_one_history_is_forgotten(store: Any, clock: ManualClock) -> None:
    learn(store, clock, A, "accepted")
    learn(store, clock, B, "accepted")
    assert (await store.reputation.histories([A]))[A] != NOTHING
    assert await store.reputation.forget(A)
    assert not await store.reputation.forget(A)
    assert (await store.reputation.histories([A, B])).keys() == {B}


async def test_what_weighs_least_goes_first(store: Any, clock: ManualClock) -> None:
    """A flood of names that were met once drives out no old acquaintance."""
    learn(store, clock, A, "cleared", "junk")
    clock.advance(30 * 86400)
    learn(store, clock, B, "accepted", "accepted", "accepted")
    for number in range(20):
        learn(store, clock, f"domain:{number}.flood.example", "accepted")
    await store.reputation.flush()
    assert await store.reputation.trim(1000) == 0
    assert await store.reputation.trim(2) == 20
    assert {known.key for known in await store.reputation.listing("", 10)} == {A, B}
    clock.advance(150 * 86400)
    assert await store.reputation.trim(1000) == 1
    assert [known.key for known in await store.reputation.listing("", 10)] == [A]


async def test_somebody_waits_for_mail(store: Any, clock: ManualClock) -> None:
    assert list(await store.reputation.expected()) == []
    until_us = clock.now_us() + 600_000_000
    first, second = Expected(1, until_us), Expected(2, until_us + 1)
    of_shop = Expected(1, until_us + 2, "@shop.example")
    for expected in (first, second, Expected(1, until_us + 9, "@shop.example"), of_shop):
        await store.reputation.expect(expected)
    assert set(await store.reputation.expected()) == {first, second, of_shop}
    await store.reputation.expect(Expected(2, clock.now_us()))
    assert set(await store.reputation.expected()) == {first, of_shop}
    clock.advance(600)
    assert set(await store.reputation.expected()) == {of_shop}
    clock.advance(1)
    assert list(await store.reputation.expected()) == []


async def test_every_worker_learns_who_waits(tmp_path: Path, clock: ManualClock) -> None:
    here, there = open_sqlite(tmp_path, clock, 1), open_sqlite(tmp_path, clock, 2)
    assert list(await there.reputation.expected()) == []
    await here.reputation.expect(Expected(1, clock.now_us() + 60_000_000))
    clock.advance(1)
    assert [one.account_id for one in await there.reputation.expected()] == [1]
    for store in (here, there):
        await store.close()
