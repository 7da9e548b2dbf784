"""From root to the service user, for good."""

import os
import pwd
from pathlib import Path

from sekisho.adapters.process.plan import StartRefused


def service_user(name: str | None) -> pwd.struct_passwd | None:
    """Whom workers become; None when we are not root or no user is set. Raises StartRefused for an unknown name."""
    if name is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise StartRefused(f"user: there is no system user {name!r}; create it or set another") from None


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
