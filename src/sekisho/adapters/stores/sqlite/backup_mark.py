"""While a backup runs, no file of a content that had a row is unlinked: its snapshot may name it. Such files
go afterwards.

Whoever unlinks asks first, file by file, and after the row was gone for everybody: a backup that begins later
has a snapshot without it.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

NAME = "backup.lock"
TRIES, TRY_SECONDS = 100, 0.01


def is_backup_running(data_dir: Path) -> bool:
    """A mark that nobody holds was left by an earlier backup; one that cannot be looked at may be held."""
    try:
        mark = os.open(data_dir / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        # Shared: two that ask at once must not take each other for a backup.
        fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(mark)
    return False


@contextmanager
def backup_mark(
    data_dir: Path, as_owner: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Iterator[None]:
    """Raises BlockingIOError when another backup runs. The mark is made within `as_owner`, for the server
    must be able to open it.

    It stays there: a name that is made anew could be held twice.
    """
    with as_owner():
        mark = os.open(data_dir / NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _hold(mark)
        yield
    finally:
        os.close(mark)


def _hold(mark: int) -> None:
    """Who only asks lets go in a moment; another backup does not."""
    for tried in range(TRIES):
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if tried == TRIES - 1:
                raise
            time.sleep(TRY_SECONDS)
        else:
            return
