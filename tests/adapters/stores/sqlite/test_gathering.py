"""Groups of writes: complete when the loop is idle, never later than the bound."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from tests.stores.conftest import open_sqlite

from sekisho.adapters.stores.sqlite.gathering import MOST_SECONDS, QUIET_SECONDS, QUIET_TURNS, Gathering
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Domain
from sekisho.testing.clock import ManualClock


class Turns:
    """A loop that runs when it is told to, and a clock that goes on only by what runs in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ready: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()

    def call_soon(self, function: Callable[..., None], *arguments: Any) -> None:
        self.ready.append((function, arguments))

    def turn(self, work_seconds: float = 0.0) -> None:
        for _ in range(len(self.ready)):
            function, arguments = self.ready.popleft()
            function(*arguments)
        self.now += work_seconds

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return cast(asyncio.AbstractEventLoop, self)


@pytest.fixture
def turns() -> Turns:
    return Turns()


def gathered(turns: Turns) -> list[float]:
    """When it was called back."""
    told: list[float] = []
    Gathering(lambda: turns.now).begin(turns.loop, lambda: told.append(turns.now))
    return told


def test_begins_after_quiet_turns(turns: Turns) -> None:
    told = gathered(turns)
    for _ in range(QUIET_TURNS - 1):
        turns.turn()
        assert not told
    turns.turn()
    assert told and not turns.ready


def test_waits_while_the_loop_works(turns: Turns) -> None:
    told = gathered(turns)
    for _ in range(10):
        turns.turn(8 * QUIET_SECONDS)
    assert not told
    for _ in range(QUIET_TURNS + 1):
        turns.turn()
    assert len(told) == 1


def test_one_quiet_turn_between_busy_ones_is_not_enough(turns: Turns) -> None:
    told = gathered(turns)
    for number in range(20):
        turns.turn(0.0 if number % 2 else 3 * QUIET_SECONDS)
    assert not told


def test_does_not_wait_longer_than_the_bound(turns: Turns) -> None:
    told, turn_seconds = gathered(turns), 0.0007
    while not told:
        turns.turn(turn_seconds)
        assert turns.now < MOST_SECONDS + 2 * turn_seconds
    assert told[0] >= MOST_SECONDS


class Work:
    """Sessions that work on the loop, and a clock that sees it: each step takes a tenth of a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0

    async def steps(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)
            self.now += 0.0001


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = open_sqlite(tmp_path, ManualClock())
    await store.directory.add_domain(Domain("example.test", 0))
    yield store
    await store.close()


async def test_who_is_at_work_comes_into_the_same_commit(store: SqliteStore) -> None:
    work = Work()
    store.writer.gathering = Gathering(lambda: work.now)

    async def session(number: int) -> None:
        await work.steps(number)
        await store.directory.add_account(Address(f"a{number}", "example.test"), "", "")

    before = store.writer.commits
    await asyncio.gather(*(session(number) for number in range(8)))
    assert store.writer.commits - before == 1


async def test_a_busy_loop_holds_no_write_up_for_longer_than_the_bound(store: SqliteStore) -> None:
    work, began = Work(), asyncio.Event()
    store.writer.gathering = Gathering(lambda: work.now)

    def step(tx: object) -> float:
        began.set()
        return work.now

    async def never_idle() -> None:
        while not began.is_set():
            await work.steps(1)

    began_at, _ = await asyncio.gather(store.writer.write(step), never_idle())
    assert MOST_SECONDS <= began_at <= MOST_SECONDS + 0.0003


async def test_what_comes_during_a_commit_is_a_group_too(store: SqliteStore) -> None:
    before = store.writer.commits

    async def two(number: int) -> None:
        for _ in range(2):
            await store.writer.write(lambda tx: None)

    await asyncio.gather(*(two(number) for number in range(10)))
    assert store.writer.commits - before == 2
