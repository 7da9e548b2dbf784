"""What one worker at a time does for all, under the lease "maintenance": checkpoints, and sweeping what nobody needs any more."""

import asyncio
import fcntl
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw

from sekisho.adapters.stores.sqlite.backup_mark import is_backup_running
from sekisho.adapters.stores.sqlite.connection import connect, store_errors
from sekisho.adapters.stores.sqlite.content import TEMPORARY, ContentFolder
from sekisho.adapters.stores.sqlite.hints import SqliteLeases
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.leases import Owner

LEASE = "maintenance"
LEASE_SECONDS = 60.0
INTERVAL_SECONDS = 2.0
SWEEP_SECONDS = 3600.0
CHECKPOINT_OCTETS = 4_194_304  # of WAL
TRUNCATE_OCTETS = 67_108_864
ORPHAN_SECONDS = 86_400
PORTION = 1_000
STRUCTURES = 200_000  # kept


class Checkpointer:
    """Moves the WAL of one database into it. Synchronous: run it in a thread."""

    def __init__(self, database: Path, lock: Path, vfs: str | None) -> None:
        self._database, self._lock, self._vfs = database, lock, vfs

    @property
    def wal_octets(self) -> int:
        try:
            return os.stat(f"{self._database}-wal").st_size
        except FileNotFoundError:
            return 0

    def run(self, *, truncate: bool) -> None:
        """Most of the work beside the writers, the rest while they wait. Raises StoreUnavailable."""
        connection = connect(self._database, vfs=self._vfs)
        try:
            with store_errors():
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                lock = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    connection.set_busy_timeout(1000)
                    mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_RESTART
                    connection.wal_checkpoint(mode=mode)
                except apsw.BusyError:
                    return  # a reader or a commit is in the way: the next round goes on from here
                finally:
                    os.close(lock)
        finally:
            connection.close()


class Maintenance:
    def __init__(
        self, clock: Clock, leases: SqliteLeases, mail: tuple[Reader, Writer], hints: tuple[Reader, Writer], vfs: str | None
    ) -> None:
        self._clock, self._leases = clock, leases
        self._mail, self._hints = mail, hints
        self._checkpointers = [Checkpointer(writer.database, writer.lock, vfs) for _, writer in (mail, hints)]
        self._swept_at = float("-inf")
        self.chores: list[Callable[[], Awaitable[None]]] = []  # of others, once a round; they may raise StoreUnavailable

    async def run(self, owner: Owner) -> None:
        """Until it is cancelled. A store that is unavailable is tried again."""
        while True:
            try:
                await self.tick(owner)
            except StoreUnavailable:
                pass  # whoever writes meets the same and says so
            await asyncio.sleep(INTERVAL_SECONDS)

    async def tick(self, owner: Owner) -> bool:
        """One round, if the lease can be had; returns whether."""
        if await self._leases.acquire(LEASE, owner, LEASE_SECONDS) is None:
            return False
        for checkpointer in self._checkpointers:
            octets = checkpointer.wal_octets
            if octets >= CHECKPOINT_OCTETS:
                await asyncio.to_thread(checkpointer.run, truncate=octets >= TRUNCATE_OCTETS)
        if self._clock.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = self._clock.monotonic()
            await self.sweep()
        for chore in self.chores:
            await chore()
        return True

    async def checkpoint(self, *, truncate: bool = False) -> None:
        """Now, both databases, whatever their size."""
        for checkpointer in self._checkpointers:
            await asyncio.to_thread(checkpointer.run, truncate=truncate)

    async def sweep(self) -> None:
        """Forget old deliveries, back-offs, windows and cached structures; remove orphaned files."""
        await self._forget_deliveries()
        now_us = self._clock.now_us()
        await self._mail[1].write(
            lambda tx: tx.execute("DELETE FROM destination WHERE ready_at_us IS NULL AND not_before_us < ?", (now_us - 86_400_000_000,))
        )
        counters = "DELETE FROM counter WHERE (start + 2) * window_seconds * 1000000 < ?"
        structures = (
            "DELETE FROM structure WHERE content_id IN "
            "(SELECT content_id FROM structure ORDER BY content_id LIMIT max(0, (SELECT count(*) FROM structure) - ?))"
        )
        await self._hints[1].write(lambda tx: tx.execute(counters, (now_us,)), is_long=True)
        await self._hints[1].write(lambda tx: tx.execute(structures, (STRUCTURES,)), is_long=True)
        folder = self._mail[1].folder
        if folder is not None:
            await asyncio.to_thread(sweep_orphans, self._mail[1].database, folder, time.time() - ORPHAN_SECONDS)

    async def _forget_deliveries(self) -> None:
        """By key in portions: a scan that never holds the lock."""
        now_us, after = self._clock.now_us(), ""
        sql = "SELECT delivery_id FROM delivery WHERE delivery_id > ? AND forget_at_us <= ? ORDER BY delivery_id LIMIT ?"
        while True:
            values = (after, now_us, PORTION)
            old = await self._mail[0].scan(lambda db, values=values: db.execute(sql, values).fetchall())  # type: ignore[misc]  # binds the loop's variable
            if not old:
                return
            rows = [(key, now_us) for (key,) in old]
            await self._mail[1].write(
                lambda tx, rows=rows: tx.executemany("DELETE FROM delivery WHERE delivery_id = ? AND forget_at_us <= ?", rows)  # type: ignore[misc]  # the same
            )
            after = old[-1][0]


def sweep_orphans(database: Path, folder: ContentFolder, before: float) -> int:
    """Remove files older than `before` (seconds since 1970) that no content row names; returns how many.

    A file gets its row within seconds, so that a day is ample. While a backup runs nothing is removed.
    """
    if is_backup_running(database.parent):
        return 0
    removed = 0
    connection = connect(database)
    try:
        with store_errors():
            for place in [folder.path / TEMPORARY, *folder.path.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]")]:
                for entry in os.scandir(place):
                    if not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_mtime >= before:
                        continue
                    named = connection.execute("SELECT 1 FROM content WHERE file = ?", (entry.name,)).fetchall()
                    if not named or place.name == TEMPORARY:
                        os.unlink(entry.path)
                        removed += 1
    finally:
        connection.close()
    return removed
