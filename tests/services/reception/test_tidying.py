"""The greylist's housekeeping."""

from pathlib import Path

from tests.stores.conftest import open_sqlite

from sekisho.core.policy.greylist import DAY_US, GreylistRules, GreylistTry
from sekisho.services.reception.tidying import GreylistTidier
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryMetrics


async def test_those_who_never_came_back_are_counted_once_and_forgotten_in_the_end(tmp_path: Path) -> None:
    clock, metrics, rules = ManualClock(), MemoryMetrics(), GreylistRules()
    store = open_sqlite(tmp_path, clock)
    tidier = GreylistTidier(store.greylist, clock, metrics)
    counted = ("sekisho_greylist_total", (("result", "never_came_back"),))
    await tidier.tidy(rules, 1000)
    first_us = clock.now_us()
    await store.greylist.change("domain:a.example", lambda known: GreylistTry(first_us, first_us))
    await store.greylist.change(
        "domain:b.example", lambda known: GreylistTry(first_us, first_us + 1, first_us + 1, 2)
    )
    for _ in range(3):
        clock.advance(86_400)
        await tidier.tidy(rules, 1000)
    assert metrics.values[counted] == 1
    clock.advance(36 * DAY_US / 1_000_000)
    await tidier.tidy(rules, 1000)
    assert await store.greylist.listing(10) == [] and metrics.values[counted] == 1
    await store.close()
