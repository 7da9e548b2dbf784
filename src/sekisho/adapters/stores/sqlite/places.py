"""Places that accounts log in from, in hints.db."""

from collections.abc import Sequence

from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.terms.records import by_position
from sekisho.ports.places import LoginPlace

DAY_US = 86_400_000_000
_COLUMNS = "account_id, network, credential_id, first_us, last_us, days, client, service, mechanism, tls"
_ONE = "account_id = ? AND network = ? AND credential_id = ?"


class SqlitePlaces:
    """Implements `ports.places.Places`. One per worker."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    async def note(self, place: LoginPlace) -> bool:
        key, today = (place.account_id, place.network, place.credential_id), place.last_us // DAY_US
        known = self._reader.ask(f"SELECT last_us FROM place WHERE {_ONE}", key)
        if known and known[0][0] // DAY_US >= today:
            return False

        def step(tx: WriteTransaction) -> bool:
            rows = tx.execute(f"SELECT last_us FROM place WHERE {_ONE}", key).fetchall()
            if rows:
                if rows[0][0] // DAY_US < today:
                    tx.execute(
                        f"UPDATE place SET last_us = ?, days = days + 1 WHERE {_ONE}", (place.last_us, *key)
                    )
                return False
            before = "SELECT 1 FROM place WHERE account_id = ? AND first_us < ? LIMIT 1"
            has_history = bool(tx.execute(before, (place.account_id, today * DAY_US)).fetchall())
            rest = (
                place.first_us,
                place.last_us,
                place.days,
                place.client,
                place.service,
                place.mechanism,
                place.tls,
            )
            tx.execute(
                "INSERT INTO place (account_id, network, credential_id, first_us, last_us, "
                "days, client, service, mechanism, tls, is_untold) VALUES (?, ?, ?, ?, "
                "?, ?, ?, ?, ?, ?, ?)",
                (*key, *rest, int(has_history)),
            )
            return True

        return await self._writer.write(step)

    async def of_account(self, account_id: int) -> list[LoginPlace]:
        sql = (
            f"SELECT {_COLUMNS} FROM place WHERE account_id = ? ORDER BY last_us DESC, network, credential_id"
        )
        return [by_position(LoginPlace, *row) for row in self._reader.ask(sql, (account_id,))]

    async def days_at(self, account_id: int, network: str, before_us: int) -> int:
        sql = "SELECT coalesce(max(days - (last_us >= ?)), 0) FROM place WHERE account_id = ? AND network = ?"
        return int(self._reader.ask(sql, (before_us // DAY_US * DAY_US, account_id, network))[0][0])

    async def untold(self, limit: int = 100) -> list[LoginPlace]:
        sql = f"SELECT {_COLUMNS} FROM place WHERE is_untold ORDER BY first_us LIMIT ?"
        return [by_position(LoginPlace, *row) for row in self._reader.ask(sql, (limit,))]

    async def told(self, places: Sequence[LoginPlace]) -> None:
        keys = [(place.account_id, place.network, place.credential_id) for place in places]
        await self._writer.write(
            lambda tx: tx.executemany(f"UPDATE place SET is_untold = 0 WHERE {_ONE}", keys)
        )

    async def sweep(self, before_us: int) -> None:
        await self._writer.write(
            lambda tx: tx.execute("DELETE FROM place WHERE last_us < ?", (before_us,)), is_long=True
        )
