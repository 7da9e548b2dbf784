"""From root to the service user: for good, or for a piece of work."""

import errno
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sekisho.adapters.process.plan import StartRefused, UnixSpec

_OWN = (
    "",
    "lock",
    "mail.db",
    "mail.lock",
    "hints.db",
    "hints.lock",
    "ledger.db",
    "content",
    "run",
)  # of the data folder


def service_user(name: str | None) -> pwd.struct_passwd | None:
    """Whom workers become; None when we are not root or no user is set. Raises StartRefused for an unknown
    name."""
    if name is None or os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise StartRefused(f"user: there is no system user {name!r}; create it or set another") from None


def folder_owner(folder: Path, user: pwd.struct_passwd | None) -> pwd.struct_passwd | None:
    """With whose rights root works in a folder: its owner's, so that no name in there leads root astray, and
    no capability to pass over permissions is needed. One of root's that is reached by way of somebody else's
    is worked in with his rights: he chose it. `user` owns what cannot be looked at. None: nobody but who we
    are.
    """
    if user is None or os.geteuid() != 0:
        return None
    try:
        state = folder.stat()
    except PermissionError:
        return user
    except OSError:
        return None
    if state.st_uid != 0:
        return user_of(state.st_uid, state.st_gid)
    chosen = next(_others_on_the_way(folder), None)
    return None if chosen is None else user_of(chosen.st_uid, chosen.st_gid)


def _others_on_the_way(folder: Path) -> Iterator[os.stat_result]:
    """The folders and links to `folder` that are not root's, itself last of all: their owners say where the
    name leads."""
    roots = (0, os.stat("/").st_uid)  # in a namespace root may be somebody without a name there
    folder = folder.absolute()
    for place in (*folder.resolve().parents, *folder.parents, folder):
        state = place.lstat()
        if state.st_uid not in roots and (place != folder or stat.S_ISLNK(state.st_mode)):
            yield state


def give_socket(spec: UnixSpec, user: pwd.struct_passwd | None) -> None:
    """To the workers' user, and to the group that is named. Raises StartRefused if that cannot be done."""
    owner, group = (user.pw_uid, user.pw_gid) if user is not None else (-1, -1)
    try:
        if spec.group:
            group = int(spec.group) if spec.group.isdecimal() else grp.getgrnam(spec.group).gr_gid
        if (owner, group) != (-1, -1):
            with acting_as(folder_owner(spec.path.parent, user)):
                place = os.open(spec.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.chown(
                    f"/proc/self/fd/{place}", owner, group
                )  # that very socket, whatever its name may lead to by now
            finally:
                os.close(place)
    except KeyError:
        raise StartRefused(
            f"socket {spec.name}: there is no group {spec.group!r}; create it or name another"
        ) from None
    except OSError as error:
        raise StartRefused(
            f"socket {spec.name}: {spec.path} cannot be given to group {spec.group}: "
            f"{error.strerror or error}"
        ) from error


def drop_privileges(user: pwd.struct_passwd | None) -> None:
    os.umask(0o077)
    if user is None:
        return
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = user.pw_dir


@contextmanager
def acting_as(user: pwd.struct_passwd | None) -> Iterator[None]:
    """Whatever is opened or made within is so with the rights of `user`, for the whole process; None: nothing
    changes.

    Only for root, who has the rest of the command to do with rights of its own, such as reading files that it
    was named.
    """
    if user is None or os.geteuid() == user.pw_uid:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)


def user_of(uid: int, gid: int) -> pwd.struct_passwd:
    """The user with this number, who may have no name on this machine."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return pwd.struct_passwd((str(uid), "x", uid, gid, "", "/", ""))


def make_directory(path: Path, user: pwd.struct_passwd | None) -> None:
    """Create it if missing, readable by the service user only; an empty one of root's becomes the user's."""
    try:
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True)
        elif user is None or path.stat().st_uid != 0 or any(path.iterdir()):
            return
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    except OSError as error:
        raise StartRefused(f"data_dir: {path} cannot be created: {error.strerror or error}") from error


def open_log(file: Path, user: pwd.struct_passwd | None = None) -> int:
    """For appending; each line goes out with one write, so workers can share it.

    Root opens it with the rights of `user`, and only where those do not suffice makes it and gives it away: a
    folder of the user's own must not lead root to files of others.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    try:
        with acting_as(user):
            file.parent.mkdir(parents=True, exist_ok=True)
            return os.open(file, flags, 0o600)
    except PermissionError:
        if user is None or any(_others_on_the_way(file.parent)):
            raise
    descriptor = os.open(file, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no plain file of one name", str(file))
    os.fchown(descriptor, user.pw_uid, user.pw_gid)
    return descriptor


def foreign_file(folder: Path) -> str:
    """A sentence about what we may not use in a data folder or a backup because it is somebody else's; "" if
    there is nothing."""
    uid = os.geteuid()
    for name in _OWN:
        path = folder / name
        try:
            state = path.stat()
        except OSError:
            continue
        if uid in (0, state.st_uid) or os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            continue
        me, owner = user_of(uid, os.getegid()).pw_name, user_of(state.st_uid, state.st_gid).pw_name
        if folder.stat().st_uid == uid:
            return (
                f"{path} belongs to {owner}, so that {me} cannot use it; mend it with: "
                f"{chown_command(me, folder)}"
            )
        return (
            f"{path} belongs to {owner}, and {me} may not use it: run commands as root or as {owner}; "
            f"if it is to be {me}'s: {chown_command(me, folder)}"
        )
    return ""


def chown_command(user: str, folder: Path) -> str:
    """For an operator to type."""
    return shlex.join(("chown", "-R", f"{user}:", str(folder)))
