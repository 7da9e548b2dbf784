"""How providers are treated: a row each, changed in one step, there for all workers and after a restart."""

import asyncio
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.stores.conftest import open_sqlite

from sekisho.core.policy.shaping.pace import Pace
from sekisho.core.policy.shaping.shape import UNKNOWN, Shape
from sekisho.core.policy.shaping.warmup import Warmth
from sekisho.testing.clock import ManualClock

SLOW = Shape(pace=Pace(per_minute=20.0, closed_until_us=5, rule="google-rate", reply="421 4.7.28 …"))


def put(shape: Shape) -> Any:
    return lambda known: (shape, known)


async def test_a_row_comes_and_goes(store: Any) -> None:
    assert await store.shapes.change("", "google", put(SLOW)) == UNKNOWN
    assert await store.shapes.change("192.0.2.1", "google", lambda known: (known, 7)) == 7
    assert [(row.source, row.group, row.shape) for row in await store.shapes.listing()] == [
        ("", "google", SLOW)
    ]
    assert await store.shapes.change("", "google", put(UNKNOWN)) == SLOW
    assert await store.shapes.listing() == []


async def test_steps_at_the_same_time_all_count(store: Any) -> None:
    def step(known: Shape) -> tuple[Shape, None]:
        used = known.warmth.used if known.warmth is not None else 0
        return Shape(warmth=Warmth(began_at_us=0, day=0, budget=200, used=used + 1)), None

    await asyncio.gather(*(store.shapes.change("", "yahoo", step) for _ in range(50)))
    (row,) = await store.shapes.listing()
    assert row.shape.warmth.used == 50


async def test_it_is_there_after_a_restart_and_a_new_server_is_not_established(tmp_path: Path) -> None:
    clock = ManualClock()
    first = open_sqlite(tmp_path, clock)
    await first.shapes.change("", "google", put(SLOW))
    assert not await first.shapes.is_established()
    await first.close()
    second = open_sqlite(tmp_path, clock)
    assert [row.shape for row in await second.shapes.listing()] == [SLOW]
    await second.close()


@pytest.mark.parametrize("ran_before", [False, True])
def test_a_server_that_ran_before_is_established(ran_before: bool) -> None:
    database = apsw.Connection(":memory:")
    database.execute("CREATE TABLE lease (name TEXT)")
    if ran_before:
        database.execute("INSERT INTO lease (name) VALUES ('queue.count')")
    folder = resources.files("sekisho.adapters.stores.sqlite.migrations.hints")
    step = next(file for file in folder.iterdir() if "shaping_mark" in file.read_text())
    database.execute(step.read_text())
    marks = database.execute("SELECT name FROM shaping_mark").fetchall()
    assert marks == ([("established",)] if ran_before else [])
