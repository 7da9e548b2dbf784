"""Experience with senders, in hints.db: read through a small memory, written in batches."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.policy.reputation import FORGOTTEN, NOTHING, History, ReputationRules, joined
from sekisho.core.terms.records import by_position
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.reputation import Expected, Known

FRESH_SECONDS = 10.0  # what a worker remembers of a history without looking again
EXPECTED_SECONDS = 1.0
MOST_REMEMBERED = 20_000
MOST_WAITING = 50_000  # histories with news, while the database cannot be written
TRIM_PORTION = 2_000
MOST_EXPECTED = 10_000
_COLUMNS = (
    "good, bad, at_us, first_at_us, messages, refused, junk, cleared, written, trusted_at_us, junk_at_us"
)
_SELECT = f"SELECT key, {_COLUMNS} FROM reputation "
_SOME = _SELECT + "WHERE key IN (SELECT value FROM json_each(?))"
# `core.policy.reputation.joined`, in the words of SQL.
_JOIN = f"""
INSERT INTO reputation (key, {_COLUMNS})
SELECT value ->> 0, {", ".join(f"value ->> {number}" for number in range(1, 12))}
FROM json_each(?1) WHERE true
ON CONFLICT (key) DO UPDATE SET
    good = good * pow(2.0, -max(0, excluded.at_us - at_us) / ?2)
        + excluded.good * pow(2.0, -max(0, at_us - excluded.at_us) / ?2),
    bad = bad * pow(2.0, -max(0, excluded.at_us - at_us) / ?2)
        + excluded.bad * pow(2.0, -max(0, at_us - excluded.at_us) / ?2),
    at_us = max(at_us, excluded.at_us), first_at_us = min(first_at_us, excluded.first_at_us),
    messages = messages + excluded.messages, refused = refused + excluded.refused,
    junk = junk + excluded.junk, cleared = cleared + excluded.cleared, written = written + excluded.written,
    trusted_at_us = max(trusted_at_us, excluded.trusted_at_us),
    junk_at_us = max(junk_at_us, excluded.junk_at_us)
"""
_WEIGHT = "(max(0.0, good) + max(0.0, bad)) * pow(2.0, -max(0, ?1 - at_us) / ?2)"
_LIGHTEST = (
    f"SELECT key FROM reputation ORDER BY {_WEIGHT} LIMIT max(0, (SELECT count(*) FROM reputation) - ?3)"
)
_FORGOTTEN = f"SELECT key FROM reputation WHERE {_WEIGHT} < ?3"


class SqliteReputation:
    """Implements `ports.reputation.Reputation`. One per worker."""

    def __init__(
        self, reader: Reader, writer: Writer, clock: Clock, rules: ReputationRules | None = None
    ) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock
        self._rules = rules or ReputationRules()
        self._remembered: dict[
            str, tuple[float, History]
        ] = {}  # key → (read when, what is stored and the news since)
        self._news: dict[str, History] = {}
        self._leaving: dict[str, History] = {}  # news on their way to the disk
        self._expected: list[Expected] = []
        self._expected_at = float("-inf")

    def use(self, rules: ReputationRules) -> None:
        self._rules = rules

    async def histories(self, keys: Sequence[str]) -> Mapping[str, History]:
        since = self._clock.monotonic() - FRESH_SECONDS
        found: dict[str, History] = {}
        missing = []
        for key in keys:
            remembered = self._remembered.get(key)
            if remembered is not None and remembered[0] >= since:
                found[key] = remembered[1]
            else:
                missing.append(key)
        if missing:
            found |= self._read(missing)
        return {key: history for key, history in found.items() if history.at_us}

    def _read(self, keys: list[str]) -> dict[str, History]:
        wanted = msgspec.json.encode(keys).decode()
        rows = self._reader.read(lambda db: db.execute(_SOME, (wanted,)).fetchall())
        stored = {row[0]: by_position(History, *row[1:]) for row in rows}
        if len(self._remembered) + len(keys) > MOST_REMEMBERED:
            self._remembered.clear()
        now = self._clock.monotonic()
        for key in keys:
            history = stored.get(key, NOTHING)
            for news in (self._leaving, self._news):
                if key in news:
                    history = self._joined(history, news[key])
            stored[key] = history
            self._remembered[key] = (now, history)
        return stored

    def _joined(self, one: History, other: History) -> History:
        return joined(one, other, self._rules.half_life_us)

    def learn(self, news: Iterable[Known]) -> None:
        for known in news:
            key = known.key
            waiting = self._news.get(key)
            if waiting is not None:
                self._news[key] = self._joined(waiting, known.history)
            elif len(self._news) < MOST_WAITING:
                self._news[key] = known.history
            remembered = self._remembered.get(key)
            if remembered is not None:
                self._remembered[key] = (remembered[0], self._joined(remembered[1], known.history))

    async def flush(self) -> None:
        if not self._news or self._leaving:
            return
        self._leaving, self._news = self._news, {}
        try:
            rows = msgspec.json.encode(
                [(key, *msgspec.structs.astuple(history)) for key, history in self._leaving.items()]
            ).decode()
            half_life_us = float(self._rules.half_life_us)
            await self._writer.write(
                lambda tx: tx.execute(_JOIN, (rows, half_life_us)), is_long=len(self._leaving) > TRIM_PORTION
            )
        except StoreUnavailable:
            for key, history in self._leaving.items():
                self._news[key] = self._joined(self._news[key], history) if key in self._news else history
            raise
        finally:
            self._leaving = {}

    async def listing(self, prefix: str, limit: int) -> list[Known]:
        # The character after all that a key begins with.
        sql = _SELECT + "WHERE key >= ?1 AND key < ?1 || char(1114111) ORDER BY at_us DESC, key LIMIT ?2"
        rows = await self._reader.scan(lambda db: db.execute(sql, (prefix, limit)).fetchall())
        return [Known(row[0], by_position(History, *row[1:])) for row in rows]

    async def forget(self, key: str) -> bool:
        await self.flush()

        def step(tx: WriteTransaction) -> bool:
            tx.execute("DELETE FROM reputation WHERE key = ?", (key,))
            return tx.touched() > 0

        was_there = await self._writer.write(step)
        self._remembered.pop(key, None)
        return was_there

    async def trim(self, keep: int) -> int:
        now_us, half_life_us = self._clock.now_us(), float(self._rules.half_life_us)

        def unneeded(db: Database) -> list[str]:
            keys = [key for (key,) in db.execute(_FORGOTTEN, (now_us, half_life_us, FORGOTTEN))]
            lightest: Any = db.execute(_LIGHTEST, (now_us, half_life_us, keep))
            return list(dict.fromkeys([*keys, *(key for (key,) in lightest)]))

        keys = await self._reader.scan(unneeded)
        sql = "DELETE FROM reputation WHERE key IN (SELECT value FROM json_each(?)) AND at_us <= ?"
        removed = 0
        for start in range(0, len(keys), TRIM_PORTION):
            portion = msgspec.json.encode(keys[start : start + TRIM_PORTION]).decode()

            def step(tx: WriteTransaction, portion: str = portion) -> int:
                tx.execute(sql, (portion, now_us))
                return tx.touched()

            removed += await self._writer.write(step, is_long=True)
        return removed

    async def expect(self, expected: Expected) -> None:
        now_us = self._clock.now_us()

        def step(tx: WriteTransaction) -> None:
            old = "DELETE FROM expected WHERE until_us <= ? OR (account_id = ? AND sender = ?)"
            tx.execute(old, (now_us, expected.account_id, expected.sender))
            if expected.until_us > now_us:
                tx.execute(
                    "INSERT INTO expected (account_id, sender, until_us) VALUES (?, ?, ?)",
                    (expected.account_id, expected.sender, expected.until_us),
                )

        await self._writer.write(step)
        self._expected_at = float("-inf")

    async def expected(self) -> Sequence[Expected]:
        now = self._clock.monotonic()
        if now - self._expected_at >= EXPECTED_SECONDS:
            sql = "SELECT account_id, until_us, sender FROM expected ORDER BY until_us DESC LIMIT ?"
            rows = self._reader.read(lambda db: db.execute(sql, (MOST_EXPECTED,)).fetchall())
            self._expected = [Expected(*row) for row in rows]
            self._expected_at = now
        if not self._expected:
            return self._expected
        now_us = self._clock.now_us()
        return [expected for expected in self._expected if expected.until_us > now_us]
