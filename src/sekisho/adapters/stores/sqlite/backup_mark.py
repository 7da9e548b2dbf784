"""While a backup runs, no file of a content is unlinked: its snapshot may name it. The sweep takes such files later."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

NAME = "backup.lock"


def is_backup_running(data_dir: Path) -> bool:
    """A mark that nobody holds was left by a backup that died."""
    try:
        mark = os.open(data_dir / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(mark)
    return False


@contextmanager
def backup_mark(data_dir: Path, as_owner: Callable[[], AbstractContextManager[None]] = nullcontext) -> Iterator[None]:
    """Raises BlockingIOError when another backup runs. The mark is made within `as_owner`, for the server must be able to open it."""
    with as_owner():
        mark = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
        with as_owner():
            os.unlink(data_dir / NAME)
    finally:
        os.close(mark)
