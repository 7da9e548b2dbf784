"""When a group of writes is complete: as soon as the loop has nothing else to do.

Whoever else will write in this moment is still at work on the loop; waiting for them costs nothing that
would not be done anyway, and saves their COMMIT and fsync. Once the loop is idle, waiting helps nobody.
"""

import asyncio
import time
from collections.abc import Callable

# A turn of the loop so short brought no work: reading one segment and waking its reader takes longer.
QUIET_SECONDS = 0.00005
QUIET_TURNS = 2  # the loop of the standard library runs what the first one found only after it
MOST_SECONDS = 0.005  # where the loop is never idle


class Gathering:
    """Calls back once, after the call of `begin`. `monotonic` gives seconds, precise to the microsecond."""

    def __init__(self, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._monotonic = monotonic
        self._until = self._turn_began = 0.0
        self._quiet = 0

    def begin(self, loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
        now = self._turn_began = self._monotonic()
        self._until, self._quiet = now + MOST_SECONDS, 0
        loop.call_soon(self._look, loop, then)

    def _look(self, loop: asyncio.AbstractEventLoop, then: Callable[[], None]) -> None:
        now = self._monotonic()
        self._quiet = self._quiet + 1 if now - self._turn_began < QUIET_SECONDS else 0
        if self._quiet >= QUIET_TURNS or now >= self._until:
            then()
            return
        self._turn_began = now
        loop.call_soon(self._look, loop, then)
