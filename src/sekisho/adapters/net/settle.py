"""The end of a wait."""

import asyncio


def settle(waiter: "asyncio.Future[None] | None", error: BaseException | None = None) -> None:
    """Whoever waits goes on, or gets the error; nothing if nobody does, or somebody was told already."""
    if waiter is None or waiter.done():
        return
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)
