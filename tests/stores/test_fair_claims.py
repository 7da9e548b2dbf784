"""Claims that leave busy next hops out, and take no more of one than they may."""

from typing import Any

from tests.stores.making import acceptance

from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Recipient
from sekisho.ports.leases import Owner
from sekisho.ports.spool import RelayRecipient
from sekisho.testing.clock import ManualClock

OWNER = Owner("host", 0, 1)


async def fill(store: Any, clock: ManualClock, next_hop: str, count: int, due_in_seconds: int = 0) -> None:
    for number in range(count):
        recipient = Recipient(Address(f"u{number}", next_hop))
        due = clock.now_us() + due_in_seconds * 1_000_000
        await store.spool.accept(
            acceptance(
                store,
                b"S: x\r\n\r\n",
                relays=(
                    RelayRecipient(
                        recipient=recipient, next_hop=next_hop, due_at_us=due, expires_at_us=due + 10**12
                    ),
                ),
            )
        )


async def test_no_more_than_a_portion_of_each(store: Any, clock: ManualClock) -> None:
    await fill(store, clock, "many.example", 9)
    await fill(store, clock, "few.example", 2)
    jobs = await store.spool.claim(OWNER, 100, per_next_hop=3)
    assert sorted(job.next_hop for job in jobs) == ["few.example"] * 2 + ["many.example"] * 3
    assert len(await store.spool.claim(OWNER, 100)) == 6


async def test_busy_next_hops_are_left_out(store: Any, clock: ManualClock) -> None:
    await fill(store, clock, "busy.example", 2)
    await fill(store, clock, "later.example", 1, due_in_seconds=60)
    busy = frozenset({"busy.example", "it's.example"})
    assert await store.spool.claim(OWNER, 100, busy=busy) == []
    assert await store.spool.next_due_at_us() <= clock.now_us()
    assert await store.spool.next_due_at_us(busy) == clock.now_us() + 60_000_000
    assert await store.spool.next_due_at_us(busy | {"later.example"}) is None
    assert len(await store.spool.claim(OWNER, 100)) == 2


async def test_a_crash_is_told_to_the_next_owner(store: Any, clock: ManualClock) -> None:
    await fill(store, clock, "x.example", 1)
    (job,) = await store.spool.claim(OWNER, 1)
    assert job.recipients[0].crashes == 0
    await store.leases.free_owner(OWNER)
    (job,) = await store.spool.claim(OWNER, 1)
    assert job.recipients[0].crashes == 1
    (queued,) = await store.spool.queue()
    assert queued.recipients[0].crashes == 1
