"""The classifier's lessons and knowledge, in hints.db."""

from collections.abc import Sequence
from typing import Any

from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.terms.records import by_position
from sekisho.ports.classifier import BookState, Tally, Taught
from sekisho.ports.clock import Clock

PORTION = 200  # lessons in one transaction
_STATE = "SELECT serial, fitted, generation, withdrawn, fitted_at_us FROM classifier WHERE id = 1"


class SqliteLessonBook:
    """Implements `ports.classifier.LessonBook`."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock

    async def teach(self, lessons: Sequence[Taught]) -> int:
        now_us, changed = self._clock.now_us(), 0
        for begin in range(0, len(lessons), PORTION):
            portion = lessons[begin : begin + PORTION]
            changed += await self._writer.write(
                lambda tx, portion=portion: sum(_teach(tx, lesson, now_us) for lesson in portion),  # type: ignore[misc]  # binds the variable
                is_long=len(portion) > 1,
            )
        return changed

    async def forget(self, account_id: int | None = None, key: str | None = None) -> int:
        def step(tx: WriteTransaction) -> int:
            tx.execute(
                "DELETE FROM lesson WHERE (?1 IS NULL OR account_id = ?1) AND (?2 IS NULL OR key = ?2)",
                (account_id, key),
            )
            gone = tx.touched()
            if not gone:
                return 0
            tx.execute(
                "UPDATE classifier SET generation = generation + 1, withdrawn = withdrawn + ?", (gone,)
            )
            if not tx.execute("SELECT 1 FROM lesson LIMIT 1").fetchall():
                tx.execute("DELETE FROM knowledge")
                tx.execute("UPDATE classifier SET fitted = serial, withdrawn = 0")
            return int(gone)

        return await self._writer.write(step, is_long=True)

    def state(self) -> BookState:
        return self._reader.read(lambda db: by_position(BookState, *db.execute(_STATE).fetchall()[0]))

    async def after(self, serial: int, limit: int) -> list[Taught]:
        sql = (
            "SELECT key, account_id, is_spam, features, is_private, at_us, serial FROM lesson WHERE "
            "serial > ? ORDER BY serial LIMIT ?"
        )

        def question(db: Database) -> list[Taught]:
            return [_taught(row) for row in db.execute(sql, (serial, limit))]

        return await self._reader.scan(question)

    async def knowledge(self) -> bytes:
        rows = await self._reader.scan(lambda db: db.execute("SELECT octets FROM knowledge").fetchall())
        return bytes(rows[0][0]) if rows else b""

    async def keep(self, knowledge: bytes, fitted: int) -> None:
        now_us = self._clock.now_us()

        def step(tx: WriteTransaction) -> None:
            tx.execute(
                "INSERT INTO knowledge (id, octets) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE "
                "SET octets = ?1",
                (knowledge,),
            )
            tx.execute(
                "UPDATE classifier SET fitted = ?, fitted_at_us = ?, withdrawn = 0, generation = "
                "generation + 1",
                (fitted, now_us),
            )

        await self._writer.write(step, is_long=True)

    async def trim(self, most: int) -> int:
        sql = (
            "DELETE FROM lesson WHERE is_spam = ?1 AND serial <= "
            "coalesce((SELECT serial FROM lesson WHERE is_spam = ?1 ORDER BY serial DESC LIMIT 1 OFFSET "
            "?2), 0)"
        )

        def step(tx: WriteTransaction) -> int:
            gone = 0
            for is_spam in (0, 1):
                tx.execute(sql, (is_spam, most))
                gone += tx.touched()
            if gone:
                tx.execute("UPDATE classifier SET withdrawn = withdrawn + ?", (gone,))
            return gone

        return await self._writer.write(step, is_long=True)

    async def tally(self) -> list[Tally]:
        counts = "sum(1 - is_spam), sum(is_spam), sum(is_private), max(at_us)"
        sql = f"SELECT account_id, {counts} FROM lesson GROUP BY account_id ORDER BY account_id"
        return [
            by_position(Tally, *row) for row in await self._reader.scan(lambda db: db.execute(sql).fetchall())
        ]


def _teach(tx: WriteTransaction, lesson: Taught, now_us: int) -> bool:
    values = (lesson.account_id, lesson.key)
    known = tx.execute(
        "SELECT is_spam, is_private FROM lesson WHERE account_id = ? AND key = ?", values
    ).fetchall()
    if known and (bool(known[0][0]), bool(known[0][1])) == (lesson.is_spam, lesson.is_private):
        return False
    if known:
        tx.execute("DELETE FROM lesson WHERE account_id = ? AND key = ?", values)
    ((serial,),) = tx.execute(
        "UPDATE classifier SET serial = serial + 1, withdrawn = withdrawn + ? RETURNING serial", (len(known),)
    ).fetchall()
    tx.execute(
        "INSERT INTO lesson (serial, account_id, key, is_spam, is_private, at_us, features) VALUES (?, ?, "
        "?, ?, ?, ?, ?)",
        (serial, *values, lesson.is_spam, lesson.is_private, now_us, lesson.features),
    )
    return True


def _taught(row: tuple[Any, ...]) -> Taught:
    key, account_id, is_spam, features, is_private, at_us, serial = row
    return Taught(
        key=key,
        account_id=account_id,
        is_spam=bool(is_spam),
        features=bytes(features),
        is_private=bool(is_private),
        at_us=at_us,
        serial=serial,
    )
