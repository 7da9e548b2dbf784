"""Reaching a scanner, and when it is better not asked."""

import asyncio

from sekisho.ports.clock import Clock
from sekisho.ports.scanners import ScannerPlace

PIECE_OCTETS = 65_536
FAILURES = 3  # in a row; then the scanner is left alone for a while
REST_SECONDS = 30.0


async def connect(place: ScannerPlace) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises OSError."""
    if place.path:
        return await asyncio.open_unix_connection(place.path)
    return await asyncio.open_connection(place.host, place.port)


class Rest:
    """A scanner that failed some times in a row is not asked for a while, so that mail does not wait for it
    in vain."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._until = float("-inf")

    @property
    def is_on(self) -> bool:
        return self._clock.monotonic() < self._until

    def note(self, *, failed: bool) -> None:
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= FAILURES:
            self._failures, self._until = 0, self._clock.monotonic() + REST_SECONDS
