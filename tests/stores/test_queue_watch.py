"""Watching over the queue: all of it is counted, lost claims go back, times that only a wrong clock can have
written are set right."""

from typing import Any

from tests.stores.making import acceptance, relay
from tests.stores.test_queue import BUSY, FINE, ONE, TWO, outcomes, queue

from sekisho.ports.spool import QueueTally
from sekisho.testing.clock import ManualClock

HOUR_US = 3_600_000_000
DAY = 86_400


async def test_counts_of_more_than_a_page(store: Any, clock: ManualClock) -> None:
    for number in range(12):
        await queue(store, clock, *(f"u{number}x{part}@{part}.test" for part in range(100)))
    held = await queue(store, clock, "held@x.test", held=True)
    jobs = await store.spool.claim(ONE, 3)
    clock.advance(10)
    tally = await store.spool.tally(clock.now_us() - 11_000_000)
    claimed = sum(len(job.recipients) for job in jobs)
    assert tally == QueueTally(
        {"waiting": 1200 - claimed, "claimed": claimed, "held": 1, "parked": 0}, (), ()
    )
    assert await store.spool.drop(held) == 1
    tally = await store.spool.tally(clock.now_us())
    assert tally.counts["held"] == 0 and len(tally.stuck) == claimed
    assert {place.message_id for place in tally.stuck} == {job.message_id for job in jobs}


async def test_parked_ones_are_named(store: Any, clock: ManualClock) -> None:
    message_id = await queue(store, clock, "bad@there.test")
    for _ in range(3):
        assert len(await store.spool.claim(ONE, 10)) == 1
        await store.leases.free_owner(ONE)
    (place,) = (await store.spool.tally(0)).parked
    assert (place.message_id, place.address, place.next_hop) == (message_id, "bad@there.test", "there.test")


async def test_a_claim_given_back_is_like_that_of_a_dead_worker_and_others_stay(
    store: Any, clock: ManualClock
) -> None:
    for name in ("a", "b"):
        await queue(store, clock, f"{name}@{name}.test")
    first, second = await store.spool.claim(ONE, 10)
    await queue(store, clock, "c@c.test")
    (other,) = await store.spool.claim(TWO, 10)
    assert await store.spool.claims(ONE) == {first.epoch: first.message_id, second.epoch: second.message_id}
    assert await store.spool.give_back(ONE, frozenset({first.epoch, other.epoch, 12345})) == 1
    assert await store.spool.claims(ONE) == {second.epoch: second.message_id}
    (again,) = await store.spool.claim(TWO, 10)
    assert (again.message_id, again.recipients[0].crashes, again.recipients[0].attempts) == (
        first.message_id,
        1,
        2,
    )
    await store.spool.settle(second, outcomes(second, "delivered", FINE))
    assert await store.spool.claims(ONE) == {} and await store.spool.give_back(ONE, frozenset()) == 0


async def test_possible_times_are_left_alone(store: Any, clock: ManualClock) -> None:
    await queue(store, clock, "a@a.test")
    (job,) = await store.spool.claim(ONE, 10)
    due = clock.now_us() + HOUR_US
    await store.spool.settle(job, outcomes(job, "deferred", BUSY, retry_at_us=due), not_before_us=due)
    before = await store.spool.queue()
    assert await store.spool.pull_in(clock.now_us(), HOUR_US) == 0
    assert await store.spool.queue() == before and (await store.spool.destinations())[0].not_before_us == due


async def test_times_of_a_clock_that_was_ahead_are_set_right(store: Any, clock: ManualClock) -> None:
    """Behind nearer ones of the same next hop too, in the back-off of a destination, and in what is
    claimed."""
    clock.advance(365 * DAY)
    late = await queue(store, clock, "late@a.test")
    (job,) = await store.spool.claim(ONE, 10)
    due = clock.now_us() + HOUR_US
    await store.spool.settle(job, outcomes(job, "deferred", BUSY, retry_at_us=due), not_before_us=due)
    await queue(store, clock, "claimed@b.test")
    (claimed,) = await store.spool.claim(ONE, 10)
    clock.advance(-365 * DAY)
    near = acceptance(store, b"x", relays=(relay("near", "a.test", clock.now_us() + HOUR_US // 2),))
    await store.spool.accept(near)
    assert await store.spool.pull_in(clock.now_us(), HOUR_US) == 1
    assert await store.spool.pull_in(clock.now_us(), HOUR_US) == 0
    (ready,) = await store.spool.claim(TWO, 10)
    assert ready.message_id == late and ready.arrived_at_us == clock.now_us()
    assert ready.recipients[0].expires_at_us == clock.now_us() + 10**12
    assert {place.message_id for place in (await store.spool.tally(clock.now_us())).stuck} >= {
        claimed.message_id
    }
    clock.advance(1800)
    assert [job.message_id for job in await store.spool.claim(TWO, 10)] == [near.message_id]
