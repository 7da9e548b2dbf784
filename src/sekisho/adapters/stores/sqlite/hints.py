"""hints.db: leases, counters and cached structures. Losing its last second to a power cut loses no mail."""

import json

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite import queue_rows
from sekisho.adapters.stores.sqlite.queueing import Queueing
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.ports.clock import Clock
from sekisho.ports.leases import Owner

CONNECTION_LEASES = "pop3:"  # exclusive per connection, not per worker


class SqliteLeases:
    """Leases lie in hints.db, the work that an owner claimed in mail.db."""

    def __init__(self, hints: Writer, mail: Writer, queueing: Queueing, clock: Clock) -> None:
        self._hints, self._mail, self._queueing, self._clock = hints, mail, queueing, clock

    async def acquire(self, name: str, owner: Owner, ttl_seconds: float) -> int | None:
        now_us = self._clock.now_us()
        until_us = now_us + int(ttl_seconds * 1_000_000)

        def step(tx: WriteTransaction) -> int | None:
            key = queue_rows.owner_key(owner)
            found = tx.execute("SELECT owner, epoch, until_us FROM lease WHERE name = ?", (name,)).fetchall()
            held_by, epoch, held_until_us = found[0] if found else ("", 0, 0)
            if held_by and held_until_us > now_us:
                if held_by != key or name.startswith(CONNECTION_LEASES):
                    return None
            else:
                # The clock in it keeps epochs ascending although a power cut may have taken the last ones.
                epoch = max(epoch + 1, now_us)
            tx.execute(
                "INSERT INTO lease (name, owner, epoch, until_us) VALUES (?1, ?2, ?3, ?4) ON "
                "CONFLICT (name) DO UPDATE SET owner = ?2, "
                "epoch = ?3, until_us = ?4",
                (name, key, epoch, until_us),
            )
            return int(epoch)

        return await self._hints.write(step)

    async def release(self, name: str, owner: Owner, epoch: int) -> None:
        sql = "UPDATE lease SET owner = '' WHERE name = ? AND owner = ? AND epoch = ?"
        values = (name, queue_rows.owner_key(owner), epoch)
        await self._hints.write(lambda tx: tx.execute(sql, values))

    async def free_owner(self, owner: Owner) -> None:
        await self._free((queue_rows.owner_key(owner),))

    async def free_host(self, host: str) -> None:
        await self._free(queue_rows.host_range(host))

    async def _free(self, owners: tuple[str] | tuple[str, str]) -> None:
        where = "owner = ?" if len(owners) == 1 else "owner >= ? AND owner < ?"
        sql = f"UPDATE lease SET owner = '' WHERE owner <> '' AND {where}"
        await self._mail.write(lambda tx: self._queueing.free(tx, owners))
        await self._hints.write(lambda tx: tx.execute(sql, owners))


class SqliteCounters:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock

    async def add(self, key: str, amount: int, window_seconds: int) -> int:
        now_us = self._clock.now_us()

        def step(tx: WriteTransaction) -> int:
            sql = "SELECT start, current, previous FROM counter WHERE key = ? AND window_seconds = ?"
            found = tx.execute(sql, (key, window_seconds)).fetchall()
            row = rules.window_added(now_us, window_seconds, found[0] if found else None, amount)
            tx.execute(
                "INSERT INTO counter (key, window_seconds, start, current, previous) VALUES "
                "(?1, ?2, ?3, ?4, ?5) "
                "ON CONFLICT (key, window_seconds) DO UPDATE SET start = ?3, current = ?4, previous = ?5",
                (key, window_seconds, *row),
            )
            return rules.window_total(now_us, window_seconds, *row)

        return await self._writer.write(step)

    async def total(self, key: str, window_seconds: int) -> int:
        sql = "SELECT start, current, previous FROM counter WHERE key = ? AND window_seconds = ?"
        found = self._reader.read(lambda db: db.execute(sql, (key, window_seconds)).fetchall())
        return rules.window_total(self._clock.now_us(), window_seconds, *found[0]) if found else 0

    async def clear(self, key: str) -> None:
        await self._writer.write(lambda tx: tx.execute("DELETE FROM counter WHERE key = ?", (key,)))

    async def clear_below(self, prefix: str) -> None:
        # The character after all that a key begins with.
        sql = "DELETE FROM counter WHERE key >= ?1 AND key < ?1 || char(1114111)"
        await self._writer.write(lambda tx: tx.execute(sql, (prefix,)))


class Structures:
    """Parsed MIME structures by content id; a cache."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock

    def read(self, content_ids: list[str]) -> dict[str, bytes]:
        sql = "SELECT content_id, octets FROM structure WHERE content_id IN (SELECT value FROM json_each(?))"
        return self._reader.read(lambda db: dict(db.execute(sql, (json.dumps(content_ids),)).fetchall()))

    async def save(self, structures: dict[str, bytes]) -> None:
        now_us = self._clock.now_us()
        rows = [(key, now_us, octets) for key, octets in structures.items()]
        sql = (
            "INSERT INTO structure (content_id, saved_at_us, octets) VALUES (?, ?, ?) ON "
            "CONFLICT (content_id) DO UPDATE SET octets = "
            "excluded.octets"
        )
        await self._writer.write(lambda tx: tx.executemany(sql, rows))
