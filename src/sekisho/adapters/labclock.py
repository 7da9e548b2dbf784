"""A clock that a lab moves: the system's time plus an offset that lies in a small file, read anew at each
question.

A server takes it only when the environment that starts it names the file (`VARIABLE`), and then only on
loopback; no setting of the configuration leads here. The file holds one signed 64-bit number in the byte
order of the machine: microseconds.
"""

import mmap
import time
from pathlib import Path

VARIABLE = "SEKISHO_LAB_CLOCK"
OFFSET_OCTETS = 8


class LabClock:
    """`ports.clock.Clock`. Raises OSError, ValueError when there is no such file."""

    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._offset_us = memoryview(mmap.mmap(opened.fileno(), OFFSET_OCTETS, prot=mmap.PROT_READ)).cast(
                "q"
            )

    @property
    def offset_us(self) -> int:
        return self._offset_us[0]

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self._offset_us[0]

    def monotonic(self) -> float:
        return time.monotonic() + self._offset_us[0] / 1_000_000


class ClockMover:
    """The lab's hand on that file, which it makes."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(OFFSET_OCTETS))
        with file.open("r+b") as opened:
            self._offset_us = memoryview(mmap.mmap(opened.fileno(), OFFSET_OCTETS)).cast("q")

    def move(self, offset_us: int) -> None:
        """How far the server's time is ahead of the system's. It must never become less while a server
        runs."""
        self._offset_us[0] = offset_us
