"""The port Spool over mail.db."""

import os

from sekisho.adapters.stores.sqlite import queue_rows, queue_watch
from sekisho.adapters.stores.sqlite.acceptance import AcceptSteps, NothingTaken
from sekisho.adapters.stores.sqlite.connection import Database, store_errors
from sekisho.adapters.stores.sqlite.content import ContentFolder, SqliteContentWriter, own_writer
from sekisho.adapters.stores.sqlite.octets import open_octets
from sekisho.adapters.stores.sqlite.queueing import Queueing
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.reserve import Reserve
from sekisho.adapters.stores.sqlite.writer import Writer
from sekisho.ports.content import ContentWriter, MessageOctets
from sekisho.ports.leases import Owner
from sekisho.ports.spool import (
    Acceptance,
    Accepted,
    DestinationState,
    Outcome,
    QueuedMessage,
    QueueJob,
    QueueTally,
)


class SqliteSpool:
    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        folder: ContentFolder,
        reserve: Reserve,
        free_disk_octets: int,
        steps: tuple[AcceptSteps, Queueing],
    ) -> None:
        self._reader, self._writer, self._folder = reader, writer, folder
        self._reserve, self.free_disk_octets = reserve, free_disk_octets
        self._acceptor, self._queueing = steps

    def open_content(self) -> ContentWriter:
        return SqliteContentWriter(self._folder)

    async def accept(self, acceptance: Acceptance) -> Accepted:
        try:
            return await self._writer.write(
                lambda tx: self._acceptor.accept(tx, acceptance), (own_writer(acceptance.content),)
            )
        except NothingTaken as nothing:
            return Accepted(
                delivered_account_ids=(), over_quota_account_ids=nothing.over_quota, nothing_taken=True
            )

    async def has_room(self) -> bool:
        if self._reserve.is_given_up:
            return False  # what is free now is for those who delete
        with store_errors():
            disk = os.statvfs(self._reserve.folder)
        has_inodes = disk.f_files == 0 or disk.f_favail > 1000
        return disk.f_bavail * disk.f_frsize >= self.free_disk_octets and has_inodes

    async def claim(
        self, owner: Owner, limit: int, *, per_next_hop: int = 1_000_000, busy: frozenset[str] = frozenset()
    ) -> list[QueueJob]:
        next_due_us = await self.next_due_at_us(busy)
        if next_due_us is None or next_due_us > self._queueing.clock.now_us():
            return []
        return await self._writer.write(lambda tx: self._queueing.claim(tx, owner, limit, per_next_hop, busy))

    async def open_queued(self, message_id: str) -> MessageOctets | None:
        sql = (
            "SELECT prefix, codec, content.size_octets, file, octets FROM queue_message "
            "JOIN content ON content.id = content_id WHERE message_id = ?"
        )
        return open_octets(self._reader.connection, self._folder, sql, (message_id,))

    async def settle(
        self,
        job: QueueJob,
        outcomes: tuple[Outcome, ...],
        *,
        notices: tuple[Acceptance, ...] = (),
        not_before_us: int | None = None,
    ) -> tuple[Acceptance, ...]:
        contents = [own_writer(notice.content) for notice in notices]
        return await self._writer.write(
            lambda tx: self._queueing.settle(tx, job, outcomes, notices, not_before_us), contents
        )

    async def next_due_at_us(self, busy: frozenset[str] = frozenset()) -> int | None:
        sql = (
            "SELECT ready_at_us FROM destination WHERE ready_at_us IS NOT NULL "
            "AND next_hop NOT IN (SELECT value FROM json_each(?)) ORDER BY ready_at_us LIMIT 1"
        )
        found = self._reader.read(lambda db: db.execute(sql, (queue_rows.names_to_json(busy),)).fetchall())
        return int(found[0][0]) if found else None

    async def claims(self, owner: Owner) -> dict[int, str]:
        sql = "SELECT DISTINCT epoch, message_id FROM queue_recipient WHERE state = 'claimed' AND owner = ?"
        return self._reader.read(lambda db: dict(db.execute(sql, (queue_rows.owner_key(owner),)).fetchall()))

    async def give_back(self, owner: Owner, epochs: frozenset[int]) -> int:
        return await self._writer.write(lambda tx: self._queueing.give_back(tx, owner, epochs))

    async def tally(self, stuck_since_us: int) -> QueueTally:
        return await self._reader.scan(lambda db: queue_watch.tally(db, stuck_since_us))

    async def pull_in(self, now_us: int, longest_us: int) -> int:
        late = await self._reader.scan(lambda db: queue_watch.too_late(db, now_us, longest_us))
        return (
            await self._writer.write(lambda tx: queue_watch.pull_in(tx, late, now_us, longest_us))
            if late
            else 0
        )

    async def queue(self, limit: int = 1000) -> list[QueuedMessage]:
        return self._queued("", (), limit)

    async def queued(self, message_id: str) -> QueuedMessage | None:
        found = self._queued("WHERE message_id = ?", (message_id,), 1)
        return found[0] if found else None

    def _queued(self, where: str, values: tuple[str, ...], limit: int) -> list[QueuedMessage]:
        messages = (
            "SELECT message_id, envelope, size_octets, arrived_at_us, origin, account_id FROM queue_message "
            f"{where} ORDER BY arrived_at_us, message_id LIMIT {int(limit)}"
        )
        recipients = (
            f"SELECT {queue_rows.RECIPIENT_COLUMNS}, next_hop FROM queue_recipient WHERE "
            f"message_id = ? ORDER BY position"
        )

        def read(db: Database) -> list[QueuedMessage]:
            found = []
            for message_id, envelope, size, arrived, origin, account_id in db.execute(
                messages, values
            ).fetchall():
                rows = db.execute(recipients, (message_id,)).fetchall()
                found.append(
                    QueuedMessage(
                        message_id=message_id,
                        envelope=queue_rows.envelope(envelope),
                        recipients=tuple(queue_rows.queue_recipient(row[:-1]) for row in rows),
                        next_hops=tuple(row[-1] for row in rows),
                        size_octets=size,
                        arrived_at_us=arrived,
                        origin=origin,
                        account_id=account_id,
                    )
                )
            return found

        return self._reader.read(read)

    async def retry(self, message_id: str | None) -> int:
        return await self._writer.write(lambda tx: self._queueing.retry(tx, message_id))

    async def hold(self, message_id: str, held: bool) -> int:
        return await self._writer.write(lambda tx: self._queueing.hold(tx, message_id, held))

    async def drop(self, message_id: str) -> int:
        return await self._writer.write(lambda tx: self._queueing.drop(tx, message_id))

    async def destinations(self) -> list[DestinationState]:
        sql = (
            "SELECT next_hop, not_before_us, failures, last_error FROM destination WHERE failures > 0 "
            "ORDER BY next_hop"
        )
        return self._reader.read(lambda db: [DestinationState(*row) for row in db.execute(sql)])
