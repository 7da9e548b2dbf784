"""Reading: short questions on the loop's own connection, scans in a small pool. No read transaction outlives
a call."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from sekisho.adapters.stores.sqlite.alarms import StoreAlarms
from sekisho.adapters.stores.sqlite.connection import (
    UNAVAILABLE,
    Database,
    connect,
    store_errors,
    unavailable,
)
from sekisho.ports.content import StoreUnavailable

T = TypeVar("T")
SCANNERS = 2


class Reader:
    def __init__(self, database: Path, vfs: str | None = None) -> None:
        self._database, self._vfs = database, vfs
        self.alarms = StoreAlarms()
        self.connection = self._connect()
        self._pool: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._pooled: list[apsw.Connection] = []

    def _connect(self) -> apsw.Connection:
        connection = connect(self._database, vfs=self._vfs)
        connection.pragma("query_only", True)
        return connection

    def read(self, question: Callable[[Database], T]) -> T:
        """All statements of `question` see one state. Raises StoreUnavailable."""
        try:
            self.connection.execute("BEGIN")
            try:
                return question(self.connection)
            finally:
                self.connection.execute("COMMIT")
        except UNAVAILABLE as error:
            raise self._told(error) from error

    def ask(self, sql: str, values: tuple[str | int | None, ...]) -> list[tuple[Any, ...]]:
        """The rows of one statement, which needs no transaction to see one state. Raises StoreUnavailable."""
        try:
            rows: list[tuple[Any, ...]] = self.connection.execute(sql, values).fetchall()
        except UNAVAILABLE as error:
            raise self._told(error) from error
        return rows

    def _told(self, error: BaseException) -> StoreUnavailable:
        told = unavailable(error, self._database)
        self.alarms.unavailable(self._database, told)
        return told

    async def scan(self, question: Callable[[Database], T]) -> T:
        """The same on a connection of the pool, for what takes longer. One statement is best: it lets the
        loop run."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(SCANNERS, "store-reader")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._scan, question)
        except StoreUnavailable as error:
            self.alarms.unavailable(self._database, error)
            raise

    def _scan(self, question: Callable[[Database], T]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._pooled.append(connection)
        with store_errors(self._database):
            connection.execute("BEGIN")
            try:
                return question(connection)
            finally:
                connection.execute("COMMIT")

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        for connection in (self.connection, *self._pooled):
            connection.close()
