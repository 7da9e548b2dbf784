"""Who was asked to come again, in hints.db."""

from collections.abc import Callable

from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.policy.greylist import GreylistRules, GreylistSummary, GreylistTry, summarize
from sekisho.ports.greylist import KnownTry

_COLUMNS = "first_at_us, last_at_us, passed_at_us, tries"
_ONE = f"SELECT {_COLUMNS} FROM greylist WHERE key = ?"
_PUT = (
    f"INSERT INTO greylist (key, {_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5) "
    "ON CONFLICT (key) DO UPDATE SET first_at_us = ?2, last_at_us = ?3, passed_at_us = ?4, tries = ?5"
)
_TOO_MANY = (
    "DELETE FROM greylist WHERE key IN (SELECT key FROM greylist ORDER BY passed_at_us <> 0, last_at_us "
    "LIMIT max(0, (SELECT count(*) FROM greylist) - ?))"
)


class SqliteGreylist:
    """Implements `ports.greylist.Greylist`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    async def tried(self, key: str) -> GreylistTry | None:
        rows = self._reader.ask(_ONE, (key,))
        return GreylistTry(*rows[0]) if rows else None

    async def change(self, key: str, step: Callable[[GreylistTry | None], GreylistTry]) -> GreylistTry:
        def write(tx: WriteTransaction) -> GreylistTry:
            rows = tx.execute(_ONE, (key,)).fetchall()
            tried = step(GreylistTry(*rows[0]) if rows else None)
            tx.execute(_PUT, (key, tried.first_at_us, tried.last_at_us, tried.passed_at_us, tried.tries))
            return tried

        return await self._writer.write(write)

    async def listing(self, limit: int, *, waiting: bool = False) -> list[KnownTry]:
        where = "WHERE passed_at_us = 0 " if waiting else ""
        sql = f"SELECT key, {_COLUMNS} FROM greylist {where}ORDER BY last_at_us DESC, key LIMIT ?"
        rows = await self._reader.scan(lambda db: db.execute(sql, (limit,)).fetchall())
        return [KnownTry(row[0], GreylistTry(*row[1:])) for row in rows]

    async def summary(self, since_us: int, now_us: int, rules: GreylistRules) -> GreylistSummary:
        sql = f"SELECT {_COLUMNS} FROM greylist WHERE first_at_us >= ?"
        return await self._reader.scan(
            lambda db: summarize((GreylistTry(*row) for row in db.execute(sql, (since_us,))), now_us, rules)
        )

    async def never_came(self, after_us: int, before_us: int) -> int:
        sql = "SELECT count(*) FROM greylist WHERE passed_at_us = 0 AND first_at_us >= ? AND first_at_us < ?"
        rows = await self._reader.scan(lambda db: db.execute(sql, (after_us, before_us)).fetchall())
        return int(rows[0][0])

    async def trim(self, before_us: int, keep: int) -> int:
        def write(tx: WriteTransaction) -> int:
            tx.execute("DELETE FROM greylist WHERE last_at_us < ?", (before_us,))
            old = tx.touched()
            tx.execute(_TOO_MANY, (keep,))
            return old + tx.touched()

        return await self._writer.write(write, is_long=True)
