"""Open connections over all workers, in memory that the supervisor maps before it forks.

Each worker writes only its own column, so nothing needs a lock; a cap is checked against the sum of the columns. Two workers that
accept in the same instant may pass a cap by one.
"""

import hashlib
import mmap
import secrets
from typing import get_args

from sekisho.config.schema import ListenerKind
from sekisho.ports.stream import IpAddress

UNIX_KINDS = ("local", "auth")
KINDS = (*get_args(ListenerKind), *UNIX_KINDS)
BUCKETS = 16384  # per kind; two clients share one by chance of 1 in 16384, and the key keeps anybody from aiming
_CELLS = BUCKETS + 1  # the first cell is the kind's total
_HIGHEST = 65535


class SharedConnectionCounts:
    """`ports.counters.ConnectionCounts`. Made by the supervisor; each worker calls `take_slot` once."""

    def __init__(self, workers: int, connections: int, connections_per_ip: int) -> None:
        self._workers = workers
        self._cap, self._cap_per_ip = connections, connections_per_ip
        self._column = len(KINDS) * _CELLS
        self._cells = memoryview(mmap.mmap(-1, self._column * workers * 2)).cast("H")
        self._key = secrets.token_bytes(16)
        self._slot = 0

    def take_slot(self, slot: int) -> None:
        """In the worker after the fork: what it counts goes into this column."""
        self._slot = slot

    def set_caps(self, connections: int, connections_per_ip: int) -> None:
        self._cap, self._cap_per_ip = connections, connections_per_ip

    def forget_worker(self, slot: int) -> None:
        """In the supervisor when the worker of this slot is dead: its connections are gone."""
        start = slot * self._column
        self._cells[start : start + self._column] = memoryview(bytes(self._column * 2)).cast("H")

    def enter(self, kind: str, client: IpAddress) -> str | None:
        total = KINDS.index(kind) * _CELLS
        bucket = total + self._bucket(client)
        if self._sum(total) >= self._cap:
            return "total"
        if kind not in UNIX_KINDS and self._sum(bucket) >= self._cap_per_ip:
            return "per_ip"
        self._add(total, 1)
        self._add(bucket, 1)
        return None

    def leave(self, kind: str, client: IpAddress) -> None:
        total = KINDS.index(kind) * _CELLS
        self._add(total, -1)
        self._add(total + self._bucket(client), -1)

    def open_connections(self, kind: str) -> int:
        return self._sum(KINDS.index(kind) * _CELLS)

    def _bucket(self, client: IpAddress) -> int:
        network = client.packed[:8] if client.version == 6 else client.packed
        return 1 + int.from_bytes(hashlib.blake2b(network, digest_size=4, key=self._key).digest(), "big") % BUCKETS

    def _sum(self, cell: int) -> int:
        column, cells = self._column, self._cells
        return sum(cells[cell + slot * column] for slot in range(self._workers))

    def _add(self, cell: int, change: int) -> None:
        at = cell + self._slot * self._column
        self._cells[at] = min(_HIGHEST, max(0, self._cells[at] + change))
