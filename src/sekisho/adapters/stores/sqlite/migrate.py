"""Numbered migrations: each database carries the number of the last one that it went through
(`user_version`).

One migration and its number are one transaction: after a crash it either happened or did not. Before an
existing mail.db changes, a snapshot of it is laid beside it.
"""

from pathlib import Path
from typing import Literal

import apsw

from sekisho.adapters.stores.sqlite.connection import connect, store_errors

DatabaseName = Literal["mail", "hints", "ledger"]


class SchemaTooNew(Exception):
    """The data was written by a newer sekisho; the message is a sentence for the operator."""


def steps(database: DatabaseName) -> dict[int, str]:
    """Number → SQL, ascending."""
    folder = (
        Path(__file__).with_name("migrations") / database
    )  # not importlib.resources: it imports late, when we may not any more
    found = [
        (int(entry.name.removesuffix(".sql")), entry)
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return {number: entry.read_text("utf-8") for number, entry in sorted(found)}


def check_stamp(connection: apsw.Connection, path: Path, newest: int) -> int:
    """The database's number; raises SchemaTooNew."""
    stamp = int(connection.pragma("user_version") or 0)
    if stamp > newest:
        raise SchemaTooNew(
            f"{path} has schema {stamp}, but this sekisho knows only up to {newest}: it was written by a "
            f"newer version. "
            "Install that version again, or restore a backup made before the upgrade."
        )
    return stamp


def migrate(
    path: Path, database: DatabaseName, *, known: dict[int, str] | None = None, vfs: str | None = None
) -> None:
    """Bring the database to the newest schema, making it if it is missing. The caller holds the store's lock.

    Raises SchemaTooNew, StoreUnavailable.
    """
    known = steps(database) if known is None else known
    newest = max(known)
    connection = connect(path, synchronous="FULL", vfs=vfs)
    try:
        with store_errors():
            stamp = check_stamp(connection, path, newest)
            if 0 < stamp < newest and database == "mail":
                _snapshot(connection, path.with_name(f"{path.name}.schema-{stamp}"))
            for number, sql in known.items():
                if number > stamp:
                    _apply(connection, number, sql)
    finally:
        connection.close()


def _apply(connection: apsw.Connection, number: int, sql: str) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if int(connection.pragma("user_version") or 0) < number:
            connection.execute(sql)
            connection.pragma("user_version", number)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _snapshot(connection: apsw.Connection, target: Path) -> None:
    """A copy of the database as it is; an unfinished one of an earlier try is replaced."""
    target.unlink(missing_ok=True)
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    connection.execute("VACUUM INTO ?", (str(unfinished),))
    unfinished.rename(target)
