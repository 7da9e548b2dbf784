"""The door's housekeeping in a worker."""

from pathlib import Path

from tests.config.test_door import config
from tests.stores.conftest import open_sqlite

from sekisho.adapters.dns.resolver import StubResolver
from sekisho.config.schema import ResolverSettings
from sekisho.core.policy.greylist import DAY_US, Tried
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.wiring.door import DoorLink


async def test_those_who_never_came_back_are_counted_once_and_forgotten_in_the_end(tmp_path: Path) -> None:
    clock, metrics = ManualClock(), MemoryMetrics()
    store = open_sqlite(tmp_path, clock)
    link = DoorLink(store, StubResolver(ResolverSettings(servers=("127.0.0.1",)), clock), clock, MemoryJournal(), metrics)
    link.use(config())
    counted = ("sekisho_greylist_total", (("result", "never_came_back"),))
    await link.tidy_greylist()
    first_us = clock.now_us()
    await store.greylist.change("domain:a.example", lambda known: Tried(first_us, first_us))
    await store.greylist.change("domain:b.example", lambda known: Tried(first_us, first_us + 1, first_us + 1, 2))
    for _ in range(3):
        clock.advance(86_400)
        await link.tidy_greylist()
    assert metrics.values[counted] == 1
    clock.advance(36 * DAY_US / 1_000_000)
    await link.tidy_greylist()
    assert await store.greylist.listing(10) == [] and metrics.values[counted] == 1
    await store.close()
