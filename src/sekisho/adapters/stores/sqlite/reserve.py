"""Room that is kept back on the disk for the day it is full: then it is given up, so that people get in and
can delete.

The file `reserve` in the data folder says how it stands, to all workers: full size, it is there; empty, it
was given up, and until there is room to make it anew no mail comes in; missing, it was never made (the disk
is too small).
"""

import contextlib
import os
from pathlib import Path

NAME = "reserve"
OCTETS = 16_777_216
SHARE = 8  # of a small disk no more than this part
USABLE_OCTETS = 262_144  # less than this is as good as nothing


class Reserve:
    """`low_water_octets`: what has to be free beside it."""

    def __init__(self, data_dir: Path, low_water_octets: int = 0) -> None:
        self.folder, self._path, self.low_water_octets = data_dir, data_dir / NAME, low_water_octets

    @property
    def is_given_up(self) -> bool:
        try:
            return os.stat(self._path, follow_symlinks=False).st_size == 0
        except OSError:
            return False

    def give_up(self) -> bool:
        """The disk is full. Is there some room now, by us or by a sibling?"""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)
            return self._free_octets() >= USABLE_OCTETS
        except OSError:
            return False

    def renew(self) -> None:
        """Make it if it is not there and there is ample room. Raises OSError."""
        disk = os.statvfs(self.folder)
        octets = min(OCTETS, disk.f_blocks * disk.f_frsize // SHARE)
        if self._size() > 0 or self._free_octets() < 2 * octets + self.low_water_octets:
            return
        new = self._path.with_name(NAME + ".new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, octets)
            os.rename(new, self._path)  # whole at once: an empty one means that it was given up
        except OSError:
            os.unlink(new)
            raise
        finally:
            os.close(descriptor)

    def _size(self) -> int:
        try:
            return os.stat(self._path, follow_symlinks=False).st_size
        except FileNotFoundError:
            return 0

    def _free_octets(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize
