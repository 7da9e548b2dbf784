"""While a backup runs, no file of a content is unlinked: its snapshot may name it. The sweep takes such files later."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
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
def backup_mark(data_dir: Path) -> Iterator[None]:
    """Raises BlockingIOError when another backup runs."""
    mark = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
        os.unlink(data_dir / NAME)
    finally:
        os.close(mark)
