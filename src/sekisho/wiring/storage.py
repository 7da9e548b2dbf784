"""Backup, verify, restore."""

import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.process.privileges import acting_as, foreign_file
from sekisho.adapters.stores.sqlite import backup as backups
from sekisho.adapters.stores.sqlite import verify as checks
from sekisho.adapters.stores.sqlite.connection import UnsafeSqlite
from sekisho.adapters.stores.sqlite.migrate import SchemaTooNew
from sekisho.adapters.stores.sqlite.wording import DatabaseError, reason_of
from sekisho.config.schema import Config
from sekisho.faces.cli.handle import CommandError, Progress
from sekisho.ports.content import StoreUnavailable
from sekisho.wiring.operator import owned_data
from sekisho.wiring.owner import data_owner

# By what SQLite and the system say that a file may not be opened.
_FORBIDDEN = frozenset(("CantOpenError", "PermissionError", "ReadOnlyError"))


@contextmanager
def _in_words(*folders: Path, owner: pwd.struct_passwd | None = None) -> Iterator[None]:
    """`folders` are read or written, as `owner`: if that is forbidden, it is said whose they are."""
    try:
        yield
    except (backups.BackupRefused, SchemaTooNew, UnsafeSqlite) as error:
        raise CommandError("{reason}", reason=error) from error
    except (StoreUnavailable, PermissionError, DatabaseError) as error:
        told = ""
        if _FORBIDDEN.intersection((type(error).__name__, type(error.__cause__).__name__)):
            with acting_as(owner):
                told = next(filter(None, map(foreign_file, folders)), "")
        if not told and isinstance(error, DatabaseError):
            raise CommandError("{path}: {reason}.", path=str(folders[0]), reason=reason_of(error)) from error
        raise CommandError("{reason}", reason=told or error) from error


def backup(config: Config, target: Path, progress: Progress) -> dict[str, Any]:
    owner = data_owner(config)
    with _in_words(config.data_dir, owner=owner):
        manifest = backups.backup(
            config.data_dir,
            target,
            SystemClock(),
            lambda done, total: progress("backup", done, total),
            as_owner=lambda: acting_as(owner),
        )
    return msgspec.structs.asdict(manifest)


def verify(config: Config, copy: Path | None, progress: Progress) -> dict[str, Any]:
    owner = data_owner(config) if copy is None else None
    with _in_words(copy or config.data_dir, owner=owner), acting_as(owner):
        problems = checks.verify(copy or config.data_dir, lambda done, total: progress("verify", done, total))
    return {"problems": problems}


def restore(config: Config, copy: Path, progress: Progress) -> dict[str, Any]:
    with _in_words(copy, config.data_dir), owned_data(config) as owner:
        manifest = backups.restore(
            copy,
            config.data_dir,
            SystemClock(),
            lambda done, total: progress("restore", done, total),
            as_owner=lambda: acting_as(owner),
        )
    return msgspec.structs.asdict(manifest)
