"""Backing up a running store, and restoring it.

A backup is a folder: snapshots of the databases, then every file that the snapshot of mail.db names. Files are immutable,
so that a hard link is as good as a copy while both lie on one disk.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import msgspec

from sekisho.adapters.stores.sqlite.backup_mark import backup_mark
from sekisho.adapters.stores.sqlite.connection import check_version, connect, store_errors
from sekisho.adapters.stores.sqlite.ledger import LEDGER
from sekisho.adapters.stores.sqlite.migrate import check_stamp, steps
from sekisho.adapters.stores.sqlite.store import CONTENT, HINTS, MAIL
from sekisho.ports.clock import Clock

Progress = Callable[[int, int], None]  # done, of how many
MANIFEST = "backup.json"
PAGES = 1_000  # copied between two reports


class BackupRefused(Exception):
    """It cannot be done as asked; the message is a sentence for the operator."""


class Manifest(msgspec.Struct, frozen=True):
    made_at_us: int
    schema: int
    messages: int
    octets: int  # of all contents, each counted once
    files: int


def no_progress(done: int, total: int) -> None:
    pass


def place_of(content: Path, name: str) -> Path:
    return content / name[:2] / name[2:4] / name


def backup(data_dir: Path, target: Path, clock: Clock, progress: Progress = no_progress, *, link: bool = True) -> Manifest:
    """Copy the store in `data_dir`, which may be running, to the new folder `target`; durable when it returns.

    `link` False copies files even where hard links would do. Raises BackupRefused, StoreUnavailable.
    """
    check_version()
    if not (data_dir / MAIL).exists():
        raise BackupRefused(f"{data_dir} holds no store: {MAIL} is missing.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupRefused(f"{target} exists already and is not an empty folder: choose another.")
    part = target.with_name(target.name + ".part")
    with store_errors():
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(mode=0o700, parents=True)
        try:
            with backup_mark(data_dir):
                schema = _snapshot(data_dir / MAIL, part / MAIL, progress)
                _snapshot(data_dir / HINTS, part / HINTS, no_progress)
                if (data_dir / LEDGER).exists():
                    _snapshot(data_dir / LEDGER, part / LEDGER, no_progress)
                names = _file_names(part / MAIL)
                _gather(data_dir / CONTENT, part / CONTENT, names, progress, link=link)
        except BlockingIOError:
            raise BackupRefused("Another backup of this store is running.") from None
        manifest = Manifest(clock.now_us(), schema, *_count(part / MAIL), len(names))
        (part / MANIFEST).write_bytes(msgspec.json.encode(manifest))
        _sync_tree(part)
        if target.exists():
            target.rmdir()
        part.rename(target)
        _sync(target.parent)
    return manifest


def _snapshot(source: Path, target: Path, progress: Progress) -> int:
    """A copy of the database at one instant; returns its schema number."""
    reading, writing = connect(source), apsw.Connection(str(target))
    try:
        # The open read transaction keeps the copy at one state, however long it takes.
        reading.execute("BEGIN")
        schema = int(reading.pragma("user_version") or 0)
        with writing.backup("main", reading, "main") as copy:
            while not copy.done:
                copy.step(PAGES)
                progress(copy.page_count - copy.remaining, copy.page_count)
        reading.execute("COMMIT")
        writing.pragma("journal_mode", "delete")
    finally:
        writing.close()
        reading.close()
    return schema


def _file_names(database: Path) -> list[str]:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = connection.execute("SELECT file FROM content WHERE file IS NOT NULL ORDER BY file").fetchall()
        return [str(name) for (name,) in found]
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


def _gather(source: Path, target: Path, names: list[str], progress: Progress, *, link: bool) -> None:
    for number, name in enumerate(names, 1):
        goal = place_of(target, name)
        goal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (link and _link(place_of(source, name), goal)):
            shutil.copyfile(place_of(source, name), goal, follow_symlinks=False)
        progress(number, len(names))


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except (PermissionError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        return False
    return True


def restore(source: Path, target: Path, clock: Clock, progress: Progress = no_progress, *, hold_queue: bool = True) -> Manifest:
    """Make the store that the backup `source` holds anew in `target`, where no store may be.

    Mailboxes get a greater UIDVALIDITY, because UIDs given out after the backup may be given out again. `hold_queue`: what
    waited to be sent is held, because it may have been sent since. Raises BackupRefused, SchemaTooNew, StoreUnavailable.
    """
    check_version()
    if not (source / MANIFEST).exists():
        raise BackupRefused(f"{source} is not a complete backup: {MANIFEST} is missing.")
    if (target / MAIL).exists():
        raise BackupRefused(f"{target} holds a store already: move it away first.")
    with store_errors():
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target / f"{MAIL}.part"
        for leftover in target.glob(f"{MAIL}.part*"):
            leftover.unlink()
        shutil.copyfile(source / MAIL, part)
        _renew(part, clock, hold_queue=hold_queue)
        for name in (HINTS, LEDGER):
            if (source / name).exists():
                shutil.copyfile(source / name, target / name)
        _gather(source / CONTENT, target / CONTENT, _file_names(part), progress, link=False)
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
            "row_number() OVER (PARTITION BY a.id ORDER BY m.uidvalidity) AS value FROM mailbox m JOIN account a ON a.id = m.account_id) "
            "AS new WHERE new.id = mailbox.id"
        )
        connection.execute(
            "UPDATE account SET last_uidvalidity = (SELECT max(uidvalidity) FROM mailbox WHERE account_id = account.id) "
            "WHERE EXISTS (SELECT 1 FROM mailbox WHERE account_id = account.id)"
        )
        # Nobody who claimed work before the backup is alive now.
        connection.execute("UPDATE queue_recipient SET state = 'waiting', owner = '' WHERE state = 'claimed'")
        if hold_queue:
            connection.execute("UPDATE queue_recipient SET state = 'held' WHERE state IN ('waiting', 'parked')")
            connection.execute("DELETE FROM destination")
        else:
            connection.execute(
                "INSERT INTO destination SELECT next_hop, min(due_at_us), 0, 0, '' FROM queue_recipient WHERE state = 'waiting' "
                "GROUP BY next_hop ON CONFLICT (next_hop) DO UPDATE SET ready_at_us = excluded.ready_at_us, not_before_us = 0"
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
