"""clamd and rspamd beside a whole sekisho, in a thread of their own: real sockets, real protocols, answers as
a test wants them."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

from tests.adapters.scanners.fakes import FakeClamd, FakeRspamd, listening


class Scanners:
    """`clamav`, `rspamd`: where they listen, as settings name it."""

    def __init__(self) -> None:
        self.clamd, self.rspamd_server = FakeClamd(), FakeRspamd()
        self.clamav = self.rspamd = ""
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        self.clamav = await self._stack.enter_async_context(listening(self.clamd.serve))
        self.rspamd = await self._stack.enter_async_context(listening(self.rspamd_server.serve))

    async def stop(self) -> None:
        await self._stack.aclose()


@contextmanager
def scanners() -> Iterator[Scanners]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    found = Scanners()
    try:
        asyncio.run_coroutine_threadsafe(found.start(), loop).result(30)
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(found.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
