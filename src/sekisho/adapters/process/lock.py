"""One instance per data directory."""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from sekisho.adapters.process.plan import StartRefused
from sekisho.adapters.process.privileges import foreign_file

ENVIRONMENT = "SEKISHO_LOCK"  # an upgraded self gets the descriptor
_POLL_SECONDS = 0.05


def lock_data_directory(data_dir: Path, wait_seconds: float) -> int:
    """The descriptor that holds the lock; workers inherit it, so the directory stays ours until the last of
    them is gone.

    Orphans of a killed supervisor end within seconds: they are waited for. A living supervisor is named in
    StartRefused at once.
    """
    inherited = os.environ.pop(ENVIRONMENT, "")
    if inherited:
        os.set_inheritable(int(inherited), False)
        return int(inherited)
    path = data_dir / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        problem = foreign_file(data_dir) or f"{path} cannot be opened: {error.strerror or error}"
        raise StartRefused(f"data_dir: {problem}") from error
    deadline = time.monotonic() + wait_seconds
    while not (_try(fcntl.lockf, descriptor) and _try(fcntl.flock, descriptor)):
        if time.monotonic() >= deadline or not _try(fcntl.lockf, descriptor):
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StartRefused(
                f"data_dir: {data_dir} is in use by another running instance (process {holder}); stop that "
                f"first"
            )
        time.sleep(_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def hand_over_lock(descriptor: int) -> None:
    os.set_inheritable(descriptor, True)
    os.environ[ENVIRONMENT] = str(descriptor)


def _try(lock: Callable[[int, int], None], descriptor: int) -> bool:
    """`lockf` belongs to one process and tells a living supervisor; `flock` goes on to forked workers and
    tells orphans."""
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
