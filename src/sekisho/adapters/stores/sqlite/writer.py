"""Group commit: everything that waits to be written goes into one transaction and one fsync.

A group that is to be durable waits until the loop is idle (`gathering`), so that it holds what all who are at
work now have to write; one that is not synced costs little, and begins at once.

The steps run on the loop, where the interpreter lock is at hand (a thread would have to win it back after
every statement); only what waits for the disk or for a sibling, that is syncing contents, the lock and
COMMIT, happens in one thread of the writer. `flock` queues the workers fairly, where SQLite's busy handler
polls; it is let go before COMMIT, so that the next worker gets ready meanwhile and at most one of them polls.

What goes wrong in a step or with the disk belongs to who asked for the write. Anything else is a fault of the
writer itself, which then fails all that waits, writes nothing any more and says so (`StoreAlarms.broken`):
the process should end, and another begin.
"""

import asyncio
import contextlib
import fcntl
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import apsw

from sekisho.adapters.stores.sqlite.alarms import StoreAlarms
from sekisho.adapters.stores.sqlite.connection import (
    BUSY_TIMEOUT_MS,
    UNAVAILABLE,
    NoRoom,
    connect,
    unavailable,
)
from sekisho.adapters.stores.sqlite.content import ContentFolder, Outcome, SqliteContentWriter
from sekisho.adapters.stores.sqlite.gathering import Gathering
from sekisho.adapters.stores.sqlite.reserve import Reserve
from sekisho.ports.changes import Change, Changes
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.metrics import Metrics

T = TypeVar("T")
MAX_BATCH = 500
BROKEN = "the writer of the database is broken"
GIVEN_UP = "the database gave the whole transaction up"


class WriteTransaction:
    """What a step works with. `changes` and `garbage` (files to unlink) take effect only if it is committed.

    `touched()` is the number of rows that the last statement changed.
    """

    __slots__ = ("changes", "execute", "executemany", "garbage", "touched")

    def __init__(self, connection: apsw.Connection) -> None:
        self.execute: Callable[..., Any] = connection.execute  # rows come as the schema says
        self.executemany = connection.executemany
        self.touched = connection.changes
        self.changes: dict[Change, None] = {}
        self.garbage: list[str] = []

    def changed(self, change: Change) -> None:
        self.changes[change] = None


Step = Callable[[WriteTransaction], T]


class _Work:
    __slots__ = ("contents", "error", "future", "is_long", "is_second_try", "result", "step")

    def __init__(
        self,
        step: Step[Any],
        contents: Sequence[SqliteContentWriter],
        is_long: bool,
        future: "asyncio.Future[Any]",
    ) -> None:
        self.step, self.contents, self.is_long, self.future = step, contents, is_long, future
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_second_try = False


class Writer:
    """One per worker and database; belongs to the loop that it is first used on."""

    def __init__(
        self,
        database: Path,
        lock: Path,
        *,
        synchronous: Literal["FULL", "NORMAL"],
        changes: Changes,
        folder: ContentFolder | None = None,
        metrics: Metrics | None = None,
        vfs: str | None = None,
    ) -> None:
        self.database, self.lock, self.folder = database, lock, folder
        self.reserve: Reserve | None = None  # given up for what is asked of this writer when the disk is full
        self._connection = connect(database, synchronous=synchronous, vfs=vfs)
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._syncs = synchronous == "FULL"
        self._changes, self._metrics = changes, metrics
        self.alarms = StoreAlarms()
        self.gathering = Gathering()
        self._broken: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[_Work] = []
        self._in_hand: list[_Work] = []
        self._is_busy = False
        self._is_closed = False
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._idle: asyncio.Event | None = None
        self.commits = 0
        self._began = 0.0

    async def write(
        self, step: Step[T], contents: Sequence[SqliteContentWriter] = (), *, is_long: bool = False
    ) -> T:
        """Run `step` inside the next transaction; returns when it is durable.

        `contents` become durable before it. `is_long`: a step of more than a few ms, which runs alone, in the
        thread. Raises what the step raised, or StoreUnavailable; then nothing of it was written.
        """
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        if self._broken is not None:
            raise StoreUnavailable(BROKEN)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._bind(loop)
        for content in contents:
            content.hold()
        work = _Work(step, contents, is_long, loop.create_future())
        self._waiting.append(work)
        if not self._is_busy:
            self._is_busy = True
            self._gather(loop)
        result: T = await work.future
        return result

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None and not self._loop.is_closed():
            raise RuntimeError("a store belongs to the event loop that it was first used on")
        self._loop, self._is_busy, self._waiting = loop, False, []
        self._idle = asyncio.Event()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run_jobs, name="store-writer", daemon=True)
            self._thread.start()

    # --- the loop's side

    def _guarded(self, function: Callable[..., None], *arguments: Any) -> None:
        """Every callback of the loop: a fault in it must not leave the writer busy for ever."""
        try:
            function(*arguments)
        except Exception as error:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        if self._broken is not None:
            return
        self._broken = error
        with contextlib.suppress(Exception):
            self._undo("ROLLBACK")
        with contextlib.suppress(OSError):
            self._unlock()
        for work in self._in_hand + self._waiting:
            with contextlib.suppress(Exception):
                for content in work.contents:
                    content.decide("doubtful")
            if not work.future.done():
                work.future.set_exception(StoreUnavailable(BROKEN))
        self._in_hand, self._waiting, self._is_busy = [], [], False
        if self._idle is not None:
            self._idle.set()
        self.alarms.broken(self.database, error)

    def _begin(self) -> None:
        batch = self._waiting[:MAX_BATCH]
        if any(work.is_long for work in batch):
            batch = [next(work for work in batch if work.is_long)]
        gone = set(map(id, batch))
        self._waiting = [work for work in self._waiting if id(work) not in gone]
        self._in_hand = batch
        if batch[0].is_long:
            self._jobs.put(lambda: self._do_all(batch))
        elif (
            not any(content.is_unsettled for work in batch for content in work.contents) and self._try_lock()
        ):
            self._run(batch)
        else:
            self._jobs.put(lambda: self._prepare(batch))

    def _try_lock(self) -> bool:
        """Get the lock and begin without waiting for anybody."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            self._connection.set_busy_timeout(0)
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.Error:
            self._unlock()
            return False
        finally:
            self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        return True

    def _run(self, batch: list[_Work]) -> None:
        """The transaction is open: run the steps and hand COMMIT to the thread."""
        if self._waiting and len(batch) < MAX_BATCH:
            late = [
                w
                for w in self._waiting
                if not w.is_long and not any(content.is_unsettled for content in w.contents)
            ]
            batch += late
            taken = set(map(id, late))
            self._waiting = [work for work in self._waiting if id(work) not in taken]
        transactions = self._run_steps(batch)
        self._unlock()
        if self._syncs:
            self._jobs.put(lambda: self._commit(batch, transactions))
        else:
            self._finish(batch, transactions, self._try_commit())

    def _finish(
        self, batch: list[_Work], transactions: list[WriteTransaction], error: BaseException | None
    ) -> None:
        if self._alarm(batch, error):
            self._try_again(batch, error)
        # An I/O error of COMMIT may mean that all is in the log, only not surely: after a crash it could be
        # there.
        ending: Outcome = (
            "committed"
            if error is None
            else "doubtful"
            if isinstance(error.__cause__, apsw.IOError)
            else "undone"
        )
        for work in batch:
            outcome = work.error or error
            for content in work.contents:
                content.decide(_ending(work, ending))
            if work.future.done():
                continue
            if outcome is None:
                work.future.set_result(work.result)
            else:
                work.future.set_exception(outcome)
        self._in_hand = []
        if error is None:
            if self._metrics is not None and self._syncs:
                self._metrics.count("sekisho_store_commits_total")
                self._metrics.observe("sekisho_store_commit_seconds", time.perf_counter() - self._began)
            for change in {change: None for transaction in transactions for change in transaction.changes}:
                self._changes.publish(change)
        self._go_on()

    def _alarm(self, batch: list[_Work], error: BaseException | None) -> bool:
        """Tell of a disk that refused, once for all that waited for it. Is it full?"""
        faults = [error, *(work.error for work in batch)]
        told = next(
            (
                fault
                for fault in faults
                if isinstance(fault, StoreUnavailable) and fault.__cause__ is not None
            ),
            None,
        )
        if told is not None:
            self.alarms.unavailable(self.database, told)
        return any(isinstance(fault, NoRoom) for fault in faults)

    def _try_again(self, batch: list[_Work], error: BaseException | None) -> None:
        """The disk is full: what brings no content in (logins, flags, expunging, the queue) gets the reserve
        and a second try."""
        failed = [work for work in batch if isinstance(work.error or error, StoreUnavailable)]
        again = [work for work in failed if not work.contents and not work.is_second_try]
        if not again or self.reserve is None or not self.reserve.give_up():
            return
        for work in again:
            batch.remove(work)
            work.error, work.result, work.is_second_try = None, None, True
        self._waiting = again + self._waiting

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._syncs:
            self.gathering.begin(loop, self._begin_guarded)
        else:
            loop.call_soon(self._begin_guarded)

    def _begin_guarded(self) -> None:
        if self._broken is None:  # else all that waited was told
            self._guarded(self._begin)

    def _go_on(self) -> None:
        if self._waiting and self._loop is not None:
            self._gather(self._loop)
        else:
            self._is_busy = False
            if self._idle is not None:
                self._idle.set()

    # --- both sides

    def _run_steps(self, batch: list[_Work]) -> list[WriteTransaction]:
        execute = self._connection.execute
        transactions = []
        self._began = time.perf_counter()
        for work in batch:
            if work.error is not None:
                continue
            if not self._connection.in_transaction:
                # An earlier step met a fault after which SQLite rolled everything back: a savepoint would now
                # commit by itself.
                work.error = StoreUnavailable(GIVEN_UP)
                continue
            transaction = WriteTransaction(self._connection)
            try:
                execute("SAVEPOINT step")
                work.result = work.step(transaction)
                execute("RELEASE step")
            except BaseException as error:
                work.error = self._as_store_error(error)
                self._undo("ROLLBACK TO step; RELEASE step")
            else:
                transactions.append(transaction)
        return transactions

    def _undo(self, sql: str) -> None:
        """Take a step or everything back; when even that fails, all of it, which the commit then notices."""
        if not self._connection.in_transaction:
            return
        try:
            self._connection.execute(sql)
        except apsw.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _as_store_error(self, error: BaseException) -> BaseException:
        return unavailable(error, self.database) if isinstance(error, UNAVAILABLE) else error

    def _unlock(self) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _try_commit(self) -> BaseException | None:
        try:
            if not self._connection.in_transaction:
                return StoreUnavailable(GIVEN_UP)
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._undo("ROLLBACK")
            return self._as_store_error(error)
        self.commits += 1
        return None

    # --- the thread's side

    def _run_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException as error:
                self._tell(self._break, error)
                return

    def _tell(self, function: Callable[..., None], *arguments: Any) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(self._guarded, function, *arguments)

    def _lock_and_begin(self, batch: list[_Work]) -> bool:
        """Wait for our turn; False when the batch has failed. The lock is held afterwards only if True."""
        self._settle(batch)
        if all(work.error is not None for work in batch):
            self._tell(self._finish, batch, [], batch[0].error)
            return False
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except UNAVAILABLE as error:
            self._unlock()
            self._tell(self._finish, batch, [], self._as_store_error(error))
            return False
        return True

    def _settle(self, batch: list[_Work]) -> None:
        """Make contents durable. What does not become so fails alone: whoever deletes while the disk is full
        brings no content."""
        try:
            if self.folder is not None:
                self.folder.settle([content for work in batch for content in work.contents])
        except StoreUnavailable as error:
            for work in batch:
                if work.contents:
                    work.error = error

    def _prepare(self, batch: list[_Work]) -> None:
        if self._lock_and_begin(batch):
            self._tell(self._run, batch)

    def _do_all(self, batch: list[_Work]) -> None:
        if self._lock_and_begin(batch):
            transactions = self._run_steps(batch)
            self._unlock()
            self._commit(batch, transactions)

    def _commit(self, batch: list[_Work], transactions: list[WriteTransaction]) -> None:
        error = self._try_commit()
        self._tell(self._finish, batch, transactions, error)
        if error is None and self.folder is not None:
            self.folder.remove(name for transaction in transactions for name in transaction.garbage)

    async def close(self) -> None:
        """Wait for what is being written, then close. More than once is harmless."""
        if self._is_closed:
            return
        self._is_closed = True
        while self._is_busy and self._idle is not None and self._broken is None:
            self._idle.clear()
            await self._idle.wait()
        self._jobs.put(None)
        if self._thread is not None:
            self._thread.join()
        self._connection.close()
        os.close(self._lock)


def _ending(work: _Work, of_all: Outcome) -> Outcome:
    """How it ended for the contents of this step: what its own rules refused is not asked for again, what the
    disk refused may be."""
    if work.error is None:
        return of_all
    return "undone" if isinstance(work.error, StoreUnavailable) else "refused"
