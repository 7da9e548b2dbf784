"""Whom a store tells of its troubles; the callers of the store only hear "not now"."""

from collections.abc import Callable
from pathlib import Path

from sekisho.ports.content import StoreUnavailable


class StoreAlarms:
    """Both do nothing until somebody wants to know. They are called on the loop."""

    def __init__(self) -> None:
        # A database that refused, and how.
        self.unavailable: Callable[[Path, StoreUnavailable], None] = lambda _database, _error: None
        # The writer of a database met what it cannot mend: it writes nothing any more, so the process should
        # end.
        self.broken: Callable[[Path, BaseException], None] = lambda _database, _error: None
