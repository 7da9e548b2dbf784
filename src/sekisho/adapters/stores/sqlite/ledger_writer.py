"""Writing ledger.db: entries wait in memory for at most a second and go to the disk in one transaction, from
a thread of their own.

The statements take whole arrays, so that the thread holds the interpreter for moments only, and each
statement appends to the end of its table: what an entry costs is a few microseconds, whatever the size of the
ledger.
"""

import fcntl
import os
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec

from sekisho.adapters.stores.sqlite.connection import connect, store_errors
from sekisho.adapters.stores.sqlite.ledger_places import (
    DAY_US,
    PLACE_BITS,
    POSTING_SHIFT,
    SEGMENT_ENTRIES,
    key_hash,
)
from sekisho.adapters.stores.sqlite.reserve import Reserve
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry
from sekisho.ports.ledger import LedgerEntry, normal_key

INTERVAL_SECONDS = 1.0
GATHER_SECONDS = 0.05  # after a quiet second
MOST_WAITING = 50_000
BATCH = 4_096
FRESH_MOST = 32_768  # read through by each question: 2 ms
ENTRY_OCTETS = 16_384  # beyond it each text is cut
VALUE_CHARACTERS = 1_000

# How many entries were lost, and why. Called in the writer's thread.
Lost = Callable[[int, str], None]
_encode = msgspec.msgpack.Encoder().encode


class _Batch:
    """What goes into one transaction. A posting is the hash of a key and the place of its entry, counted from
    the first one here."""

    __slots__ = ("entries", "first_at_us", "last_at_us", "postings")

    def __init__(self, at_us: int) -> None:
        self.entries: list[bytes] = []
        self.postings = array("q")
        self.first_at_us = self.last_at_us = at_us

    def add(self, at_us: int, octets: bytes, keys: tuple[str, ...]) -> None:
        place = len(self.entries)
        self.postings.extend(
            [hash_ << PLACE_BITS | place for hash_ in {key_hash(normal_key(key)) for key in keys if key}]
        )
        self.entries.append(octets)
        if at_us > self.last_at_us:
            self.last_at_us = at_us
        elif at_us < self.first_at_us:
            self.first_at_us = at_us


class LedgerWriter:
    """Implements `ports.ledger.Recorder`. One per worker; `free_octets` of disk are left to the mail."""

    def __init__(
        self, database: Path, lock: Path, *, free_octets: int, lost: Lost, vfs: str | None = None
    ) -> None:
        self._database, self.free_octets, self._report = database, free_octets, lost
        self._connection = connect(database, synchronous="NORMAL", vfs=vfs)
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._gathering = threading.Lock()
        self._batches: list[_Batch] = []
        self._waiting = 0
        self._lost = 0
        self._why_lost = ""
        self._wake, self._closing = threading.Event(), threading.Event()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None

    def keep(self, at_us: int, entry: Entry) -> None:
        """Everything that takes the interpreter is done here: a thread that competes for it would make the
        loop wait 5 ms."""
        try:
            octets, keys = _encoded(at_us, entry), (entry.id, *entry.about)
            with self._gathering:
                if self._waiting < MOST_WAITING:
                    if not self._batches or len(self._batches[-1].entries) >= BATCH:
                        self._batches.append(_Batch(at_us))
                    self._batches[-1].add(at_us, octets, keys)
                else:
                    self._lose(1, "too much at once")
                self._waiting += 1
                is_first = self._waiting == 1
        except Exception as error:  # a value that is our own mistake must not cost what the entry is about
            self._lose(1, repr(error))
            is_first = True
        if is_first:
            self._wake.set()
            if self._thread is None:
                self._start()

    def _lose(self, count: int, why: str) -> None:
        self._lost += count
        self._why_lost = why

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        written = float("-inf")
        while not self._closing.is_set():
            self._wake.wait()
            self._wake.clear()
            self._closing.wait(max(GATHER_SECONDS, written + INTERVAL_SECONDS - time.monotonic()))
            self.flush()
            written = time.monotonic()

    def flush(self) -> None:
        """Write everything that waits now. From any thread."""
        with self._writing:
            with self._gathering:
                batches, self._batches, self._waiting = self._batches, [], 0
            for batch in batches:
                if not batch.entries:  # the first one was our own mistake
                    continue
                try:
                    self._write(batch)
                except Exception as error:  # whatever it is, mail goes on, and so does this thread
                    self._lose(
                        len(batch.entries), str(error) if isinstance(error, StoreUnavailable) else repr(error)
                    )
            if self._lost:
                lost, self._lost = self._lost, 0
                self._report(lost, self._why_lost)

    def _write(self, batch: _Batch) -> None:
        with store_errors():
            disk = os.statvfs(self._database.parent)
            if disk.f_bavail * disk.f_frsize < self.free_octets or Reserve(self._database.parent).is_given_up:
                raise StoreUnavailable("the disk is nearly full, and what is left is kept for mail")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                self._transact(batch)
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _transact(self, batch: _Batch) -> None:
        execute: Callable[..., Any] = self._connection.execute
        execute("BEGIN IMMEDIATE")
        number, place = self._place_for(len(batch.entries), batch.first_at_us, batch.last_at_us)
        # carray counts from 1.
        execute(
            "INSERT INTO entry (id, octets) SELECT ?1 + rowid, value FROM carray(?2)",
            ((number << PLACE_BITS | place) - 1, apsw.carray(tuple(batch.entries))),
        )
        if batch.postings:
            base = number << POSTING_SHIFT | place
            execute(
                "INSERT INTO fresh (place) SELECT ?1 + value FROM carray(?2)",
                (base, apsw.carray(batch.postings)),
            )
        ((fresh,),) = execute("SELECT coalesce(max(rowid), 0) FROM fresh").fetchall()
        if fresh >= FRESH_MOST:
            execute("INSERT OR IGNORE INTO posting (place) SELECT place FROM fresh ORDER BY place")
            execute("DELETE FROM fresh")
        execute("COMMIT")

    def _place_for(self, count: int, first_at_us: int, last_at_us: int) -> tuple[int, int]:
        """Segment and place of the first of `count` entries."""
        execute: Callable[..., Any] = self._connection.execute
        day = first_at_us // DAY_US
        last = execute("SELECT number, day, entries FROM segment ORDER BY number DESC LIMIT 1").fetchall()
        if last and last[0][1] >= day and last[0][2] + count <= SEGMENT_ENTRIES:
            ((number, _, entries),) = last
            execute(
                "UPDATE segment SET entries = entries + ?, first_at_us = min(first_at_us, ?), last_at_us = "
                "max(last_at_us, ?) "
                "WHERE number = ?",
                (count, first_at_us, last_at_us, number),
            )
            return int(number), int(entries)
        number = last[0][0] + 1 if last else 1
        execute(
            "INSERT INTO segment (number, day, entries, first_at_us, last_at_us) VALUES (?, ?, ?, ?, ?)",
            (number, day, count, first_at_us, last_at_us),
        )
        return number, 0

    def close(self) -> None:
        """Write what waits. More than once is harmless."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
        self._connection.close()
        os.close(self._lock)


def _encoded(at_us: int, entry: Entry) -> bytes:
    kept = LedgerEntry(at_us=at_us, kind=entry.kind, id=entry.id, fields=entry.fields, about=entry.about)  # type: ignore[arg-type]  # any mapping will do
    try:
        octets = _encode(kept)
    except (TypeError, ValueError, OverflowError):  # lone surrogates, or what is no value of a journal
        return _encode(_bounded(kept))
    return octets if len(octets) <= ENTRY_OCTETS else _encode(_bounded(kept))


def _bounded(entry: LedgerEntry) -> LedgerEntry:
    """With every text short and encodable, and what is no value of a journal as text."""
    fields = {
        str(name): value if isinstance(value, int | float | None) else _text(str(value))
        for name, value in entry.fields.items()
    }
    return LedgerEntry(
        at_us=entry.at_us,
        kind=_text(entry.kind),
        id=_text(entry.id),
        fields=fields,
        about=tuple(map(_text, entry.about)),
    )


def _text(text: str) -> str:
    if len(text) > VALUE_CHARACTERS:
        text = text[:VALUE_CHARACTERS] + "…"
    return text.encode("utf-8", "replace").decode()
