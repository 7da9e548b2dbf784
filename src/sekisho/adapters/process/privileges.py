"""From root to the service user, for good."""

import grp
import os
import pwd
from pathlib import Path

from sekisho.adapters.process.plan import StartRefused, UnixSpec


def service_user(name: str | None) -> pwd.struct_passwd | None:
    """Whom workers become; None when we are not root or no user is set. Raises StartRefused for an unknown name."""
    if name is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise StartRefused(f"user: there is no system user {name!r}; create it or set another") from None


def give_socket(spec: UnixSpec, user: pwd.struct_passwd | None) -> None:
    """To the workers' user, and to the group that is named. Raises StartRefused if that cannot be done."""
    owner, group = (user.pw_uid, user.pw_gid) if user is not None else (-1, -1)
    try:
        if spec.group:
            group = int(spec.group) if spec.group.isdecimal() else grp.getgrnam(spec.group).gr_gid
        if (owner, group) != (-1, -1):
            os.chown(spec.path, owner, group)
    except KeyError:
        raise StartRefused(f"socket {spec.name}: there is no group {spec.group!r}; create it or name another") from None
    except OSError as error:
        raise StartRefused(f"socket {spec.name}: {spec.path} cannot be given to group {spec.group}: {error.strerror or error}") from error


def drop_privileges(user: pwd.struct_passwd | None) -> None:
    os.umask(0o077)
    if user is None:
        return
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = user.pw_dir


def make_directory(path: Path, user: pwd.struct_passwd | None) -> None:
    """Create it if missing, readable by the service user only."""
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True)
            if user is not None:
                os.chown(path, user.pw_uid, user.pw_gid)
    except OSError as error:
        raise StartRefused(f"data_dir: {path} cannot be created: {error.strerror or error}") from error
