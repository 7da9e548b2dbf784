"""A SQLite store for a test of something else: open in 3 ms, in memory where the machine has such a disk,
closed after the test."""

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings, prepare
from sekisho.adapters.stores.sqlite.writer import Writer
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.testing.clock import SeededDice

_MEMORY = Path("/dev/shm")  # no disk is waited for; elsewhere the system's own place
_OPEN: list["OpenStore"] = []


class OpenStore(SqliteStore):
    """In a new folder of its own."""

    def __init__(self, clock: Clock, dice: Dice | None = None, changes: Changes | None = None) -> None:
        self.clock, self._refused_by = clock, ""
        data_dir = _new_folder() / "data"
        shutil.copytree(_empty(), data_dir)
        super().__init__(
            data_dir,
            clock,
            dice or SeededDice(),
            changes or LocalChanges(),
            StoreSettings(free_disk_octets=1),
        )
        for writer in (self.writer, self.hints_writer):
            _may_refuse(self, writer)
        _OPEN.append(self)

    def refuse(self, why: str) -> None:
        """Every write raises StoreUnavailable from now on; until it is told ""."""
        self._refused_by = why

    def fill_up(self, is_full: bool = True) -> None:
        """The disk is nearly full, or no longer."""
        self.spool.free_disk_octets = 1 << 62 if is_full else 1

    async def close(self) -> None:
        if self in _OPEN:
            _OPEN.remove(self)
            await super().close()
            shutil.rmtree(self.data_dir.parent)


def _may_refuse(store: OpenStore, writer: Writer) -> None:
    write = writer.write

    async def refusing(*arguments: Any, **named: Any) -> Any:
        if store._refused_by:
            raise StoreUnavailable(store._refused_by)
        return await write(*arguments, **named)

    writer.write = refusing


def _new_folder() -> Path:
    usable = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    return Path(tempfile.mkdtemp(prefix="sekisho-test-", dir=_MEMORY if usable else None))


@cache
def _empty() -> Path:
    """A store that nothing is in, made once a process."""
    data_dir = _new_folder() / "data"
    prepare(data_dir)
    return data_dir


def close_all() -> None:
    """What a test opened, whatever its loop has become: nothing is waited for."""
    while _OPEN:
        store = _OPEN.pop()
        for writer in (store.writer, store.hints_writer):
            writer._is_closed = True
            writer._jobs.put(None)
            if writer._thread is not None:
                writer._thread.join()
            writer._connection.close()
            os.close(writer._lock)
        store.reader.close()
        store.hints_reader.close()
        store.folder.close()
        shutil.rmtree(store.data_dir.parent)


def forget_the_empty() -> None:
    if _empty.cache_info().currsize:
        shutil.rmtree(_empty().parent)
        _empty.cache_clear()
