"""Which clock a server runs by: the system's, or in a lab one that can be moved."""

import asyncio
import os
from functools import lru_cache
from pathlib import Path

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.labclock import VARIABLE, LabClock
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.ports.changes import Changes, QueueChanged
from sekisho.ports.clock import Clock

_LOOK_SECONDS = 0.02


@lru_cache(maxsize=1)
def server_clock() -> Clock:
    """One for the process, made at the first call."""
    file = os.environ.get(VARIABLE)
    return LabClock(Path(file)) if file else SystemClock()


def check_clock(config: Config) -> None:
    """A server that the world can reach runs by the true time: raises CommandFailed if it was told
    otherwise."""
    file = os.environ.get(VARIABLE)
    if not file:
        return
    if not all(listener.address.is_loopback for listener in config.listeners):
        raise CommandError(
            "{variable} is for a lab: with it every listener must be on a loopback address.",
            exits.BAD_CONFIG,
            variable=VARIABLE,
        )
    try:
        server_clock()
    except (OSError, ValueError) as error:
        raise CommandError(
            "{variable}: {reason}", exits.BAD_CONFIG, variable=VARIABLE, reason=str(error)
        ) from error


async def sleep_by_clock(seconds: float) -> None:
    """`asyncio.sleep` for chores that come round: when a lab moves the time over their moment, it has
    come."""
    clock = server_clock()
    if not isinstance(clock, LabClock):
        await asyncio.sleep(seconds)
        return
    until = clock.monotonic() + seconds
    while (left := until - clock.monotonic()) > 0:  # noqa: ASYNC110 (another process moves the clock)
        await asyncio.sleep(min(left, _LOOK_SECONDS))


async def follow_lab_clock(changes: Changes) -> None:
    """Whoever waits for a moment of the clock looks again when it was moved. Ends at once with the system's
    clock."""
    clock = server_clock()
    if not isinstance(clock, LabClock):
        return
    seen = clock.offset_us
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if clock.offset_us != seen:
            seen = clock.offset_us
            changes.publish(QueueChanged())
