"""The port Keys over mail.db."""

from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.terms.records import by_position
from sekisho.ports.changes import DirectoryChanged
from sekisho.ports.keys import DkimKey

_KEY = (
    "SELECT domain, selector, algorithm, state, private_pem, created_at_us, changed_at_us FROM dkim_key "
    "WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, selector"
)


class SqliteKeys:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    async def dkim_keys(self, domain: str | None = None) -> list[DkimKey]:
        def read(db: Database) -> list[DkimKey]:
            return [by_position(DkimKey, *row) for row in db.execute(_KEY, (domain,)).fetchall()]

        return self._reader.read(read)

    async def put_dkim_keys(self, keys: tuple[DkimKey, ...]) -> None:
        rows = [
            (k.domain, k.selector, k.algorithm, k.state, k.private_pem, k.created_at_us, k.changed_at_us)
            for k in keys
        ]

        def step(tx: WriteTransaction) -> None:
            tx.executemany(
                "INSERT OR REPLACE INTO dkim_key (domain, selector, algorithm, "
                "state, private_pem, created_at_us, changed_at_us) VALUES (?, ?, ?, ?, ?, ?, "
                "?)",
                rows,
            )
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def remove_dkim_keys(self, keys: tuple[DkimKey, ...]) -> None:
        rows = [(key.domain, key.selector) for key in keys]

        def step(tx: WriteTransaction) -> None:
            tx.executemany("DELETE FROM dkim_key WHERE domain = ? AND selector = ?", rows)
            tx.changed(DirectoryChanged())

        await self._writer.write(step)
