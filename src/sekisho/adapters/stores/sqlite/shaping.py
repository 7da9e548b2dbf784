"""How providers are treated, in hints.db: some rows at most."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.policy.shaping.shape import UNKNOWN, Shape
from sekisho.ports.shaping import KnownShape

T = TypeVar("T")
_ONE = "SELECT octets FROM shape WHERE source = ? AND grp = ?"
_PUT = (
    "INSERT INTO shape (source, grp, octets) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (source, grp) DO UPDATE SET octets = ?3"
)


class SqliteShapes:
    """Implements `ports.shaping.Shapes`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    async def listing(self) -> list[KnownShape]:
        rows = self._reader.ask("SELECT source, grp, octets FROM shape ORDER BY source, grp", ())
        return [
            KnownShape(source=source, group=group, shape=_shape(octets)) for source, group, octets in rows
        ]

    async def change(self, source: str, group: str, step: Callable[[Shape], tuple[Shape, T]]) -> T:
        def write(tx: WriteTransaction) -> T:
            rows = tx.execute(_ONE, (source, group)).fetchall()
            before = _shape(rows[0][0]) if rows else UNKNOWN
            after, answer = step(before)
            if after == UNKNOWN:
                tx.execute("DELETE FROM shape WHERE source = ? AND grp = ?", (source, group))
            elif after != before:
                tx.execute(_PUT, (source, group, msgspec.json.encode(after)))
            return answer

        return await self._writer.write(write)

    async def is_established(self) -> bool:
        return bool(self._reader.ask("SELECT 1 FROM shaping_mark WHERE name = 'established'", ()))


def _shape(octets: bytes) -> Shape:
    """What an older or a newer version wrote differently is forgotten."""
    try:
        return msgspec.json.decode(octets, type=Shape)
    except msgspec.MsgspecError:
        return UNKNOWN
