"""The few calls on the file system that durability stands on, in one place: a test replaces them to cut the
power."""

import os
from pathlib import Path


class Files:
    """Raises OSError."""

    def create(self, path: Path) -> int:
        """A new file of our own (THREATS 50); the caller owns the descriptor."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def write(self, descriptor: int, octets: bytes | bytearray) -> None:
        view = memoryview(octets)
        while view:
            view = view[os.write(descriptor, view) :]

    def read(self, descriptor: int, offset: int, length: int) -> bytes:
        parts = []
        while length > 0 and (part := os.pread(descriptor, length, offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        os.rename(old, new)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def make_folder(self, path: Path) -> bool:
        """True if it was made now."""
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return False
        return True

    def sync_folder(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def exists(self, path: Path) -> bool:
        return path.exists()
