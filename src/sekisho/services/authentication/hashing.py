"""A few threads for Argon2id, and an end to how many may wait for them. Who is at home waits before nobody."""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
# Strangers: with two threads and 25 ms a check, the last of them waits about a third of a second.
STRANGERS_PER_THREAD = 12
FAMILIAR_PER_THREAD = 200
# Threads that compute are to give way to the loop, which has everybody's mail in hand.
NICENESS = 5


class HashingBusy(Exception):
    """Too many checks are waiting already; the client should come back later."""


class HashingPool:
    """Bounds memory (19 MiB a thread) and the queue; Argon2 releases the interpreter lock while it computes.

    Two lanes: a login from where its account logged in before goes first, so that a flood of strangers' guesses costs it one check at most.
    """

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hashing", initializer=_give_way)
        self._threads = threads
        self._busy = 0
        self._is_retired = False
        self._familiar: deque[asyncio.Future[None]] = deque()
        self._strangers: deque[asyncio.Future[None]] = deque()

    async def run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments, is_familiar: bool = False) -> Result:
        """`function(*arguments)` in a thread; raises `HashingBusy`, or what the function raises."""
        if self._busy >= self._threads:
            await self._wait(is_familiar)
        else:
            self._busy += 1
        # The place is given back when the check ends, not when the caller stops waiting: a closed connection does not free a thread.
        future = asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    async def _wait(self, is_familiar: bool) -> None:
        """Until it has a place; whoever ends hands theirs on."""
        lane, capacity = (self._familiar, FAMILIAR_PER_THREAD) if is_familiar else (self._strangers, STRANGERS_PER_THREAD)
        if len(lane) >= capacity * self._threads:
            raise HashingBusy
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._hand_on()
            elif place in lane:
                lane.remove(place)
            raise

    def _done(self, future: "asyncio.Future[Any]") -> None:
        if not future.cancelled():
            future.exception()  # mark as seen even if nobody waits any more
        self._hand_on()

    def _hand_on(self) -> None:
        for lane in (self._familiar, self._strangers):
            while lane:
                place = lane.popleft()
                if not place.done():
                    place.set_result(None)
                    return
        self._busy -= 1
        if self._is_retired and not self._busy:
            self._executor.shutdown(wait=False)

    def retire(self) -> None:
        """What waits is still done, then the threads end."""
        self._is_retired = True
        if not self._busy:
            self._executor.shutdown(wait=False)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _give_way() -> None:
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)  # of this thread alone, on Linux
    except OSError:
        pass  # only a courtesy
