"""What a worker does about troubles of its store: tell the operator, and end when the store writes nothing
any more."""

import os
from collections.abc import Callable
from pathlib import Path

from sekisho.adapters.process.worker import EXIT_FAULT
from sekisho.adapters.stores.sqlite.connection import NoRoom, StoreDamaged
from sekisho.adapters.stores.sqlite.store import MAIL, SqliteStore
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal

AGAIN_SECONDS = 60.0  # so long one trouble of one database is not told again
_RESTORE = "stop the server, run `sekisho verify`, and restore the last backup"
_MOVE_AWAY = "it holds no mail: stop the server and move it with its -wal and -shm away; a new one is made"


def _end_process() -> None:
    os._exit(EXIT_FAULT)


class StoreTroubles:
    """Peers hear "not now" whatever it is; here it is told as what it is."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        flush: Callable[[], None],
        end: Callable[[], None] = _end_process,
    ) -> None:
        self._journal, self._clock, self._flush, self._end = journal, clock, flush, end
        self._told_at: dict[tuple[str, str], float] = {}

    def watch(self, store: SqliteStore) -> None:
        store.alarms.unavailable = self._unavailable
        store.alarms.broken = self._broken

    def _unavailable(self, database: Path, error: StoreUnavailable) -> None:
        kind, advice = "store.unavailable", ""
        if isinstance(error, StoreDamaged):
            kind, advice = "store.damaged", _RESTORE if database.name == MAIL else _MOVE_AWAY
        elif isinstance(error, NoRoom):
            kind, advice = "store.full", "make room on the disk of data_dir"
        now = self._clock.monotonic()
        if now - self._told_at.get((kind, database.name), float("-inf")) < AGAIN_SECONDS:
            return
        self._told_at[kind, database.name] = now
        fields = {"database": database.name, "reason": str(error)} | ({"advice": advice} if advice else {})
        self._journal.record(Entry(kind, fields=fields))

    def _broken(self, database: Path, error: BaseException) -> None:
        """As good as a crash, which the store stands: nothing that was promised is lost, and the supervisor
        starts the next worker."""
        self._journal.fault("store", error)
        self._journal.record(Entry("store.broken", fields={"database": database.name, "reason": repr(error)}))
        self._flush()
        self._end()
