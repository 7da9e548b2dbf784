"""Opening SQLite: the version that is safe, the settings every connection has, and what its errors mean to
callers."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import apsw

from sekisho.adapters.stores.sqlite.wording import reason_of
from sekisho.ports.content import StoreUnavailable

BUSY_TIMEOUT_MS = 10_000
PAGE_OCTETS = 4096
# Ends of a call that say "not now" rather than "this is wrong".
UNAVAILABLE = (
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.NoMemError,
    apsw.ProtocolError,
    OSError,
)


class Database(Protocol):
    """A connection or a transaction. Rows come as the schema says, so their columns are not typed here."""

    def execute(self, sql: str, values: tuple[Any, ...] = ..., /) -> Any:
        """Run a statement; iterate over the answer or `fetchall()` it."""
        ...


class NoRoom(StoreUnavailable):
    """The disk is full."""


class StoreDamaged(StoreUnavailable):
    """The file of a database is broken: waiting does not help, `verify` and a backup do."""


class UnsafeSqlite(Exception):
    """This SQLite may lose commits; the message says which version is needed."""


def check_version(version: str | None = None) -> None:
    """Refuse a SQLite with the WAL-reset fault: two connections that checkpoint and commit at once may lose
    commits.

    Versions 3.7.0 to 3.51.2 have it; it was mended in 3.51.3, and in 3.50.7 and 3.44.6 for the older lines.
    Raises UnsafeSqlite.
    """
    text = version or apsw.sqlite_lib_version()
    number = tuple(map(int, text.split(".")[:3]))
    if number >= (3, 51, 3) or (3, 50, 7) <= number < (3, 51) or (3, 44, 6) <= number < (3, 45):
        return
    raise UnsafeSqlite(
        f"apsw uses SQLite {text}, which can lose committed mail when several workers write (its WAL-reset "
        f"fault). "
        "Install an apsw whose SQLite is 3.51.3 or newer."
    )


def unavailable(error: BaseException, database: Path | None = None) -> StoreUnavailable:
    """What a fault of UNAVAILABLE means: no room, a broken file, or just "not now"."""
    named = f"{database}: " if database is not None else ""
    text = f"{named}{reason_of(error)} ({error})" if isinstance(error, apsw.Error) else f"{named}{error}"
    told: StoreUnavailable
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        told = StoreDamaged(f"{database or 'the database'} is damaged: {error}")
    elif _is_without_room(error, database):
        told = NoRoom(text)
    else:
        told = StoreUnavailable(text)
    told.__cause__ = error
    return told


def _is_without_room(error: BaseException, database: Path | None) -> bool:
    if isinstance(error, apsw.IOError) and database is not None:  # so SQLite says it of its -shm file
        try:
            disk = os.statvfs(database.parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize < 16 * PAGE_OCTETS
    return isinstance(error, apsw.FullError) or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    )


@contextmanager
def store_errors(database: Path | None = None) -> Iterator[None]:
    """Turn a full, read-only, broken or locked disk into StoreUnavailable."""
    try:
        yield
    except UNAVAILABLE as error:
        raise unavailable(error, database) from error


def connect(
    path: Path,
    *,
    synchronous: Literal["FULL", "NORMAL"] = "FULL",
    read_only: bool = False,
    vfs: str | None = None,
) -> apsw.Connection:
    """A connection in WAL mode that never checkpoints by itself. Call it after fork; raises
    StoreUnavailable."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with store_errors(path):
        connection = apsw.Connection(str(path), flags=flags, vfs=vfs, statementcachesize=300)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
        # The last connection must not checkpoint and delete the WAL behind the maintenance lease's back.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if not read_only:
            connection.pragma("page_size", PAGE_OCTETS)
            if connection.pragma("journal_mode", "wal") != "wal":
                raise StoreUnavailable(
                    f"{path} does not allow write-ahead logging (is it on a network file system?)"
                )
            connection.pragma("synchronous", synchronous)
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("temp_store", "memory")
        connection.pragma("cache_size", -8192)
    return connection
