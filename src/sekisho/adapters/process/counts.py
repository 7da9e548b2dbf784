"""Open connections over all workers, in memory that the supervisor maps before it forks.

Each worker writes only its own column, so nothing needs a lock; a cap is checked against the sum of the
columns. Two workers that accept in the same instant may pass a cap by one. A network has two cells, by two
hashes, and the smaller sum counts: honest neighbours of a crowd in one cell are told apart by the other.
"""

import hashlib
import mmap
import secrets
from functools import lru_cache
from typing import get_args

from sekisho.config.schema import ListenerKind
from sekisho.core.policy.crowd import crowding
from sekisho.ports.stream import IpAddress

UNIX_KINDS = ("local", "auth")
KINDS = (*get_args(ListenerKind), *UNIX_KINDS)
# per kind and row; two clients share one by chance of 1 in 16384, and the key keeps anybody from aiming
BUCKETS = 16384
_ROWS = {
    4: (4, 3, 3, 2, 2),
    6: (8, 6, 6, 4, 4),
}  # octets of an address: the client, its network, the provider around it
_TOTAL, _VOUCHED, _HEAD = 0, 1, 2  # the first cells of a kind
_CELLS = _HEAD + 5 * BUCKETS
_HIGHEST = 65535


class SharedConnectionCounts:
    """`ports.counters.ConnectionCounts`. Made by the supervisor; each worker calls `take_slot` once."""

    def __init__(self, workers: int, connections: int, connections_per_ip: int) -> None:
        self.workers = workers
        self._cap, self._cap_per_ip = connections, connections_per_ip
        self._column = len(KINDS) * _CELLS
        self._cells = memoryview(mmap.mmap(-1, self._column * workers * 2)).cast("H")
        key = secrets.token_bytes(16)
        self._buckets = lru_cache(maxsize=8192)(lambda client: _buckets(client, key))
        self._slot = 0

    def take_slot(self, slot: int) -> None:
        """In the worker after the fork: what it counts goes into this column."""
        self._slot = slot

    def set_caps(self, connections: int, connections_per_ip: int) -> None:
        self._cap, self._cap_per_ip = connections, connections_per_ip

    @property
    def places(self) -> int:
        return self._cap

    def forget_worker(self, slot: int) -> None:
        """In the supervisor when the worker of this slot is dead: its connections are gone."""
        start = slot * self._column
        self._cells[start : start + self._column] = memoryview(bytes(self._column * 2)).cast("H")

    def enter(self, kind: str, client: IpAddress) -> str | None:
        start = KINDS.index(kind) * _CELLS
        buckets = self._buckets(client)
        if self._sum(start + _TOTAL) >= self._cap:
            return "total"
        if kind not in UNIX_KINDS and self._sum(start + buckets[0]) >= self._cap_per_ip:
            return "per_ip"
        self._count(start, buckets, 1)
        return None

    def leave(self, kind: str, client: IpAddress, *, vouched: bool = False) -> None:
        start = KINDS.index(kind) * _CELLS
        self._count(start, self._buckets(client), -1)
        if vouched:
            self._add(start + _VOUCHED, -1)

    def vouch(self, kind: str) -> None:
        self._add(KINDS.index(kind) * _CELLS + _VOUCHED, 1)

    def open_connections(self, kind: str) -> int:
        return self._sum(KINDS.index(kind) * _CELLS + _TOTAL)

    def vouched(self, kind: str) -> int:
        return self._sum(KINDS.index(kind) * _CELLS + _VOUCHED)

    def crowding(self, kind: str, client: IpAddress) -> float:
        start = KINDS.index(kind) * _CELLS
        _, *cells = (self._sum(start + bucket) for bucket in self._buckets(client))
        return crowding(min(cells[:2]), min(cells[2:]))

    def _count(self, start: int, buckets: tuple[int, ...], change: int) -> None:
        self._add(start + _TOTAL, change)
        for bucket in buckets:
            self._add(start + bucket, change)

    def _sum(self, cell: int) -> int:
        column, cells = self._column, self._cells
        return sum(cells[cell + slot * column] for slot in range(self.workers))

    def _add(self, cell: int, change: int) -> None:
        at = cell + self._slot * self._column
        self._cells[at] = min(_HIGHEST, max(0, self._cells[at] + change))


def _buckets(client: IpAddress, key: bytes) -> tuple[int, ...]:
    """Of the client (/32, IPv6 /64), then twice of its network (/24, /48) and of what is around it (/16,
    /32)."""
    return tuple(
        _HEAD
        + row * BUCKETS
        + int.from_bytes(
            hashlib.blake2b(client.packed[:octets], digest_size=4, key=key, salt=b"%d" % row).digest(), "big"
        )
        % BUCKETS
        for row, octets in enumerate(_ROWS[client.version])
    )
