"""The few settings that the shim needs, read without the whole schema: cron calls it often."""

import pwd
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sekisho.faces.cli.exits import SYSEXITS_CONFIG
from sekisho.faces.cli.handle import CommandError


@dataclass(frozen=True, slots=True)
class Settings:
    socket_path: Path
    hostname: str
    local_users: Mapping[str, str]

    def qualify(self, name: str) -> str:
        """A name without a domain as an address: the system user's account, else the account for all
        others."""
        if "@" in name:
            return name
        return self.local_users.get(name) or self.local_users.get("*") or f"{name}@{self.hostname}"

    def account_of(self, uid: int) -> str:
        """The sender that a system user has when it names none."""
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        return self.local_users.get(name) or self.local_users.get(str(uid)) or self.qualify(name)


def read_settings(path: Path) -> Settings:
    """Raises CommandFailed with EX_CONFIG. Paths count from the file's folder, as everywhere."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        submission: dict[str, Any] = raw.get("submission", {})
        folder = path.absolute().parent
        default = folder / raw["data_dir"] / "run" / "submission.sock"
        socket_path = folder / submission["local_socket"] if "local_socket" in submission else default
        return Settings(socket_path, raw["hostname"], submission.get("local_users", {}))
    except OSError as error:
        raise CommandError(
            "{path} cannot be read: {reason}.", SYSEXITS_CONFIG, path=str(path), reason=error.strerror
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(
            "{path} has errors; see: sekisho config check -c {path}", SYSEXITS_CONFIG, path=str(path)
        ) from error
