"""ledger.db: everything decided, found again by id, address, message-id or client. Apart from mail.db, and
never inside its lock."""

import asyncio
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sekisho.adapters.stores.sqlite.connection import Database, check_version, connect, store_errors
from sekisho.adapters.stores.sqlite.ledger_places import (
    DAY_US,
    PLACE_BITS,
    POSTING_SHIFT,
    SEGMENT_ENTRIES,
    entry_id,
    key_hash,
)
from sekisho.adapters.stores.sqlite.ledger_writer import INTERVAL_SECONDS, LedgerWriter, Lost
from sekisho.adapters.stores.sqlite.maintenance import CHECKPOINT_OCTETS, TRUNCATE_OCTETS, Checkpointer
from sekisho.adapters.stores.sqlite.migrate import migrate
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry
from sekisho.ports.ledger import LedgerEntry, LedgerSpan, is_about, normal_key

LEDGER, LEDGER_LOCK = "ledger.db", "ledger.lock"
TRIM_ENTRIES = 2_000  # deleted in one transaction: a few ms
TRIM_POSTINGS = 20_000
TRIM_STEPS = 20  # in one round of the maintenance
_OCTETS = (
    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, "
    "pragma_page_size"
)
_decode = msgspec.msgpack.Decoder(LedgerEntry).decode


class LedgerLimits(msgspec.Struct, frozen=True):
    """How much is kept, and how much of the disk is left to the mail."""

    keep_days: int = 90
    keep_octets: int = 1_073_741_824
    free_disk_octets: int = 268_435_456


class SqliteLedger:
    """Implements `ports.ledger.Ledger` and `Recorder`. One per worker, opened after the fork; raises
    StoreUnavailable, SchemaTooNew.

    `lost(count, why)` is called in another thread. `alone`: no other worker writes now.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        limits: LedgerLimits,
        lost: Lost,
        *,
        alone: bool = False,
        vfs: str | None = None,
    ) -> None:
        database, lock = data_dir / LEDGER, data_dir / LEDGER_LOCK
        _prepare(database, lock, vfs)
        self.limits = limits
        self._clock, self._alone, self._vfs = clock, alone, vfs
        self._database, self._lock = database, lock
        self._writer = LedgerWriter(database, lock, free_octets=limits.free_disk_octets, lost=lost, vfs=vfs)
        self._reader = Reader(database, vfs)
        self._checkpointer = Checkpointer(database, lock, vfs)

    def use(self, limits: LedgerLimits) -> None:
        """Other limits from now on."""
        self.limits = limits
        self._writer.free_octets = limits.free_disk_octets

    def keep(self, at_us: int, entry: Entry) -> None:
        self._writer.keep(at_us, entry)

    async def find(self, key: str, *, since_us: int = 0, limit: int = 200) -> list[LedgerEntry]:
        normal = normal_key(key)
        return await self._reader.scan(lambda db: _find(db, normal, since_us, limit)) if normal else []

    async def span(self) -> LedgerSpan:
        return await self._reader.scan(_span)

    async def settle(self) -> None:
        await asyncio.to_thread(self._writer.flush)
        if not self._alone:
            await asyncio.sleep(INTERVAL_SECONDS)

    async def keep_house(self) -> None:
        """One round of maintenance, by whoever has its lease. Raises StoreUnavailable."""
        octets = self._checkpointer.wal_octets
        if octets >= CHECKPOINT_OCTETS:
            await asyncio.to_thread(self._checkpointer.run, truncate=octets >= TRUNCATE_OCTETS)
        await asyncio.to_thread(self.trim)

    def trim(self) -> bool:
        """Remove some of what is too old or too much; True while there is more to do."""
        connection = connect(self._database, synchronous="NORMAL", vfs=self._vfs)
        lock = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            with store_errors():
                return _trim(connection, lock, self._clock.now_us(), self.limits)
        finally:
            os.close(lock)
            connection.close()

    def close(self) -> None:
        """Write what waits, then close. More than once is harmless."""
        self._writer.close()
        self._reader.close()


def _prepare(database: Path, lock: Path, vfs: str | None) -> None:
    check_version()
    with store_errors():
        os.close(_own_file(database))
        descriptor = _own_file(lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            migrate(database, "ledger", vfs=vfs)
        finally:
            os.close(descriptor)


def _own_file(path: Path) -> int:
    """For nobody else to read, and the server's even if a command of root's makes it first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        folder = os.stat(path.parent)
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def _find(db: Database, key: str, since_us: int, limit: int) -> list[LedgerEntry]:
    found: list[LedgerEntry] = []
    for place in _places(db, key, since_us):
        rows = db.execute("SELECT octets FROM entry WHERE id = ?", (entry_id(place),)).fetchall()
        if not rows:
            continue  # cut off since
        entry = _decode(rows[0][0])
        if entry.at_us >= since_us and is_about(entry, key):
            found.append(entry)
            if len(found) >= limit:
                break
    return found


def _places(db: Database, key: str, since_us: int) -> Iterator[int]:
    """Newest first: what is fresh came after all that has moved."""
    hash_ = key_hash(key)
    mask = (1 << POSTING_SHIFT - PLACE_BITS) - 1
    fresh = db.execute(
        "SELECT place FROM fresh WHERE (place >> ?) & ? = ?", (PLACE_BITS, mask, hash_)
    ).fetchall()
    yield from sorted((place for (place,) in fresh), reverse=True)
    sql = (
        "SELECT posting.place FROM segment CROSS JOIN posting "
        "ON posting.place BETWEEN (segment.number << ?1) + ?2 AND (segment.number << ?1) + ?2 + ?3 "
        "WHERE segment.last_at_us >= ?4 ORDER BY segment.number DESC, posting.place DESC"
    )
    for (place,) in db.execute(sql, (POSTING_SHIFT, hash_ << PLACE_BITS, SEGMENT_ENTRIES - 1, since_us)):
        yield place


def _span(db: Database) -> LedgerSpan:
    ((entries, oldest_at_us),) = db.execute(
        "SELECT coalesce(sum(entries), 0), coalesce(min(first_at_us), 0) FROM segment"
    ).fetchall()
    ((octets,),) = db.execute(_OCTETS).fetchall()
    return LedgerSpan(entries, oldest_at_us, octets)


def _trim(db: Database, lock: int, now_us: int, limits: LedgerLimits) -> bool:
    """Steps of a few ms, so that no writer waits long."""
    for _ in range(TRIM_STEPS):
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            db.execute("BEGIN IMMEDIATE")
            more = _trim_step(db, now_us, limits)
            db.execute("COMMIT")
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
        if not more:
            return False
    return True


def _trim_step(db: Database, now_us: int, limits: LedgerLimits) -> bool:
    """A portion of the oldest segment, if it has to go; whether it had."""
    segments = db.execute("SELECT number, last_at_us FROM segment ORDER BY number LIMIT 2").fetchall()
    if not segments:
        return False
    number, last_at_us = segments[0]
    is_begun = db.execute("SELECT min(id) FROM entry").fetchall()[0][0] != number << PLACE_BITS
    if not is_begun and last_at_us >= now_us - limits.keep_days * DAY_US:
        ((octets,),) = db.execute(_OCTETS).fetchall()
        if octets <= limits.keep_octets or len(segments) < 2:
            return False
    portions = (("entry", "id", PLACE_BITS, TRIM_ENTRIES), ("posting", "place", POSTING_SHIFT, TRIM_POSTINGS))
    for table, column, shift, portion in portions:
        first = db.execute(f"SELECT min({column}) FROM {table}").fetchall()[0][0]
        if first is not None and first >> shift <= number:
            chosen = f"SELECT {column} FROM {table} WHERE {column} < ? ORDER BY {column} LIMIT ?"
            db.execute(f"DELETE FROM {table} WHERE {column} IN ({chosen})", (number + 1 << shift, portion))
            return True
    db.execute("DELETE FROM fresh WHERE place >> ? <= ?", (POSTING_SHIFT, number))
    db.execute("DELETE FROM segment WHERE number = ?", (number,))
    return True
