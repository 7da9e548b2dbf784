"""A DNS server beside a whole sekisho, in a thread of its own; a test may add to it, or let it die for a
while."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sekisho.testing.dnsserver import DnsServer
from sekisho.testing.zones import Zone


class Names:
    """`address` is host:port; `zone` may be added to."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._server = DnsServer(zone)
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        self._run(0)

    def _run(self, port: int) -> None:
        asyncio.run_coroutine_threadsafe(self._server.start(port=port), self._loop).result(30)
        self.address = self._server.address

    def _halt(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(30)

    def stop(self) -> None:
        self._halt()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Nobody answers at the address."""
        port = int(self.address.rpartition(":")[2])
        self._halt()
        try:
            yield
        finally:
            self._run(port)


@contextmanager
def names(text: str) -> Iterator[Names]:
    found = Names(Zone.from_text(text))
    found.start()
    try:
        yield found
    finally:
        found.stop()
