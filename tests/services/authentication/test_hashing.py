"""Who waits for whom before the hashing threads."""

import asyncio
import threading
from typing import Any

import pytest

from sekisho.services.authentication import hashing
from sekisho.services.authentication.hashing import HashingBusy, HashingPool, Lane


class Work:
    """Checks that end when they are told. `begun` has their names in the order they began."""

    def __init__(self, threads: int = 1) -> None:
        self.pool = HashingPool(threads)
        self.begun: list[str] = []
        self.go = threading.Semaphore(0)
        self.loop = asyncio.get_running_loop()
        self.news: asyncio.Queue[str] = asyncio.Queue()

    def check(self, name: str) -> bool:
        self.begun.append(name)
        self.loop.call_soon_threadsafe(self.news.put_nowait, name)
        self.go.acquire()
        if name == "fault":
            raise ValueError(name)
        return True

    async def start(self, name: str, lane: Lane = Lane.STRANGE) -> "asyncio.Task[bool]":
        task = asyncio.create_task(self.pool.run(self.check, name, lane=lane))
        await asyncio.sleep(0)
        return task

    async def finish(self, *tasks: "asyncio.Task[bool]") -> list[object]:
        for _ in tasks:
            self.go.release()
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_is_at_home_comes_first_then_who_is_new() -> None:
    work = Work()
    tasks = [await work.start(f"stranger {number}") for number in range(3)]
    tasks += [await work.start("new", Lane.NEWCOMER), await work.start("home", Lane.FAMILIAR)]
    await work.finish(*tasks)
    assert work.begun == ["stranger 0", "home", "new", "stranger 1", "stranger 2"]
    work.pool.close()


async def test_one_thread_is_kept_for_who_is_at_home() -> None:
    work = Work(threads=2)
    strangers = [await work.start(f"stranger {number}") for number in range(3)]
    assert await work.news.get() == "stranger 0"
    home = await work.start("home", Lane.FAMILIAR)
    assert await work.news.get() == "home"
    await work.finish(*strangers, home)
    assert work.begun[2:] == ["stranger 1", "stranger 2"]
    assert (work.pool._busy, work.pool._busy_strangers) == (0, 0)
    work.pool.close()


async def test_each_lane_has_its_own_end() -> None:
    work = Work()
    strangers = [await work.start(f"stranger {number}") for number in range(Lane.STRANGE.value + 3)]
    new, home = await work.start("new", Lane.NEWCOMER), await work.start("home", Lane.FAMILIAR)
    results = await work.finish(*strangers, new, home)
    refused = [isinstance(result, HashingBusy) for result in results]
    assert refused == [False] * (Lane.STRANGE.value + 1) + [True, True, False, False]
    work.pool.close()


async def test_who_gives_up_waiting_leaves_no_gap() -> None:
    work = Work()
    first = await work.start("first")
    waiting = [await work.start(name) for name in ("gone", "fault", "last")]
    waiting[0].cancel()
    await asyncio.sleep(0)
    results = await work.finish(first, *waiting)
    assert results[0] is True and isinstance(results[1], asyncio.CancelledError)
    assert isinstance(results[2], ValueError) and results[3] is True
    assert work.begun == ["first", "fault", "last"] and work.pool._busy == 0
    again = await work.start("again")
    assert await work.finish(again) == [True]
    work.pool.close()


async def test_who_leaves_at_the_moment_of_their_turn_hands_it_on() -> None:
    work = Work()
    first, second, third = [await work.start(name) for name in ("first", "second", "third")]
    work.go.release()
    await first
    second.cancel()  # its place may be given already
    await work.finish(second, third)
    assert third.result() is True
    await asyncio.sleep(0)
    assert work.pool._busy == 0
    work.pool.close()


async def test_a_closed_connection_does_not_free_a_thread() -> None:
    work = Work()
    first, second = await work.start("first"), await work.start("second")
    await work.news.get()
    first.cancel()
    await asyncio.sleep(0)
    assert work.begun == ["first"] and work.pool._busy == 1
    await work.finish(first, second)
    assert second.result() is True
    work.pool.close()


async def test_a_flood_of_strangers_leaves_half_of_the_time_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work, pauses = Work(), []
    call_later = work.loop.call_later

    def note(seconds: float, *call: Any) -> asyncio.TimerHandle:
        pauses.append(seconds)
        return call_later(0, *call)

    monkeypatch.setattr(work.loop, "call_later", note)
    tasks = [
        await work.start("one"),
        await work.start("two"),
        await work.start("home", Lane.FAMILIAR),
        await work.start("three"),
    ]
    await work.finish(*tasks)
    assert work.begun == ["one", "home", "two", "three"]
    assert len(pauses) == 2 and all(
        0 < pause <= hashing.LONGEST_PAUSE_SECONDS for pause in pauses
    )  # not behind the last, nor for home
    work.pool.close()


@pytest.mark.parametrize("waiting", [0, 2])
async def test_a_retired_pool_does_what_waits(waiting: int) -> None:
    work = Work()
    tasks = [await work.start(f"check {number}") for number in range(waiting)]
    work.pool.retire()
    assert await work.finish(*tasks) == [True] * waiting
    with pytest.raises(RuntimeError):
        await work.pool.run(str, "late")
