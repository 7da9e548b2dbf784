"""Leases with fencing epochs, and counters whose windows slide."""

from typing import Any

from sekisho.ports.leases import Owner
from sekisho.testing.clock import ManualClock

ONE, TWO = Owner("host", 0, 1), Owner("host", 1, 2)


async def test_one_owner_at_a_time(store: Any, clock: ManualClock) -> None:
    epoch = await store.leases.acquire("maintenance", ONE, 10)
    assert epoch > 0
    assert await store.leases.acquire("maintenance", TWO, 10) is None
    clock.advance(8)
    assert await store.leases.acquire("maintenance", ONE, 10) == epoch
    clock.advance(8)
    assert await store.leases.acquire("maintenance", TWO, 10) is None
    clock.advance(2)
    later = await store.leases.acquire("maintenance", TWO, 10)
    assert later > epoch
    await store.leases.release("maintenance", ONE, epoch)
    assert await store.leases.acquire("maintenance", ONE, 10) is None
    await store.leases.release("maintenance", TWO, epoch)
    assert await store.leases.acquire("maintenance", ONE, 10) is None
    await store.leases.release("maintenance", TWO, later)
    assert await store.leases.acquire("maintenance", ONE, 10) > later


async def test_pop3_leases_are_exclusive_per_connection(store: Any, clock: ManualClock) -> None:
    epoch = await store.leases.acquire("pop3:7", ONE, 600)
    assert await store.leases.acquire("pop3:7", ONE, 600) is None
    await store.leases.release("pop3:7", ONE, epoch)
    assert await store.leases.acquire("pop3:7", ONE, 600) > epoch


async def test_the_dead_are_freed(store: Any) -> None:
    first = await store.leases.acquire("a", ONE, 600)
    await store.leases.acquire("b", TWO, 600)
    await store.leases.free_owner(ONE)
    assert await store.leases.acquire("a", TWO, 600) > first
    assert await store.leases.acquire("b", ONE, 600) is None
    await store.leases.free_host("other")
    assert await store.leases.acquire("b", ONE, 600) is None
    await store.leases.free_host("host")
    assert await store.leases.acquire("b", ONE, 600)


async def test_windows_slide(store: Any, clock: ManualClock) -> None:
    clock.advance(100 - clock.now_us() // 1_000_000 % 100)
    assert await store.counters.add("k", 10, 100) == 10
    assert await store.counters.add("k", 5, 100) == 15
    assert await store.counters.total("k", 100) == 15
    assert await store.counters.total("k", 50) == 0
    clock.advance(100)
    assert await store.counters.total("k", 100) == 15
    clock.advance(50)
    assert await store.counters.total("k", 100) == 7
    assert await store.counters.add("k", 1, 100) == 8
    clock.advance(150)
    assert await store.counters.total("k", 100) == 0
    assert await store.counters.add("k", 2, 100) == 2
    await store.counters.add("other", 1, 100)
    await store.counters.clear("k")
    assert await store.counters.total("k", 100) == 0
    assert await store.counters.total("other", 100) == 1
