"""How often something (the directory, scripts) was changed, over all workers, in memory that the supervisor
maps before it forks.

Each worker writes only its own cell, so nothing needs a lock, and no change is lost between two that happen
at once.
"""

import mmap


class SharedVersion:
    """Made by the supervisor; each worker calls `take_slot` once."""

    def __init__(self, workers: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, 8 * workers)).cast("Q")
        self._slot = 0

    def take_slot(self, slot: int) -> None:
        """In the worker after the fork. The one before it may have died between its commit and its word."""
        self._slot = slot
        self.raise_()

    def raise_(self) -> None:
        """Something was changed, and is committed."""
        self._cells[self._slot] += 1

    def now(self) -> bytes:
        """Another one after each change, whichever worker made it."""
        return self._cells.tobytes()
