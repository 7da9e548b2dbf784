"""`ports.metrics.Metrics` over all workers, in memory that the supervisor maps before it forks.

Counting is a dictionary entry in the worker. Once a second a worker that counted something writes its sums
into its own part of the shared memory, and whoever is asked adds the parts up. What a dead worker had counted
goes to the part of the retired.
"""

import mmap
import struct
import time
from collections.abc import Iterable

import msgspec

from sekisho.ports.metrics import METRICS

PART_OCTETS = 262_144  # pages that nobody touches cost nothing
SERIES_LIMIT = 500  # label combinations of one metric; further ones are counted together as "other"
PUBLISH_SECONDS = 1.0
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_HEAD = struct.Struct("<II")  # a count that is odd while the part is being written, and the length
_READ_TRIES = 50

Key = tuple[str, tuple[tuple[str, str], ...]]  # metric, labels sorted by name
Rows = list[tuple[str, tuple[tuple[str, str], ...], tuple[float, ...]]]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Rows).decode


class SharedMetrics:
    """Made by the supervisor; each worker calls `take_slot` once, and `publish_news` every second."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._memory = mmap.mmap(-1, PART_OCTETS * (workers + 1))
        self._retired = workers  # the part of the dead
        self._slot: int | None = None
        self._values: dict[Key, list[float]] = {}  # a histogram: buckets, then sum and count
        self._cache: dict[tuple[str, frozenset[tuple[str, str]]], list[float]] = {}
        self._series: dict[str, int] = {}
        self._has_news = False

    def take_slot(self, slot: int) -> None:
        self._slot = slot

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        self._cell(name, labels)[0] += amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._cell(name, labels)[0] = value

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        cell = self._cell(name, labels)
        for number, bound in enumerate(BUCKETS):
            if seconds <= bound:
                cell[number] += 1.0
                break
        cell[-2] += seconds
        cell[-1] += 1.0

    def publish(self) -> None:
        """Write this worker's sums now (also at the end of the process)."""
        self._has_news = False
        if self._slot is not None:
            self._write(
                self._slot, [(name, labels, tuple(cell)) for (name, labels), cell in self._values.items()]
            )

    async def publish_news(self) -> None:
        """A duty, every `PUBLISH_SECONDS`."""
        if self._has_news:
            self.publish()

    def forget_worker(self, slot: int) -> None:
        """In the supervisor when the worker of this slot is dead: its counters stay, its gauges go."""
        kept = [row for row in self._read(slot) if METRICS[row[0]][0] != "gauge"]
        if kept:
            self._write(self._retired, _added([*self._read(self._retired), *kept]))
        self._write(slot, [])

    def rows(self) -> Rows:
        """Sums over all workers, this one's up to the moment."""
        self.publish()
        return _added(row for part in range(self._workers + 1) for row in self._read(part))

    def _cell(self, name: str, labels: dict[str, str]) -> list[float]:
        cell = self._cache.get((name, frozenset(labels.items())))
        if cell is None:
            cell = self._new_cell(name, labels)
        self._has_news = True
        return cell

    def _new_cell(self, name: str, labels: dict[str, str]) -> list[float]:
        kind, _, names = METRICS[name]
        if set(names) != set(labels):
            raise ValueError(f"metric {name} has the labels {names}, not {tuple(labels)}")
        series = self._series.get(name, 0)
        cached = (name, frozenset(labels.items()))
        if series >= SERIES_LIMIT:
            labels = dict.fromkeys(labels, "other")
        else:
            self._series[name] = series + 1
        size = len(BUCKETS) + 2 if kind == "histogram" else 1
        cell = self._values.setdefault(
            (name, tuple(sorted((key, value[:100]) for key, value in labels.items()))), [0.0] * size
        )
        if series < SERIES_LIMIT:
            self._cache[cached] = cell
        return cell

    # Each part has one writer. A reader that sees it change tries again.

    def _write(self, part: int, rows: Rows) -> None:
        data = _encode(rows)
        while len(data) > PART_OCTETS - _HEAD.size:
            rows = rows[: len(rows) // 2]
            data = _encode(rows)
        start = part * PART_OCTETS
        version = _HEAD.unpack_from(self._memory, start)[0] | 1
        _HEAD.pack_into(self._memory, start, version, len(data))
        self._memory[start + _HEAD.size : start + _HEAD.size + len(data)] = data
        _HEAD.pack_into(self._memory, start, (version + 1) & 0xFFFFFFFF, len(data))

    def _read(self, part: int) -> Rows:
        start = part * PART_OCTETS
        for _ in range(_READ_TRIES):
            version, length = _HEAD.unpack_from(self._memory, start)
            data = bytes(self._memory[start + _HEAD.size : start + _HEAD.size + min(length, PART_OCTETS)])
            if version % 2 == 0 and _HEAD.unpack_from(self._memory, start)[0] == version:
                return _decode(data) if data else []
            time.sleep(0.0005)
        return []  # its worker died in the middle of writing


def _added(rows: Iterable[tuple[str, tuple[tuple[str, str], ...], tuple[float, ...]]]) -> Rows:
    sums: dict[Key, tuple[float, ...]] = {}
    for name, labels, cell in rows:
        before = sums.get((name, labels))
        sums[name, labels] = (
            cell if before is None else tuple(a + b for a, b in zip(before, cell, strict=True))
        )
    return [(name, labels, cell) for (name, labels), cell in sums.items()]
