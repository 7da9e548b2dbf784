"""What was tried lately on this host, over all workers, in memory that the supervisor maps before it forks.

Each worker writes only its own table, so nothing needs a lock; whoever asks looks into all of them. A table
has sets of four entries: the one that was quiet longest makes room, so a flood of new keys costs what is old,
and never more memory. What keys and members were (networks, passwords, names) cannot be read from it: they
are hashed under a key that is new at each start and written down nowhere.
"""

import hashlib
import mmap
import secrets
from collections.abc import Iterator

from sekisho.ports.clock import Clock

SETS, WAYS = 8192, 4
_TAG, _UNTIL, _TIMES, _MEMBERS = 0, 2, 3, 4  # cells of an entry
_TICKS = 16  # of a second
_WORD = 2**32


class SharedRecent:
    """Made by the supervisor; each worker calls `take_slot` once. What a dead worker counted still
    happened."""

    def __init__(self, workers: int, members: int) -> None:
        """`members`: so many of a key are told apart by each worker."""
        self._workers = workers
        self._width = _MEMBERS + members
        self._column = SETS * WAYS * self._width
        self._cells = memoryview(mmap.mmap(-1, self._column * workers * 4)).cast("I")
        self._key = secrets.token_bytes(32)
        self._start = 0

    def take_slot(self, slot: int) -> None:
        """In the worker after the fork: what it counts goes into this table."""
        self._start = slot * self._column

    def by(self, clock: Clock) -> "RecentByClock":
        return RecentByClock(self, clock)

    def count(self, key: str, now: float, seconds: float) -> int:
        tag = self._digest(key)
        at = self._own(tag, _ticks(now), _ticks(seconds))
        self._cells[at + _TIMES] = min(self._cells[at + _TIMES] + 1, _WORD - 1)
        return sum(self._cells[entry + _TIMES] for entry in self._living(tag, _ticks(now)))

    def note(self, key: str, member: str, now: float, seconds: float) -> None:
        at = self._own(self._digest(key), _ticks(now), _ticks(seconds))
        name = self._digest(member)[0] or 1
        cells, first, end = self._cells, at + _MEMBERS, at + self._width
        known = cells[first:end].tolist()
        if name not in known and 0 in known:
            cells[first + known.index(0)] = name

    def members(self, key: str, now: float) -> int:
        found: set[int] = set()
        for at in self._living(self._digest(key), _ticks(now)):
            found.update(self._cells[at + _MEMBERS : at + self._width].tolist())
        return len(found - {0})

    def _digest(self, text: str) -> tuple[int, int, int]:
        digest = hashlib.blake2b(
            text.encode("utf-8", "surrogatepass"), digest_size=12, key=self._key
        ).digest()
        return (
            int.from_bytes(digest[:4], "big"),
            int.from_bytes(digest[4:8], "big"),
            int.from_bytes(digest[8:], "big"),
        )

    def _ways(self, column: int, tag: tuple[int, int, int]) -> range:
        start = column + tag[2] % SETS * WAYS * self._width
        return range(start, start + WAYS * self._width, self._width)

    def _living(self, tag: tuple[int, int, int], now: int) -> Iterator[int]:
        cells = self._cells
        for column in range(0, self._workers * self._column, self._column):
            for at in self._ways(column, tag):
                if cells[at] == tag[0] and cells[at + 1] == tag[1] and cells[at + _UNTIL] >= now:
                    yield at

    def _own(self, tag: tuple[int, int, int], now: int, lasts: int) -> int:
        """This worker's entry, a new one if need be; it lives on from now."""
        cells = self._cells
        oldest = self._ways(self._start, tag)[0]
        for at in self._ways(self._start, tag):
            if cells[at] == tag[0] and cells[at + 1] == tag[1]:
                is_alive = cells[at + _UNTIL] >= now
                break
            if cells[at + _UNTIL] < cells[oldest + _UNTIL]:
                oldest = at
        else:
            at, is_alive = oldest, False
        if not is_alive:
            cells[at + _UNTIL : at + self._width] = memoryview(bytes((self._width - _UNTIL) * 4)).cast("I")
            cells[at], cells[at + 1] = tag[0], tag[1]
        cells[at + _UNTIL] = min(now + lasts, _WORD - 1)
        return at


class RecentByClock:
    """`ports.counters.Recent`."""

    def __init__(self, shared: SharedRecent, clock: Clock) -> None:
        self._shared, self._clock = shared, clock

    def count(self, key: str, seconds: float) -> int:
        return self._shared.count(key, self._clock.monotonic(), seconds)

    def note(self, key: str, member: str, seconds: float) -> None:
        self._shared.note(key, member, self._clock.monotonic(), seconds)

    def members(self, key: str) -> int:
        return self._shared.members(key, self._clock.monotonic())


def _ticks(seconds: float) -> int:
    """Whole sixteenths, the first of them 1, so that an empty entry never lives."""
    return int(seconds * _TICKS) + 1
