"""Who waits for whom before the hashing threads."""

import asyncio
import threading

import pytest

from sekisho.services.authentication import hashing
from sekisho.services.authentication.hashing import HashingBusy, HashingPool


class Work:
    """Checks that end when they are told, in a pool of one thread. `done` has their names in the order they began."""

    def __init__(self) -> None:
        self.pool = HashingPool(1)
        self.begun: list[str] = []
        self.go = threading.Semaphore(0)

        self.loop, self.first = asyncio.get_running_loop(), asyncio.Event()

    def check(self, name: str, _: str) -> bool:
        self.begun.append(name)
        self.loop.call_soon_threadsafe(self.first.set)
        self.go.acquire()
        if name == "fault":
            raise ValueError(name)
        return True

    def start(self, name: str, *, is_familiar: bool = False) -> "asyncio.Task[bool]":
        return asyncio.create_task(self.pool.run(self.check, name, "", is_familiar=is_familiar))

    async def finish(self, *tasks: "asyncio.Task[bool]") -> list[object]:
        for _ in tasks:
            self.go.release()
        return await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_is_at_home_waits_for_one_check_at_most() -> None:
    work = Work()
    strangers = [work.start(f"stranger {number}") for number in range(3)]
    await asyncio.sleep(0)
    home = work.start("home", is_familiar=True)
    await asyncio.sleep(0)
    await work.finish(*strangers, home)
    assert work.begun == ["stranger 0", "home", "stranger 1", "stranger 2"]
    work.pool.close()


async def test_strangers_fill_their_own_lane_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "STRANGERS_PER_THREAD", 2)
    work = Work()
    strangers = [work.start(f"stranger {number}") for number in range(5)]
    await asyncio.sleep(0)
    home = work.start("home", is_familiar=True)
    results = await work.finish(*strangers, home)
    assert [type(result) for result in results] == [bool, bool, bool, HashingBusy, HashingBusy, bool]
    work.pool.close()


async def test_who_gives_up_waiting_leaves_no_gap() -> None:
    work = Work()
    first = work.start("first")
    waiting = [work.start("gone"), work.start("fault"), work.start("last")]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    results = await work.finish(first, *waiting)
    assert results[0] is True and isinstance(results[1], asyncio.CancelledError)
    assert isinstance(results[2], ValueError) and results[3] is True
    assert work.begun == ["first", "fault", "last"] and work.pool._busy == 0
    again = work.start("again")
    assert await work.finish(again) == [True]
    work.pool.close()


async def test_who_leaves_at_the_moment_of_their_turn_hands_it_on() -> None:
    work = Work()
    first, second, third = (work.start(name) for name in ("first", "second", "third"))
    await asyncio.sleep(0)
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
    first, second = work.start("first"), work.start("second")
    await work.first.wait()
    first.cancel()
    await asyncio.sleep(0)
    assert work.begun == ["first"] and work.pool._busy == 1
    await work.finish(first, second)
    assert second.result() is True
    work.pool.close()
