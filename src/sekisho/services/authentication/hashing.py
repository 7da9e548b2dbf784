"""A few threads for Argon2id, and an end to how many may wait for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, TypeVarTuple

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
# With two threads and 25 ms a check, the last of the queue waits under a second and a half.
WAITING_PER_THREAD = 50


class HashingBusy(Exception):
    """Too many checks are waiting already; the client should come back later."""


class HashingPool:
    """Bounds memory (19 MiB a thread) and the queue; Argon2 releases the interpreter lock while it computes."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="hashing")
        self._capacity = threads * (WAITING_PER_THREAD + 1)
        self._busy = 0

    async def run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """`function(*arguments)` in a thread; raises `HashingBusy`, or what the function raises."""
        if self._busy >= self._capacity:
            raise HashingBusy
        self._busy += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
        # Counted until it ends, not until the caller stops waiting: a closed connection does not free a thread.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, future: "asyncio.Future[Any]") -> None:
        self._busy -= 1
        if not future.cancelled():
            future.exception()  # mark as seen even if nobody waits any more

    def retire(self) -> None:
        """What waits is still done, then the threads end."""
        self._executor.shutdown(wait=False)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)
