"""One instance per data directory."""

import fcntl
import os
import time
from pathlib import Path

from sekisho.adapters.process.plan import StartRefused

ENVIRONMENT = "SEKISHO_LOCK"  # an upgraded self gets the descriptor
_POLL_SECONDS = 0.05


def lock_data_directory(data_dir: Path, wait_seconds: float) -> int:
    """The descriptor that holds the lock; workers inherit it, so the directory stays ours until the last of them is gone.

    Orphans of a killed supervisor end within seconds: they are waited for. A living supervisor is named in StartRefused at once.
    """
    inherited = os.environ.pop(ENVIRONMENT, "")
    if inherited:
        os.set_inheritable(int(inherited), False)
        return int(inherited)
    path = data_dir / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartRefused(f"data_dir: {path} cannot be opened: {error.strerror or error}") from error
    deadline = time.monotonic() + wait_seconds
    while not _try_lock(descriptor):
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        if time.monotonic() >= deadline or (holder.isdigit() and _is_alive(int(holder))):
            os.close(descriptor)
            raise StartRefused(
                f"data_dir: {data_dir} is in use by another running instance (process {holder or 'unknown'}); stop that first"
            )
        time.sleep(_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def hand_over_lock(descriptor: int) -> None:
    os.set_inheritable(descriptor, True)
    os.environ[ENVIRONMENT] = str(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
