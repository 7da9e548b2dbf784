"""The port Scripts over mail.db, and Remembered over hints.db."""

from collections.abc import Collection

from sekisho.adapters.stores import scripting
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.ports.changes import ScriptsChanged
from sekisho.ports.clock import Clock
from sekisho.ports.scripts import ActiveScripts, ScriptInfo, ScriptLimits

_LIST = (
    "SELECT name, length(octets), is_active, changed_at_us FROM sieve_script WHERE account_id = ? "
    "ORDER BY name"
)
_ALL = "SELECT name, octets FROM sieve_script WHERE account_id = ?"
_ACTIVE = "SELECT name FROM sieve_script WHERE account_id = ? AND is_active"
_PUT = (
    "INSERT INTO sieve_script (account_id, name, is_active, changed_at_us, octets) VALUES (?1, "
    "?2, 0, ?3, ?4) ON CONFLICT (account_id, name) DO UPDATE SET "
    "changed_at_us = ?3, octets = ?4"
)


class SqliteScripts:
    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock

    async def listing(self, account_id: int) -> list[ScriptInfo]:
        return [
            ScriptInfo(name, size, bool(active), at_us)
            for name, size, active, at_us in self._reader.ask(_LIST, (account_id,))
        ]

    async def script(self, account_id: int, name: str) -> bytes | None:
        rows = self._reader.ask(
            "SELECT octets FROM sieve_script WHERE account_id = ? AND name = ?", (account_id, name)
        )
        return bytes(rows[0][0]) if rows else None

    async def active(self, account_id: int) -> ActiveScripts | None:
        rows = self._reader.ask(_ACTIVE, (account_id,))
        if not rows:
            return None
        scripts = {name: bytes(octets) for name, octets in self._reader.ask(_ALL, (account_id,))}
        return ActiveScripts(rows[0][0], scripts) if rows[0][0] in scripts else None

    async def put(self, account_id: int, name: str, octets: bytes, limits: ScriptLimits) -> None:
        def step(tx: WriteTransaction) -> None:
            if not tx.execute("SELECT 1 FROM account WHERE id = ?", (account_id,)).fetchall():
                raise scripting.no_account(account_id)
            sql = (
                "SELECT count(*), coalesce(sum(length(octets)), 0) FROM sieve_script WHERE account_id = "
                "? AND name <> ?"
            )
            ((others, others_octets),) = tx.execute(sql, (account_id, name)).fetchall()
            scripting.check_put(others, others_octets, len(octets), limits)
            tx.execute(_PUT, (account_id, name, self._clock.now_us(), octets))
            tx.changed(ScriptsChanged())

        await self._writer.write(step)

    async def activate(self, account_id: int, name: str) -> None:
        def step(tx: WriteTransaction) -> None:
            if name and not _exists(tx, account_id, name):
                raise scripting.no_script(name)
            tx.execute(
                "UPDATE sieve_script SET is_active = 0 WHERE account_id = ? AND is_active", (account_id,)
            )
            tx.execute(
                "UPDATE sieve_script SET is_active = 1 WHERE account_id = ? AND name = ?", (account_id, name)
            )
            tx.changed(ScriptsChanged())

        await self._writer.write(step)

    async def rename(self, account_id: int, name: str, new_name: str) -> None:
        def step(tx: WriteTransaction) -> None:
            if not _exists(tx, account_id, name):
                raise scripting.no_script(name)
            if name != new_name and _exists(tx, account_id, new_name):
                raise scripting.is_taken(new_name)
            tx.execute(
                "UPDATE sieve_script SET name = ? WHERE account_id = ? AND name = ?",
                (new_name, account_id, name),
            )
            tx.changed(ScriptsChanged())

        await self._writer.write(step)

    async def remove(self, account_id: int, name: str) -> None:
        def step(tx: WriteTransaction) -> None:
            rows = tx.execute(
                "SELECT is_active FROM sieve_script WHERE account_id = ? AND name = ?", (account_id, name)
            ).fetchall()
            if not rows:
                raise scripting.no_script(name)
            if rows[0][0]:
                raise scripting.is_active(name)
            tx.execute("DELETE FROM sieve_script WHERE account_id = ? AND name = ?", (account_id, name))
            tx.changed(ScriptsChanged())

        await self._writer.write(step)


def _exists(tx: WriteTransaction, account_id: int, name: str) -> bool:
    return bool(
        tx.execute(
            "SELECT 1 FROM sieve_script WHERE account_id = ? AND name = ?", (account_id, name)
        ).fetchall()
    )


class SqliteRemembered:
    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    async def known(self, keys: Collection[bytes], now_us: int) -> frozenset[bytes]:
        sql = "SELECT 1 FROM remembered WHERE key = ? AND forget_at_us > ?"
        return self._reader.read(
            lambda db: frozenset(key for key in keys if db.execute(sql, (key, now_us)).fetchall())
        )

    async def remember(self, key: bytes, now_us: int, forget_at_us: int) -> bool:
        sql = (
            "INSERT INTO remembered (key, forget_at_us) VALUES (?1, ?2) ON CONFLICT (key) DO "
            "UPDATE SET forget_at_us = ?2 "
            "WHERE remembered.forget_at_us <= ?3"
        )

        def step(tx: WriteTransaction) -> bool:
            tx.execute(sql, (key, forget_at_us, now_us))
            return bool(tx.touched())

        return await self._writer.write(step)

    async def renew(self, key: bytes, forget_at_us: int) -> None:
        sql = (
            "INSERT INTO remembered (key, forget_at_us) VALUES (?1, ?2) ON CONFLICT (key) DO "
            "UPDATE SET forget_at_us = ?2"
        )
        await self._writer.write(lambda tx: tx.execute(sql, (key, forget_at_us)))
