"""A few threads for Argon2id, and an end to how many may wait for them. Who is at home waits for nobody
else."""

import asyncio
import enum
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class Lane(enum.Enum):
    """Who is asking; earlier ones go first. The value is how many of them may wait, for each thread."""

    FAMILIAR = 200  # the account logged in from there before
    NEWCOMER = 8  # a network that hardly tried anything yet
    STRANGE = (
        5  # any other; with 25 ms a check and as long a pause, the last of both kinds waits a good second
    )


# The part of a thread's time that strangers' checks take when more of them wait: a flood of guesses must
# leave the processor to everybody's mail. On a busy machine checks take longer, and so do the pauses.
STRANGERS_SHARE = 0.5
LONGEST_PAUSE_SECONDS = 0.25


class HashingBusy(Exception):
    """Too many checks are waiting already; the client should come back later."""


class HashingPool:
    """Bounds memory (19 MiB a thread) and the queue; Argon2 releases the interpreter lock while it computes.

    One of several threads is kept for familiar logins, so that a flood of strangers' guesses does not make
    them wait.
    """

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hashing")
        self._threads, self._for_strangers = threads, max(1, threads - 1)
        self._busy = self._busy_strangers = 0
        self._is_retired = False
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in Lane}

    async def run(
        self, function: Callable[[*Arguments], Result], *arguments: *Arguments, lane: Lane = Lane.STRANGE
    ) -> Result:
        """`function(*arguments)` in a thread; raises `HashingBusy`, or what the function raises."""
        if self._may_begin(lane):
            self._begin(lane)
        else:
            await self._wait(lane)
        # The place is given back when the check ends, not when the caller stops waiting: a closed connection
        # does not free a thread.
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, function, *arguments)
        future.add_done_callback(partial(self._done, lane, loop.time()))
        return await asyncio.shield(future)

    def _may_begin(self, lane: Lane) -> bool:
        return self._busy < self._threads and (
            lane is Lane.FAMILIAR or self._busy_strangers < self._for_strangers
        )

    def _begin(self, lane: Lane) -> None:
        self._busy += 1
        self._busy_strangers += lane is not Lane.FAMILIAR

    async def _wait(self, lane: Lane) -> None:
        """Until a place was given to it."""
        waiting = self._waiting[lane]
        if len(waiting) >= lane.value * self._threads:
            raise HashingBusy
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._end(lane)
            elif place in waiting:
                waiting.remove(place)
            raise

    def _done(self, lane: Lane, began: float, future: "asyncio.Future[Any]") -> None:
        if not future.cancelled():
            future.exception()  # mark as seen even if nobody waits any more
        if lane is not Lane.FAMILIAR and (self._waiting[Lane.NEWCOMER] or self._waiting[Lane.STRANGE]):
            loop = future.get_loop()
            loop.call_later(
                min((loop.time() - began) * (1 / STRANGERS_SHARE - 1), LONGEST_PAUSE_SECONDS), self._end, lane
            )
        else:
            self._end(lane)

    def _end(self, lane: Lane) -> None:
        """Give the place back, and on to whoever may have it."""
        self._busy -= 1
        self._busy_strangers -= lane is not Lane.FAMILIAR
        for other, waiting in self._waiting.items():
            while waiting and self._may_begin(other):
                place = waiting.popleft()
                if not place.done():
                    self._begin(other)
                    place.set_result(None)
        if self._is_retired and not self._busy:
            self._executor.shutdown(wait=False)

    def retire(self) -> None:
        """What waits is still done, then the threads end."""
        self._is_retired = True
        if not self._busy:
            self._executor.shutdown(wait=False)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
