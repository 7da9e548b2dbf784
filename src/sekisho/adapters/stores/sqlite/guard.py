"""The port Guard over mail.db."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sekisho.adapters.stores.sqlite.acceptance import AcceptSteps
from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.content import ContentFolder
from sekisho.adapters.stores.sqlite.destinations import refresh
from sekisho.adapters.stores.sqlite.guard_steps import GuardSteps, read_state
from sekisho.adapters.stores.sqlite.octets import open_octets
from sekisho.adapters.stores.sqlite.queueing import remove_message
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.policy.takeover.judge import Ending, Hold, HoldOrdered, Oldest, TakeoverJudge
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.terms.records import by_position
from sekisho.ports.changes import QueueChanged
from sekisho.ports.clock import Clock
from sekisho.ports.content import MessageOctets
from sekisho.ports.guard import Case, Left, Release, Sent, Watched
from sekisho.ports.outgoing import MAILBOX_HOP

CASE_COLUMNS = (
    "id, account_id, credential_id, action, opened_at_us, since_us, guard_case.score, reasons, "
    "announced_at_us, frozen_at_us, closed_at_us, ending, done"
)
SENT_COLUMNS = (
    "message_id, account_id, credential_id, accepted_at_us, case_id, score, network, client, strangers"
)
SWEEP_PORTION = 2_000

_reasons = msgspec.json.Decoder(tuple[Reason, ...])
_sentences = msgspec.json.Decoder(tuple[str, ...])


class SqliteGuard:
    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        folder: ContentFolder,
        steps: GuardSteps,
        acceptor: AcceptSteps,
        clock: Clock,
    ) -> None:
        self._reader, self._writer, self._folder = reader, writer, folder
        self._steps, self._acceptor, self._clock = steps, acceptor, clock

    def use(self, judge: TakeoverJudge) -> None:
        self._steps.judge = judge

    async def holding(self, message_id: str) -> Case | None:
        join = "JOIN guard_sent USING (account_id, credential_id) WHERE message_id = ? AND closed_at_us = 0"
        found = self._reader.read(
            lambda db: db.execute(f"SELECT {CASE_COLUMNS} FROM guard_case {join}", (message_id,)).fetchall()
        )
        return _case(found[0]) if found else None

    async def open_case(self, account_id: int, credential_id: str) -> Case | None:
        found = self._cases(
            "WHERE account_id = ? AND credential_id = ? AND closed_at_us = 0", (account_id, credential_id)
        )
        return found[0] if found else None

    async def cases(self, account_id: int | None = None, *, only_open: bool = True) -> list[Case]:
        where = (
            "WHERE (?1 IS NULL OR account_id = ?1) AND (NOT ?2 OR closed_at_us = 0) ORDER BY "
            "opened_at_us DESC, id DESC"
        )
        return self._cases(where, (account_id, only_open))

    async def unfinished(self) -> list[Case]:
        where = (
            "WHERE closed_at_us = 0 AND (announced_at_us = 0 OR (action = 'freeze' AND frozen_at_us = "
            "0)) ORDER BY opened_at_us"
        )
        return self._cases(where, ())

    def _cases(self, where: str, values: tuple[Any, ...]) -> list[Case]:
        sql = f"SELECT {CASE_COLUMNS} FROM guard_case {where}"
        return [_case(row) for row in self._reader.read(lambda db: db.execute(sql, values).fetchall())]

    async def note(
        self, case_id: int, *, announced_at_us: int = 0, frozen_at_us: int = 0, done: tuple[str, ...] = ()
    ) -> None:
        def step(tx: WriteTransaction) -> None:
            sql = (
                "UPDATE guard_case SET announced_at_us = max(announced_at_us, ?2), frozen_at_us = "
                "max(frozen_at_us, ?3) "
                "WHERE id = ?1 RETURNING done"
            )
            for (text,) in tx.execute(sql, (case_id, announced_at_us, frozen_at_us)).fetchall():
                sentences = dict.fromkeys((*_sentences.decode(text), *done))
                tx.execute(
                    "UPDATE guard_case SET done = ? WHERE id = ?",
                    (msgspec.json.encode(list(sentences)).decode(), case_id),
                )

        await self._writer.write(step)

    async def close_case(self, case_id: int, ending: Ending) -> None:
        now_us = self._clock.now_us()
        await self._writer.write(lambda tx: self._steps.close(tx, case_id, ending, now_us))

    async def hold(self, account_id: int, credential_id: str, action: Hold, reason: Reason) -> Case:
        order = HoldOrdered(
            account_id=account_id,
            credential_id=credential_id,
            at_us=self._clock.now_us(),
            action=action,
            reason=reason,
        )
        case_id = await self._writer.write(lambda tx: self._steps.order(tx, order))
        found = self._cases("WHERE id = ?", (case_id,))
        if not found:
            raise LookupError("the judge opened no case")
        return found[0]

    async def keep_back(self, account_id: int) -> int:
        return await self._writer.write(lambda tx: self._steps.keep_back(tx, account_id))

    async def held(self, account_id: int) -> list[Sent]:
        in_queue = "message_id IN (SELECT message_id FROM queue_message)"
        return self._sent(
            f"WHERE account_id = ? AND case_id <> 0 AND {in_queue} ORDER BY accepted_at_us", (account_id,)
        )

    async def held_accounts(self) -> dict[int, int]:
        in_queue = "message_id IN (SELECT message_id FROM queue_message)"
        sql = (
            f"SELECT account_id, count(*) FROM guard_sent WHERE case_id <> 0 AND {in_queue} GROUP BY "
            f"account_id"
        )
        return self._reader.read(lambda db: dict(db.execute(sql).fetchall()))

    async def sent_message(self, message_id: str) -> Sent | None:
        found = self._sent("WHERE message_id = ?", (message_id,))
        return found[0] if found else None

    async def sent(self, account_id: int, since_us: int) -> list[Sent]:
        return self._sent(
            "WHERE account_id = ? AND accepted_at_us >= ? ORDER BY accepted_at_us", (account_id, since_us)
        )

    def _sent(self, where: str, values: tuple[Any, ...]) -> list[Sent]:
        sql = f"SELECT {SENT_COLUMNS} FROM guard_sent {where}"
        return [
            by_position(Sent, *row)
            for row in self._reader.read(lambda db: db.execute(sql, values).fetchall())
        ]

    async def left(self, account_id: int, since_us: int, limit: int = 10_000) -> list[Left]:
        sql = (
            "SELECT address, at_us, message_id, result FROM guard_left WHERE account_id = ? AND at_us >= "
            "? ORDER BY at_us, address LIMIT ?"
        )
        return [
            Left(*row)
            for row in self._reader.read(lambda db: db.execute(sql, (account_id, since_us, limit)).fetchall())
        ]

    async def open_content(self, message_id: str) -> MessageOctets | None:
        sql = (
            "SELECT x'', codec, content.size_octets, file, octets FROM queue_message "
            "JOIN content ON content.id = content_id WHERE message_id = ?"
        )
        return open_octets(self._reader.connection, self._folder, sql, (message_id,))

    async def release(self, message_id: str, release: Release) -> tuple[int, int]:
        return await self._writer.write(lambda tx: self._release(tx, message_id, release))

    def _release(self, tx: WriteTransaction, message_id: str, release: Release) -> tuple[int, int]:
        sql = "SELECT id, next_hop FROM queue_recipient WHERE message_id = ? AND state = 'held'"
        rows = tx.execute(sql, (message_id,)).fetchall()
        if not rows:
            return 0, 0
        # What is under way to others keeps the prefix that it began with: its octets are open already.
        sql = (
            "UPDATE queue_message SET prefix = ?1, size_octets = size_octets - length(prefix) + "
            "length(?1) WHERE message_id = ?2"
        )
        tx.execute(sql, (release.prefix, message_id))
        full = 0
        if any(next_hop == MAILBOX_HOP for _, next_hop in rows):
            full = self._acceptor.deliver_queued(tx, message_id, release)
            state = "held" if full else "delivered"
            tx.execute(
                "UPDATE queue_recipient SET state = ? WHERE message_id = ? AND next_hop = ?",
                (state, message_id, MAILBOX_HOP),
            )
        sql = (
            "UPDATE queue_recipient SET state = 'waiting', due_at_us = ?2, expires_at_us = ?3, attempts = "
            "0, delay_notified = 0 "
            "WHERE message_id = ?1 AND state = 'held' AND next_hop <> ?4"
        )
        tx.execute(sql, (message_id, release.now_us, release.expires_at_us, MAILBOX_HOP))
        for next_hop in {next_hop for _, next_hop in rows if next_hop != MAILBOX_HOP}:
            refresh(tx, next_hop)
        if not full:
            tx.execute("UPDATE guard_sent SET case_id = 0 WHERE message_id = ?", (message_id,))
        left = tx.execute(
            "SELECT 1 FROM queue_recipient WHERE message_id = ? AND state NOT IN ('delivered', 'failed') "
            "LIMIT 1",
            (message_id,),
        )
        if not left.fetchall():
            remove_message(tx, message_id)
        tx.changed(QueueChanged())
        return len(rows) - full, full

    async def purge(self, account_id: int) -> tuple[int, int]:
        return await self._writer.write(lambda tx: self._purge(tx, account_id))

    def _purge(self, tx: WriteTransaction, account_id: int) -> tuple[int, int]:
        sql = "UPDATE guard_sent SET case_id = 0 WHERE account_id = ? AND case_id <> 0 RETURNING message_id"
        messages = [message_id for (message_id,) in tx.execute(sql, (account_id,)).fetchall()]
        removed = recipients = 0
        for message_id in messages:
            # One that is under way just now loses its lease: it is neither tried again nor written down.
            sql = (
                "SELECT next_hop FROM queue_recipient WHERE message_id = ? AND state NOT IN "
                "('delivered', 'failed')"
            )
            hops = [next_hop for (next_hop,) in tx.execute(sql, (message_id,)).fetchall()]
            recipients += len(hops)
            removed += 1
            remove_message(tx, message_id)
            for next_hop in set(hops):
                refresh(tx, next_hop)
        tx.changed(QueueChanged())
        return removed, recipients

    async def watched(self, account_id: int) -> Watched:
        def read(db: Database) -> Sequence[tuple[Any, ...]]:
            sql = "SELECT bulk, recovery_address, state FROM guard_account WHERE account_id = ?"
            rows: list[tuple[Any, ...]] = db.execute(sql, (account_id,)).fetchall()
            return rows

        found = self._reader.read(read)
        if not found:
            return Watched(account_id)
        bulk, address, octets = found[0]
        return Watched(account_id, bool(bulk), address, read_state(octets))

    async def set_bulk(self, account_id: int, bulk: bool) -> None:
        sql = (
            "INSERT INTO guard_account (account_id, bulk, recovery_address, state) VALUES (?1, "
            "?2, '', x'') ON CONFLICT (account_id) DO UPDATE SET "
            "bulk = ?2"
        )
        await self._writer.write(lambda tx: tx.execute(sql, (account_id, int(bulk))))

    async def set_recovery_address(self, account_id: int, address: str) -> None:
        sql = (
            "INSERT INTO guard_account (account_id, bulk, recovery_address, state) VALUES (?1, "
            "0, ?2, x'') ON CONFLICT (account_id) DO UPDATE SET "
            "recovery_address = ?2"
        )
        await self._writer.write(lambda tx: tx.execute(sql, (account_id, address)))

    async def sweep(self, oldest: Oldest) -> None:
        """In portions by key: nobody waits for the lock."""
        for table, column, before_us in (
            ("guard_sent", "accepted_at_us", oldest.sent_us),
            ("guard_left", "at_us", oldest.left_us),
            ("guard_known", "last_us", oldest.known_us),
            ("guard_case", "opened_at_us", oldest.cases_us),
        ):
            keys = {"guard_sent": "message_id", "guard_case": "id", "guard_known": "account_id, key"}.get(
                table, "account_id, at_us, message_id, address"
            )
            spared = {"guard_sent": " AND case_id = 0", "guard_case": " AND closed_at_us <> 0"}.get(table, "")
            old = f"SELECT {keys} FROM {table} WHERE {column} < ?{spared} LIMIT {SWEEP_PORTION}"
            match = " AND ".join(f"{key} = ?" for key in keys.split(", "))
            while rows := await self._reader.scan(
                lambda db, old=old, before_us=before_us: db.execute(old, (before_us,)).fetchall()  # type: ignore[misc]  # the loop's
            ):
                delete = f"DELETE FROM {table} WHERE {match}"
                await self._writer.write(lambda tx, delete=delete, rows=rows: tx.executemany(delete, rows))  # type: ignore[misc]  # the same


def _case(row: tuple[Any, ...]) -> Case:
    reasons, done = _reasons.decode(row[7]), _sentences.decode(row[12])
    return by_position(Case, *(*row[:7], reasons, *row[8:12], done))
