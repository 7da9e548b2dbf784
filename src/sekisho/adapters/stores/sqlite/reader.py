"""Reading: short questions on the loop's own connection, scans in a small pool. No read transaction outlives a call."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from sekisho.adapters.stores.sqlite.connection import UNAVAILABLE, Database, connect, store_errors
from sekisho.ports.content import StoreUnavailable

T = TypeVar("T")
SCANNERS = 2


class Reader:
    def __init__(self, database: Path, vfs: str | None = None) -> None:
        self._database, self._vfs = database, vfs
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
        with store_errors():
            self.connection.execute("BEGIN")
            try:
                return question(self.connection)
            finally:
                self.connection.execute("COMMIT")

    def ask(self, sql: str, values: tuple[str | int | None, ...]) -> list[tuple[Any, ...]]:
        """The rows of one statement, which needs no transaction to see one state. Raises StoreUnavailable."""
        try:
            rows: list[tuple[Any, ...]] = self.connection.execute(sql, values).fetchall()
        except UNAVAILABLE as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        return rows

    async def scan(self, question: Callable[[Database], T]) -> T:
        """The same on a connection of the pool, for what takes longer. One statement is best: it lets the loop run."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(SCANNERS, "store-reader")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._scan, question)

    def _scan(self, question: Callable[[Database], T]) -> T:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._pooled.append(connection)
        with store_errors():
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
