"""What one worker at a time does for all: checkpoints, and sweeping what nobody needs any more."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import apsw

from sekisho.adapters.stores.sqlite import pruning
from sekisho.adapters.stores.sqlite.backup_mark import is_backup_running
from sekisho.adapters.stores.sqlite.connection import NoRoom, connect, store_errors
from sekisho.adapters.stores.sqlite.content import TEMPORARY, ContentFolder
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.reserve import Reserve
from sekisho.adapters.stores.sqlite.writer import Writer
from sekisho.ports.clock import Clock

INTERVAL_SECONDS = 2.0
SWEEP_SECONDS = 3600.0
DAY_SECONDS = 86_400.0
CHECKPOINT_OCTETS = 4_194_304  # of WAL
TRUNCATE_OCTETS = 67_108_864
LAST_PAGES = 256  # of 4 KB, moved while the writers wait
PASSES = 5
TRIES, TRY_SECONDS = 20, 0.01
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
        """Most of the work beside the writers, the last pages while they wait. Raises StoreUnavailable.

        Nobody waits under the lock for a reader: while one stands (a backup, a check) the log can only grow,
        and the next round goes on.
        """
        connection = connect(self._database, vfs=self._vfs)
        try:
            connection.set_busy_timeout(0)
            with store_errors(self._database):
                if _move_pages(connection) > LAST_PAGES:
                    return
                mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_RESTART
                lock = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
                try:
                    for tried in range(TRIES):
                        # A short question or a commit under way is over in a moment, which is waited for
                        # without the lock.
                        time.sleep(TRY_SECONDS if tried else 0)
                        if self._begin_anew(connection, lock, mode):
                            return
                finally:
                    os.close(lock)
        finally:
            connection.close()

    def _begin_anew(self, connection: apsw.Connection, lock: int, mode: int) -> bool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            return False
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
        return True


def _move_pages(connection: apsw.Connection) -> int:
    """Beside the writers, as far as readers allow; returns how many pages of the log are left."""
    left = 0
    for _ in range(PASSES):
        try:
            in_log, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return LAST_PAGES + 1  # another one is at it
        before, left = left, in_log - moved
        if left <= LAST_PAGES or left == before:
            break
    return left


class Maintenance:
    """Each round is a duty of its own (`rounds`), of the one worker that has the lease."""

    def __init__(
        self,
        clock: Clock,
        mail: tuple[Reader, Writer],
        hints: tuple[Reader, Writer],
        reserve: Reserve,
        vfs: str | None,
    ) -> None:
        self._clock, self._reserve = clock, reserve
        self._mail, self._hints = mail, hints
        self._checkpointers = [Checkpointer(writer.database, writer.lock, vfs) for _, writer in (mail, hints)]

    @property
    def rounds(self) -> Mapping[str, tuple[float, Callable[[], Awaitable[None]]]]:
        """name → seconds between two rounds, the round. They may raise StoreUnavailable."""
        return {
            "store.checkpoint": (INTERVAL_SECONDS, self.checkpoint_what_grew),
            "store.reserve": (INTERVAL_SECONDS, self.renew_reserve),
            "store.deliveries": (SWEEP_SECONDS, self.forget_deliveries),
            "store.destinations": (SWEEP_SECONDS, self.forget_destinations),
            "store.counters": (SWEEP_SECONDS, self.forget_counters),
            "store.structures": (SWEEP_SECONDS, self.forget_structures),
            "store.orphans": (SWEEP_SECONDS, self.remove_orphans),
            "store.graves": (SWEEP_SECONDS, self.forget_graves),
            "store.threads": (DAY_SECONDS, self.forget_threads),
        }

    async def checkpoint_what_grew(self) -> None:
        for checkpointer in self._checkpointers:
            octets = checkpointer.wal_octets
            if octets >= CHECKPOINT_OCTETS:
                await self._checkpoint(checkpointer, truncate=octets >= TRUNCATE_OCTETS)

    async def _checkpoint(self, checkpointer: Checkpointer, *, truncate: bool) -> None:
        try:
            await asyncio.to_thread(checkpointer.run, truncate=truncate)
        except NoRoom:
            # Without it the log would go on growing.
            if not self._reserve.give_up():
                raise
            await asyncio.to_thread(checkpointer.run, truncate=truncate)

    async def renew_reserve(self) -> None:
        """As soon as there is room for it again."""
        with store_errors():
            await asyncio.to_thread(self._reserve.renew)

    async def checkpoint(self, *, truncate: bool = False) -> None:
        """Now, both databases, whatever their size."""
        for checkpointer in self._checkpointers:
            await asyncio.to_thread(checkpointer.run, truncate=truncate)

    async def forget_destinations(self) -> None:
        """Back-offs of next hops that nothing waits for."""
        day_ago_us = self._clock.now_us() - 86_400_000_000
        sql = "DELETE FROM destination WHERE ready_at_us IS NULL AND not_before_us < ?"
        await self._mail[1].write(lambda tx: tx.execute(sql, (day_ago_us,)))

    async def forget_counters(self) -> None:
        """Windows that are over, and what scripts need not remember any more."""
        now_us = self._clock.now_us()
        sql = "DELETE FROM counter WHERE (start + 2) * window_seconds * 1000000 < ?"
        await self._hints[1].write(lambda tx: tx.execute(sql, (now_us,)), is_long=True)
        await self._hints[1].write(
            lambda tx: tx.execute("DELETE FROM remembered WHERE forget_at_us <= ?", (now_us,)), is_long=True
        )

    async def forget_structures(self) -> None:
        """Cached ones beyond what is kept."""
        sql = (
            "DELETE FROM structure WHERE content_id IN "
            "(SELECT content_id FROM structure ORDER BY content_id LIMIT max(0, (SELECT count(*) FROM "
            "structure) - ?))"
        )
        await self._hints[1].write(lambda tx: tx.execute(sql, (STRUCTURES,)), is_long=True)

    async def forget_graves(self) -> None:
        """Of messages that were expunged long ago."""
        await pruning.prune_graves(*self._mail)

    async def forget_threads(self) -> None:
        """That have no message any more."""
        await pruning.prune_threads(*self._mail, self._clock.now_us())

    async def remove_orphans(self) -> None:
        """Files that no content names."""
        folder = self._mail[1].folder
        if folder is not None:
            await asyncio.to_thread(
                sweep_orphans, self._mail[1].database, folder, time.time() - ORPHAN_SECONDS
            )

    async def forget_deliveries(self) -> None:
        """By key in portions: a scan that never holds the lock."""
        now_us, after = self._clock.now_us(), ""
        sql = (
            "SELECT delivery_id FROM delivery WHERE delivery_id > ? AND forget_at_us <= ? ORDER BY "
            "delivery_id LIMIT ?"
        )
        while True:
            values = (after, now_us, PORTION)
            old = await self._mail[0].scan(lambda db, values=values: db.execute(sql, values).fetchall())  # type: ignore[misc]  # binds the loop's variable
            if not old:
                return
            rows = [(key, now_us) for (key,) in old]
            await self._mail[1].write(
                lambda tx, rows=rows: tx.executemany(
                    "DELETE FROM delivery WHERE delivery_id = ? AND forget_at_us <= ?", rows
                )  # type: ignore[misc]  # the same
            )
            after = old[-1][0]


def sweep_orphans(database: Path, folder: ContentFolder, before: float) -> int:
    """Remove files older than `before` (seconds since 1970) that no content row names; returns how many.

    A file gets its row within seconds, so that a day is ample. As soon as a backup runs nothing is removed
    any more.
    """
    removed = 0
    connection = connect(database)
    try:
        with store_errors():
            for place in [folder.path / TEMPORARY, *folder.path.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]")]:
                for entry in os.scandir(place):
                    if (
                        not entry.is_file(follow_symlinks=False)
                        or entry.stat(follow_symlinks=False).st_mtime >= before
                    ):
                        continue
                    named = connection.execute(
                        "SELECT 1 FROM content WHERE file = ?", (entry.name,)
                    ).fetchall()
                    if named and place.name != TEMPORARY:
                        continue
                    if is_backup_running(database.parent):
                        return removed
                    with contextlib.suppress(FileNotFoundError):  # its worker was quicker
                        os.unlink(entry.path)
                        removed += 1
    finally:
        connection.close()
    return removed
