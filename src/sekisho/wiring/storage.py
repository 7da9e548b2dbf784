"""Backup, verify, restore."""

from pathlib import Path
from typing import Any

from sekisho.config.schema import Config
from sekisho.faces.cli.handle import Progress


def backup(config: Config, target: Path, progress: Progress) -> dict[str, Any]:
    raise NotImplementedError


def verify(config: Config, copy: Path | None, progress: Progress) -> dict[str, Any]:
    raise NotImplementedError


def restore(config: Config, copy: Path, progress: Progress) -> dict[str, Any]:
    raise NotImplementedError
