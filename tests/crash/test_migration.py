"""Killed at any statement of a migration, a store starts again as if nothing had happened."""

import os
import signal
from pathlib import Path

import apsw
import pytest

from sekisho.adapters.stores.sqlite.migrate import migrate, steps

pytestmark = pytest.mark.slow

OLD = {1: steps("mail")[1]}
NEW = {
    **steps("mail"),
    1001: "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT; INSERT INTO later VALUES (1)",
    1002: "DROP TABLE later",
}


def _migrate_and_die(path: Path, statement: int) -> bool:
    """Migrate in a child that kills itself before its n-th statement; True if it came to the end first."""
    child = os.fork()
    if child == 0:
        seen = 0

        def count(_cursor: object, _sql: str, _bindings: object) -> bool:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)
            return True

        apsw.connection_hooks.append(lambda connection: connection.set_exec_trace(count))
        try:
            migrate(path, "mail", known=NEW)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _old_store(path: Path) -> None:
    migrate(path, "mail", known=OLD)
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE witness (text TEXT); INSERT INTO witness VALUES ('here before')")
    connection.close()


def _state(path: Path) -> tuple[int, str, list[str]]:
    connection = apsw.Connection(str(path))
    try:
        stamp = int(connection.pragma("user_version"))
        (witness,) = connection.execute("SELECT text FROM witness").fetchone()
        return stamp, witness, [row[0] for row in connection.execute("PRAGMA integrity_check")]
    finally:
        connection.close()


def test_killed_at_every_statement(tmp_path: Path) -> None:
    statement, finished = 0, False
    while not finished:
        statement += 1
        path = tmp_path / f"{statement}.db"
        _old_store(path)
        finished = _migrate_and_die(path, statement)
        stamp, witness, problems = _state(path)
        assert stamp in (1, *NEW) and witness == "here before" and problems == ["ok"]
        migrate(path, "mail", known=NEW)
        assert _state(path) == (max(NEW), "here before", ["ok"])
        assert _state(path.with_name(f"{path.name}.schema-1")) == (1, "here before", ["ok"])
    assert statement > 10  # it was really killed, at many places


def test_killed_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    _old_store(path)
    for statement in range(2, 40):
        if _migrate_and_die(path, statement):
            break
    assert _state(path) == (max(NEW), "here before", ["ok"])
