"""Backing up a running store, and restoring it.

A backup is a folder: snapshots of the databases, then every file that the snapshot of mail.db names. Files
are immutable, so that a hard link is as good as a copy while both lie on one disk.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import apsw
import msgspec

from sekisho.adapters.stores.sqlite.backup_mark import backup_mark
from sekisho.adapters.stores.sqlite.connection import check_version, connect, store_errors
from sekisho.adapters.stores.sqlite.ledger import LEDGER
from sekisho.adapters.stores.sqlite.migrate import check_stamp, steps
from sekisho.adapters.stores.sqlite.store import CONTENT, HINTS, MAIL
from sekisho.core.terms.records import by_position
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable

Progress = Callable[[int, int], None]  # done, of how many
MANIFEST = "backup.json"
PAGES = 1_000  # copied between two reports
# Within it files are opened and made as the owner of the data, when the command runs as somebody else (root).
AsOwner = Callable[[], AbstractContextManager[None]]
_NAME = re.compile(r"[0-9a-f]{32}\Z")
_COPY_OCTETS = 1_048_576


class BackupRefused(Exception):
    """It cannot be done as asked; the message is a sentence for the operator."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    made_at_us: int
    schema: int
    messages: int
    octets: int  # of all contents, each counted once
    files: int


def no_progress(done: int, total: int) -> None:
    pass


def place_of(content: Path, name: str) -> Path:
    return content / name[:2] / name[2:4] / name


@contextmanager
def _private() -> Iterator[None]:
    """Whatever is made within is for its owner only. The mask belongs to the whole process, which does
    nothing else meanwhile."""
    usual = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(usual)


def backup(
    data_dir: Path,
    target: Path,
    clock: Clock,
    progress: Progress = no_progress,
    *,
    link: bool = True,
    as_owner: AsOwner = nullcontext,
) -> Manifest:
    """Copy the store in `data_dir`, which may be running, to the new folder `target`; durable when it
    returns.

    `link` False copies files even where hard links would do; within `as_owner` the data is read. Raises
    BackupRefused, StoreUnavailable.
    """
    check_version()
    target = Path(os.path.abspath(target))  # "." has no name to put one beside
    if not (data_dir / MAIL).exists():
        raise BackupRefused(f"{data_dir} holds no store: {MAIL} is missing.")
    with store_errors(), _private():
        part = _new_folder(target)
        try:
            with backup_mark(data_dir, as_owner):
                schema = _snapshot(data_dir / MAIL, part / MAIL, progress, as_owner)
                _snapshot(data_dir / HINTS, part / HINTS, no_progress, as_owner)
                if (data_dir / LEDGER).exists():
                    _snapshot(data_dir / LEDGER, part / LEDGER, no_progress, as_owner)
                names = _file_names(part / MAIL)
                _gather(data_dir / CONTENT, part / CONTENT, names, progress, link=link, reading=as_owner)
        except BlockingIOError:
            raise BackupRefused("Another backup of this store is running.") from None
        manifest = by_position(Manifest, clock.now_us(), schema, *_count(part / MAIL), len(names))
        (part / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        _sync_tree(part)
        if target.exists():
            target.rmdir()
        part.rename(target)
        _sync(target.parent)
    return manifest


def _new_folder(target: Path) -> Path:
    """Beside `target`, whose place it takes at the end. Raises BackupRefused."""
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise BackupRefused(f"{target} exists already and is not an empty folder: choose another.")
        part = target.with_name(target.name + ".part")
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise BackupRefused(
            f"No folder {target} can be made: {error.strerror}. Choose a place that exists, and in which you "
            "may write."
        ) from error
    return part


def _snapshot(source: Path, target: Path, progress: Progress, as_owner: AsOwner) -> int:
    """A copy of the database at one instant; returns its schema number."""
    with as_owner():
        reading = connect(source)
        # The open read transaction keeps the copy at one state, however long it takes.
        reading.execute("BEGIN")
        schema = int(reading.pragma("user_version") or 0)
    writing = apsw.Connection(str(target))
    try:
        # The whole copy is synced afterwards: the reading, which the log of the database grows by, does not
        # wait for that.
        writing.pragma("journal_mode", "off")
        writing.pragma("synchronous", "off")
        with writing.backup("main", reading, "main") as copy:
            while not copy.done:
                copy.step(PAGES)
                progress(copy.page_count - copy.remaining, copy.page_count)
        reading.execute("COMMIT")
        writing.pragma("journal_mode", "delete")
    finally:
        writing.close()
        with as_owner():
            reading.close()
    return schema


def _file_names(database: Path) -> list[str]:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = connection.execute("SELECT file FROM content WHERE file IS NOT NULL ORDER BY file").fetchall()
        names = [str(name) for (name,) in found]
        if strange := next((name for name in names if not _NAME.match(name)), None):
            # Whoever may write the database must not choose which files a command of root's copies, and where
            # to.
            raise StoreUnavailable(f"{database} names a content file that cannot be one: {strange!r}")
        return names
    finally:
        connection.close()


def _count(database: Path) -> tuple[int, int]:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        sql = "SELECT (SELECT count(*) FROM message), (SELECT coalesce(sum(size_octets), 0) FROM content)"
        ((messages, octets),) = connection.execute(sql).fetchall()
        return int(str(messages)), int(str(octets))
    finally:
        connection.close()


def _gather(
    source: Path,
    target: Path,
    names: list[str],
    progress: Progress,
    *,
    link: bool,
    reading: AsOwner = nullcontext,
    writing: AsOwner = nullcontext,
) -> None:
    for number, name in enumerate(names, 1):
        goal = place_of(target, name)
        with writing():
            goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (link and _link(place_of(source, name), goal)):
            _copy(place_of(source, name), goal, reading, writing)
        progress(number, len(names))


def _copy(source: Path, target: Path, reading: AsOwner = nullcontext, writing: AsOwner = nullcontext) -> None:
    """Into a new file, which replaces one that is there."""
    with reading():
        old = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(old, "rb") as octets:
        with writing():
            target.unlink(missing_ok=True)
            new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(new, "wb") as copy:
            shutil.copyfileobj(octets, copy, _COPY_OCTETS)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except (PermissionError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        return False
    return True


def restore(
    source: Path,
    target: Path,
    clock: Clock,
    progress: Progress = no_progress,
    *,
    hold_queue: bool = True,
    as_owner: AsOwner = nullcontext,
) -> Manifest:
    """Make the store that the backup `source` holds anew in `target`, where no store may be.

    Mailboxes get a greater UIDVALIDITY, because UIDs given out after the backup may be given out again.
    `hold_queue`: what waited to be sent is held, because it may have been sent since; within `as_owner` the
    data is written. Raises BackupRefused, SchemaTooNew, StoreUnavailable.
    """
    check_version()
    if not (source / MANIFEST).exists():
        raise BackupRefused(f"{source} is not a complete backup: {MANIFEST} is missing.")
    if any((target / name).exists() for name in (MAIL, *(f"{name}-wal" for name in (MAIL, HINTS, LEDGER)))):
        raise BackupRefused(f"{target} holds a store already: move it away first.")
    with store_errors(), _private():
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
        part = target / f"{MAIL}.part"
        with as_owner():
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            for leftover in target.glob(f"{MAIL}.part*"):
                leftover.unlink()
        _copy(source / MAIL, part, writing=as_owner)
        with as_owner():
            _renew(part, clock, hold_queue=hold_queue)
            names = _file_names(part)
        for name in (HINTS, LEDGER):
            if (source / name).exists():
                _copy(source / name, target / name, writing=as_owner)
        _gather(source / CONTENT, target / CONTENT, names, progress, link=False, writing=as_owner)
        with as_owner():
            (target / CONTENT).mkdir(mode=0o700, exist_ok=True)
            _sync_tree(target)
            part.rename(target / MAIL)
            _sync(target)
    return manifest


def _renew(database: Path, clock: Clock, *, hold_queue: bool) -> None:
    connection = apsw.Connection(str(database))
    try:
        check_stamp(connection, database, max(steps("mail")))
        connection.execute("BEGIN IMMEDIATE")
        seconds = clock.now_us() // 1_000_000
        connection.execute("UPDATE account SET last_uidvalidity = max(last_uidvalidity, ?)", (seconds,))
        connection.execute(
            "UPDATE mailbox SET uidvalidity = new.value FROM (SELECT m.id AS id, a.last_uidvalidity + "
            "row_number() OVER (PARTITION BY a.id ORDER BY m.uidvalidity) AS value FROM mailbox m JOIN "
            "account a ON a.id = m.account_id) "
            "AS new WHERE new.id = mailbox.id"
        )
        connection.execute(
            "UPDATE account SET last_uidvalidity = (SELECT max(uidvalidity) FROM mailbox WHERE account_id "
            "= account.id) "
            "WHERE EXISTS (SELECT 1 FROM mailbox WHERE account_id = account.id)"
        )
        # Nobody who claimed work before the backup is alive now.
        connection.execute("UPDATE queue_recipient SET state = 'waiting', owner = '' WHERE state = 'claimed'")
        if hold_queue:
            connection.execute(
                "UPDATE queue_recipient SET state = 'held' WHERE state IN ('waiting', 'parked')"
            )
            connection.execute("DELETE FROM destination")
        else:
            connection.execute(
                "INSERT INTO destination (next_hop, ready_at_us, not_before_us, failures, "
                "last_error) SELECT next_hop, min(due_at_us), 0, 0, '' FROM "
                "queue_recipient "
                "WHERE state = 'waiting' "
                "GROUP BY next_hop ON CONFLICT (next_hop) DO UPDATE SET ready_at_us = "
                "excluded.ready_at_us, not_before_us = 0"
            )
        connection.execute("COMMIT")
    finally:
        connection.close()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_tree(path: Path) -> None:
    for folder, _, names in os.walk(path, topdown=False):
        for name in names:
            _sync(Path(folder) / name)
        _sync(Path(folder))
