"""What each network did at the door lately, over all workers, in memory that the supervisor maps before it
forks.

Each worker writes only its own column, so nothing needs a lock. A network has two cells, by two hashes, and
the smaller sum counts: a stranger's flood touches an honest network only if it meets both of its cells, one
chance in 64 million. The keys are new at each start.
"""

import hashlib
import mmap
import secrets
from functools import lru_cache

from sekisho.core.policy.rates import MEASURES, Measure
from sekisho.ports.stream import IpAddress

BUCKETS = 8192
_FIELDS = 3  # of a cell: number of the window, count in it, count in the window before
_HIGHEST = 2**32 - 1
_ROWS = {measure: row * 2 * BUCKETS for row, measure in enumerate(MEASURES)}


class SharedRates:
    """`ports.counters.Rates`. Made by the supervisor; each worker calls `take_slot` once. What a dead worker
    counted still happened."""

    def __init__(self, workers: int, window_seconds: int) -> None:
        self._workers = workers
        self._window_us = window_seconds * 1_000_000
        self._column = len(MEASURES) * 2 * BUCKETS * _FIELDS
        self._cells = memoryview(mmap.mmap(-1, self._column * workers * 4)).cast("I")
        self._start = 0
        key = secrets.token_bytes(16)
        self._places = lru_cache(maxsize=4096)(lambda network: _places(network, key))

    def take_slot(self, slot: int) -> None:
        """In the worker after the fork: what it counts goes into this column."""
        self._start = slot * self._column

    def set_window(self, window_seconds: int) -> None:
        """Another length forgets what was counted."""
        self._window_us = window_seconds * 1_000_000

    def add(self, measure: Measure, client: IpAddress, amount: int, now_us: int) -> int:
        one, other = self._cells_of(measure, client)
        window = now_us // self._window_us & _HIGHEST
        self._add(self._start + one, window, amount)
        self._add(self._start + other, window, amount)
        return self._total(one, other, now_us)

    def total(self, measure: Measure, client: IpAddress, now_us: int) -> int:
        one, other = self._cells_of(measure, client)
        return self._total(one, other, now_us)

    def _total(self, one: int, other: int, now_us: int) -> int:
        window, passed_us = divmod(now_us, self._window_us)
        window &= _HIGHEST
        left = 1.0 - passed_us / self._window_us
        return int(min(self._sum(one, window, left), self._sum(other, window, left)))

    def _cells_of(self, measure: Measure, client: IpAddress) -> tuple[int, int]:
        one, other = self._places(_network(client))
        row = _ROWS[measure]
        return (row + one) * _FIELDS, (row + BUCKETS + other) * _FIELDS

    def _add(self, at: int, window: int, amount: int) -> None:
        cells = self._cells
        if cells[at] != window:
            cells[at + 2] = cells[at + 1] if cells[at] == window - 1 else 0
            cells[at + 1] = 0
            cells[at] = window
        cells[at + 1] = min(_HIGHEST, cells[at + 1] + amount)

    def _sum(self, cell: int, window: int, left: float) -> float:
        """`left`: how much of the window before still counts."""
        cells, column, found = self._cells, self._column, 0.0
        for at in range(cell, cell + self._workers * column, column):
            if cells[at] == window:
                found += cells[at + 1] + cells[at + 2] * left
            elif cells[at] == window - 1:
                found += cells[at + 1] * left
        return found


def _network(client: IpAddress) -> bytes:
    if client.version == 4:
        return client.packed[:3]
    mapped = client.ipv4_mapped
    return mapped.packed[:3] if mapped is not None else client.packed[:8]


def _places(network: bytes, key: bytes) -> tuple[int, int]:
    digest = hashlib.blake2b(network, digest_size=8, key=key).digest()
    return int.from_bytes(digest[:4], "big") % BUCKETS, int.from_bytes(digest[4:], "big") % BUCKETS
