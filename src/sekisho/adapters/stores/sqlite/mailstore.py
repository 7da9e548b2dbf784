"""The port MailStore over mail.db: short reads on the loop's own connection, writes through the writer."""

from typing import Literal

from sekisho.adapters.stores.sqlite import mailbox_reads, mailbox_writes
from sekisho.adapters.stores.sqlite.content import ContentFolder, own_writer
from sekisho.adapters.stores.sqlite.hints import Structures
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.mailbox_tree import MailboxTree
from sekisho.adapters.stores.sqlite.octets import open_octets
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.clock import Clock
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.mailstore import (
    Appended,
    CopyResult,
    FlagRow,
    MailboxChanges,
    MailboxInfo,
    MessageRow,
    NoSuchMailbox,
    SpecialUse,
    StoreResult,
    View,
)

LONG = 200  # messages; a step about more of them runs in the writer's thread
SCAN = 5_000  # messages; a scan over more of them runs in the reader's pool
_CONTENT = (
    "SELECT prefix, codec, content.size_octets, file, octets FROM message JOIN email ON email.id = email_id "
    "JOIN content ON content.id = message.content_id WHERE mailbox_id = ? AND uid = ?"
)


class SqliteMailStore:
    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        folder: ContentFolder,
        structures: Structures,
        tree: MailboxTree,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._reader, self._writer, self._folder = reader, writer, folder
        self._structures, self._tree, self._clock, self._ids = structures, tree, clock, ids

    async def mailboxes(self, account_id: int) -> list[MailboxInfo]:
        return self._reader.read(lambda db: mailbox_reads.mailboxes(db, account_id))

    async def mailbox(self, account_id: int, name: str) -> MailboxInfo:
        return self._reader.read(
            lambda db: mailbox_reads.info(mailbox_reads.row_by_name(db, account_id, name))
        )

    async def create_mailbox(
        self, account_id: int, name: str, special_use: SpecialUse | None = None
    ) -> MailboxInfo:
        return await self._writer.write(lambda tx: self._tree.create(tx, account_id, name, special_use))

    async def rename_mailbox(self, account_id: int, name: str, new_name: str) -> None:
        is_long = (await self.mailbox(account_id, name)).messages > LONG
        await self._writer.write(
            lambda tx: self._tree.rename(tx, account_id, name, new_name), is_long=is_long
        )

    async def delete_mailbox(self, account_id: int, name: str) -> None:
        is_long = (await self.mailbox(account_id, name)).messages > LONG
        await self._writer.write(lambda tx: self._tree.delete(tx, account_id, name), is_long=is_long)

    async def set_subscribed(self, account_id: int, name: str, subscribed: bool) -> None:
        await self._writer.write(lambda tx: self._tree.subscribe(tx, account_id, name, subscribed))

    async def subscriptions(self, account_id: int) -> list[str]:
        sql = "SELECT name FROM subscription WHERE account_id = ? ORDER BY name"
        return self._reader.read(lambda db: [name for (name,) in db.execute(sql, (account_id,))])

    async def view(self, account_id: int, name: str, *, claim_recent: bool) -> View:
        view = self._reader.read(lambda db: mailbox_reads.view(db, account_id, name))
        if claim_recent and view.info.first_recent_uid < view.info.uidnext:
            try:
                return await self._writer.write(lambda tx: mailbox_writes.claim_recent(tx, account_id, name))
            except StoreUnavailable:
                return view  # rather the same messages \Recent once more than a mailbox that cannot be opened
        return view

    async def changes_since(self, mailbox_id: int, modseq: int) -> MailboxChanges:
        return self._reader.read(lambda db: mailbox_reads.changes_since(db, mailbox_id, modseq))

    async def rows(self, mailbox_id: int, uids: UidSet) -> list[MessageRow]:
        return self._reader.read(lambda db: mailbox_reads.message_rows(db, mailbox_id, uids))

    async def flag_rows(self, mailbox_id: int, uids: UidSet) -> list[FlagRow]:
        return self._reader.read(lambda db: mailbox_reads.flag_rows(db, mailbox_id, uids))

    async def find(self, mailbox_id: int, *, with_flags: int = 0, without_flags: int = 0) -> UidSet:
        try:
            info = self._reader.read(lambda db: mailbox_reads.info(mailbox_reads.row_by_id(db, mailbox_id)))
        except NoSuchMailbox:
            return UidSet()
        if info.messages <= SCAN:
            return self._reader.read(lambda db: mailbox_reads.find(db, mailbox_id, with_flags, without_flags))
        return await self._reader.scan(
            lambda db: mailbox_reads.find(db, mailbox_id, with_flags, without_flags)
        )

    async def open(self, mailbox_id: int, uid: int) -> MessageOctets | None:
        return open_octets(self._reader.connection, self._folder, _CONTENT, (mailbox_id, uid))

    async def structures(self, content_ids: list[str]) -> dict[str, bytes]:
        return self._structures.read(content_ids)

    async def save_structures(self, structures: dict[str, bytes]) -> None:
        await self._structures.save(structures)

    async def append(
        self, account_id: int, name: str, messages: list[Appended]
    ) -> tuple[int, tuple[int, ...]]:
        return await self._writer.write(
            lambda tx: mailbox_writes.append(
                tx=tx, clock=self._clock, ids=self._ids, account_id=account_id, name=name, messages=messages
            ),
            [own_writer(message.content) for message in messages],
        )

    async def store_flags(
        self,
        mailbox_id: int,
        uids: UidSet,
        how: Literal["add", "remove", "replace"],
        flags: int,
        keywords: tuple[str, ...],
        unchanged_since: int | None = None,
    ) -> StoreResult:
        return await self._writer.write(
            lambda tx: mailbox_writes.store_flags(
                tx=tx,
                mailbox_id=mailbox_id,
                uids=uids,
                how=how,
                change=(flags, keywords),
                unchanged_since=unchanged_since,
            ),
            is_long=self._count(mailbox_id, uids) > LONG,
        )

    def _count(self, mailbox_id: int, uids: UidSet | None) -> int:
        """At most how many messages a step is about."""
        sql = "SELECT messages FROM mailbox WHERE id = ?"
        found: list[tuple[int]] = self._reader.read(lambda db: db.execute(sql, (mailbox_id,)).fetchall())
        messages = found[0][0] if found else 0
        return messages if uids is None else min(messages, len(uids))

    async def copy(
        self, mailbox_id: int, uids: UidSet, account_id: int, target: str, *, move: bool = False
    ) -> CopyResult:
        return await self._writer.write(
            lambda tx: mailbox_writes.copy(
                tx=tx, clock=self._clock, mailbox_id=mailbox_id, uids=uids, to=(account_id, target), move=move
            ),
            is_long=self._count(mailbox_id, uids) > LONG,
        )

    async def expunge(
        self, mailbox_id: int, uids: UidSet | None = None, *, only_deleted: bool = True
    ) -> tuple[UidSet, int]:
        return await self._writer.write(
            lambda tx: mailbox_writes.expunge(tx, mailbox_id, uids, only_deleted),
            is_long=self._count(mailbox_id, uids) > LONG,
        )
