"""Backup, verify, restore."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.process.privileges import acting_as
from sekisho.adapters.stores.sqlite import backup as backups
from sekisho.adapters.stores.sqlite import verify as checks
from sekisho.adapters.stores.sqlite.connection import UnsafeSqlite
from sekisho.adapters.stores.sqlite.migrate import SchemaTooNew
from sekisho.config.schema import Config
from sekisho.faces.cli.handle import CommandFailed, Progress
from sekisho.ports.content import StoreUnavailable
from sekisho.wiring.operator import owned_data
from sekisho.wiring.owner import data_owner


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (backups.BackupRefused, SchemaTooNew, UnsafeSqlite, StoreUnavailable) as error:
        raise CommandFailed("{reason}", reason=error) from error


def backup(config: Config, target: Path, progress: Progress) -> dict[str, Any]:
    owner = data_owner(config)
    with _in_words():
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
    with _in_words(), acting_as(owner):
        problems = checks.verify(copy or config.data_dir, lambda done, total: progress("verify", done, total))
    return {"problems": problems}


def restore(config: Config, copy: Path, progress: Progress) -> dict[str, Any]:
    with _in_words(), owned_data(config) as owner:
        manifest = backups.restore(
            copy,
            config.data_dir,
            SystemClock(),
            lambda done, total: progress("restore", done, total),
            as_owner=lambda: acting_as(owner),
        )
    return msgspec.structs.asdict(manifest)
