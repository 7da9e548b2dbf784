"""Whose the data is: commands make and change it with that user's rights, so that the server can go on with
it."""

import os
import pwd
from pathlib import Path

from sekisho.adapters.process.plan import StartRefused
from sekisho.adapters.process.privileges import chown_command, make_directory, user_of
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError


def data_owner(config: Config) -> pwd.struct_passwd | None:
    """Whom root becomes for the work on the data: who owns the folder, or, as long as it is root's or
    missing, the `user` of the configuration. None: we are not root, or the server stays root. Raises
    CommandFailed when the two do not fit.
    """
    if os.geteuid() != 0:
        return None
    try:
        state = config.data_dir.stat()
    except FileNotFoundError:
        state = None
    configured = _configured(config)
    if state is None or state.st_uid == 0:
        return configured
    if configured is None and _is_roots(config.data_dir / "mail.db"):
        return None  # so no server was told to become somebody else
    owner = user_of(state.st_uid, state.st_gid)
    if configured is not None and configured.pw_uid != owner.pw_uid:
        raise CommandError(
            "{path} belongs to {owner}, but the server runs as {user}: correct `user`, or: {command}",
            exits.UNREACHABLE,
            path=str(config.data_dir),
            owner=owner.pw_name,
            user=configured.pw_name,
            command=chown_command(configured.pw_name, config.data_dir),
        )
    return configured or owner


def _configured(config: Config) -> pwd.struct_passwd | None:
    if config.user is None:
        return None
    try:
        return pwd.getpwnam(config.user)
    except KeyError:
        raise CommandError(
            "There is no user {user} on this machine.", exits.BAD_CONFIG, user=config.user
        ) from None


def _is_roots(path: Path) -> bool:
    try:
        return path.stat().st_uid == 0
    except OSError:
        return False


def make_data_folder(config: Config) -> pwd.struct_passwd | None:
    """For its owner, who is returned. Raises CommandFailed when nothing says whose it is to be, or when it
    cannot be made."""
    folder = config.data_dir
    owner = data_owner(config)
    if not folder.is_dir():
        if owner is None and os.geteuid() == 0:
            raise CommandError(
                "{path} does not exist, and nothing says whom it is to belong to: name the server's `user` "
                "in the configuration, "
                "or make the folder.",
                exits.UNREACHABLE,
                path=str(folder),
            )
        if not folder.parent.is_dir():  # made here, it might be one that the server's user cannot enter
            raise CommandError(
                "{path} does not exist, and neither does the folder above it.",
                exits.UNREACHABLE,
                path=str(folder),
            )
    try:
        make_directory(folder, owner)
    except StartRefused as refused:
        raise CommandError("{problem}", exits.UNREACHABLE, problem=str(refused)) from refused
    return owner
