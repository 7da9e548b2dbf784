"""Waiting with the reply while the client may go away."""

import asyncio
from collections.abc import Awaitable, Callable

from sekisho.ports.stream import Shutdown, Stream, StreamError

# Does the client still wait for its reply after so many seconds?
Outwait = Callable[[float], Awaitable[bool]]


async def outwait(
    stream: Stream, seconds: float, sleep: Callable[[float], Awaitable[None]], shutdown: Shutdown
) -> bool:
    """Is the client still there after so long? What it sends meanwhile (RFC 2920 §3.1 lets it) is kept for
    later. A shutdown ends the wait at once: then it has not waited."""
    sleeping, leaving = asyncio.ensure_future(sleep(seconds)), asyncio.ensure_future(shutdown.wait())
    reading = asyncio.ensure_future(stream.read())
    try:
        await asyncio.wait([sleeping, leaving, reading], return_when=asyncio.FIRST_COMPLETED)
        if not _has_gone(reading):
            await asyncio.wait([sleeping, leaving], return_when=asyncio.FIRST_COMPLETED)
        return sleeping.done() and not leaving.done() and not _has_gone(reading)
    finally:
        for task in (sleeping, leaving, reading):
            task.cancel()
        await asyncio.gather(sleeping, leaving, reading, return_exceptions=True)
        if not reading.cancelled() and reading.exception() is None:
            stream.unread(reading.result())


def _has_gone(reading: "asyncio.Future[bytes]") -> bool:
    """End of file and a lost connection are the same here: nobody waits for a reply. Both show again at the
    next read."""
    if not reading.done() or reading.cancelled():
        return False
    error = reading.exception()
    if error is not None and not isinstance(error, StreamError):
        raise error
    return error is not None or not reading.result()
