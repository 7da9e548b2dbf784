"""A disk whose power can be cut: what was not synced may be gone, kept, or kept in part.

Everything is also done for real, so that a store runs on it; beside that each file has its durable octets and
the writes since its last sync, and each folder the entries that were synced and the changes since.
`Disk.rebuild` makes what a machine would find after the power came back: of every unsynced write and entry a
random choice.
"""

import os
import random
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from sekisho.adapters.stores.sqlite.files import Files

SECTOR = 512


class PowerCut(OSError):
    pass


@dataclass(slots=True)
class Inode:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(
        default_factory=list
    )  # (offset, octets), or (size, None) for a truncation

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.durable, change)
        self.pending.clear()

    def after_cut(self, dice: random.Random) -> bytearray:
        """Each unsynced write is there, or not, or in some of its sectors."""
        octets = bytearray(self.durable)
        for offset, written in self.pending:
            fate = dice.random()
            if written is None or fate < 0.35:
                if fate < 0.5:
                    _apply(octets, (offset, written))
            elif fate < 0.65:
                for start in range(0, len(written), SECTOR):
                    if dice.random() < 0.5:
                        _apply(octets, (offset + start, written[start : start + SECTOR]))
        return octets


def _apply(octets: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, written = change
    if written is None:
        del octets[offset:]
        return
    if len(octets) < offset:
        octets.extend(bytes(offset - len(octets)))
    octets[offset : offset + len(written)] = written


class Disk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.trace: list[tuple[str, str]] = []
        self.operations = 0
        self.cut_at: int | None = None
        self._lock = threading.RLock()
        self._inodes: dict[str, Inode] = {}  # by the path that it has now
        self._durable: dict[str, Inode | None] = {}  # path → inode; None: a folder
        self._changes: dict[
            str, list[tuple[str, Inode | None, bool]]
        ] = {}  # folder → (path, inode, is it there)

    def adopt(self) -> None:
        """What is there now is durable."""
        for folder, _, names in os.walk(self.root):
            self._durable[folder] = None
            for name in names:
                path = os.path.join(folder, name)
                if not path.endswith("-shm"):
                    inode = Inode(bytearray(Path(path).read_bytes()))
                    self._inodes[path] = self._durable[path] = inode

    @property
    def is_dead(self) -> bool:
        return self.cut_at is not None and self.operations >= self.cut_at

    def do(self, kind: str, path: str, change: Callable[[], None]) -> None:
        """Count an operation; after the cut it raises instead."""
        with self._lock:
            if self.is_dead:
                raise PowerCut(5, "the power is cut")
            self.operations += 1
            self.trace.append((kind, os.path.relpath(path, self.root)))
            change()

    def inode(self, path: str) -> Inode:
        return self._inodes[path]

    def make(self, path: str) -> None:
        inode = self._inodes[path] = Inode()
        self._enter(path, inode, True)

    def make_folder(self, path: str) -> None:
        self._enter(path, None, True)

    def rename(self, old: str, new: str) -> None:
        inode = self._inodes.pop(old)
        self._inodes[new] = inode
        self._enter(old, inode, False)
        self._enter(new, inode, True)

    def unlink(self, path: str) -> None:
        self._enter(path, self._inodes.pop(path, None), False)

    def _enter(self, path: str, inode: Inode | None, is_there: bool) -> None:
        self._changes.setdefault(os.path.dirname(path), []).append((path, inode, is_there))

    def sync_folder(self, folder: str) -> None:
        for path, inode, is_there in self._changes.pop(folder, []):
            if is_there:
                self._durable[path] = inode
            else:
                self._durable.pop(path, None)

    def sync_entry(self, path: str) -> None:
        """What SQLite's own VFS does when it first syncs a new write-ahead log."""
        if path not in self._durable:
            self.sync_folder(os.path.dirname(path))

    def rebuild(self, target: Path, dice: random.Random) -> None:
        found = dict(self._durable)
        for changes in self._changes.values():
            for path, inode, is_there in changes:
                if dice.random() < 0.5:
                    if is_there:
                        found[path] = inode
                    else:
                        found.pop(path, None)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for path in sorted(found):
            place = target / os.path.relpath(path, self.root)
            inode = found[path]
            if not place.parent.is_dir():
                continue  # its folder was not durable
            if inode is None:
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(inode.after_cut(dice))


class DiskFiles(Files):
    """`Files` on a `Disk`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._open: dict[int, str] = {}
        self._size: dict[int, int] = {}

    def create(self, path: Path) -> int:
        self._disk.do("create", str(path), lambda: self._disk.make(str(path)))
        descriptor = super().create(path)
        self._open[descriptor], self._size[descriptor] = str(path), 0
        return descriptor

    def write(self, descriptor: int, octets: bytes | bytearray) -> None:
        path, offset = self._open[descriptor], self._size[descriptor]
        self._disk.do("write", path, lambda: self._disk.inode(path).pending.append((offset, bytes(octets))))
        self._size[descriptor] += len(octets)
        super().write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        path = self._open[descriptor]
        self._disk.do("sync", path, lambda: self._disk.inode(path).sync())

    def rename(self, old: Path, new: Path) -> None:
        self._disk.do("rename", str(new), lambda: self._disk.rename(str(old), str(new)))
        super().rename(old, new)

    def unlink(self, path: Path) -> None:
        self._disk.do("unlink", str(path), lambda: self._disk.unlink(str(path)))
        super().unlink(path)

    def make_folder(self, path: Path) -> bool:
        if not super().make_folder(path):
            return False
        self._disk.do("make_folder", str(path), lambda: self._disk.make_folder(str(path)))
        return True

    def sync_folder(self, path: Path) -> None:
        self._disk.do("sync_folder", str(path), lambda: self._disk.sync_folder(str(path)))


class DiskFile(apsw.VFSFile):  # type: ignore[misc]  # apsw has no exact types for its classes
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._path = name if isinstance(name, str) else name.filename()
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # the name is apsw's
        octets = bytes(data)
        self._do("write", lambda: self._disk.inode(self._path).pending.append((offset, octets)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:  # noqa: N802  # the name is apsw's
        self._do("truncate", lambda: self._disk.inode(self._path).pending.append((size, None)))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:  # noqa: N802  # the name is apsw's
        self._do("sync", self._sync)

    def _sync(self) -> None:
        self._disk.inode(self._path).sync()
        self._disk.sync_entry(self._path)

    def _do(self, kind: str, change: Callable[[], None]) -> None:
        try:
            self._disk.do(kind, self._path, change)
        except PowerCut as cut:
            raise apsw.IOError(str(cut)) from cut


class DiskVfs(apsw.VFS):  # type: ignore[misc]  # the same
    def __init__(self, name: str, disk: Disk) -> None:
        self._disk = disk
        super().__init__(name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> DiskFile:  # noqa: N802  # the name is apsw's
        file = DiskFile(self._disk, name, flags)
        if file._path not in self._disk._inodes:
            self._disk.make(file._path)
        return file

    def xDelete(self, name: str, sync: bool) -> None:  # noqa: N802  # the name is apsw's
        self._disk.do("unlink", name, lambda: self._disk.unlink(name))
        super().xDelete(name, sync)
