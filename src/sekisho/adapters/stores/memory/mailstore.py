"""Mailboxes of the memory store. No method awaits between reading and writing: each is one transaction."""

from typing import Literal

import msgspec

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.memory.content import MemoryOctets
from sekisho.adapters.stores.memory.state import (
    AccountState,
    MemoryMailbox,
    MemoryMessage,
    MemoryState,
    content_octets,
)
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import MessageOctets
from sekisho.ports.mailstore import (
    DELETED,
    SEEN,
    Appended,
    CopyResult,
    FlagRow,
    MailboxChanges,
    MailboxExists,
    MailboxInfo,
    MailboxRefused,
    MessageRow,
    SpecialUse,
    StoreResult,
    View,
)


class MemoryMailStore:
    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def mailboxes(self, account_id: int) -> list[MailboxInfo]:
        state = self._state.accounts.get(account_id)
        return [self._state.info(state.mailboxes[name]) for name in sorted(state.mailboxes)] if state else []

    async def mailbox(self, account_id: int, name: str) -> MailboxInfo:
        return self._state.info(self._state.mailbox(account_id, name))

    async def create_mailbox(
        self, account_id: int, name: str, special_use: SpecialUse | None = None
    ) -> MailboxInfo:
        self._state.check_available()
        state, name = self._state.account(account_id), rules.new_name(name)
        if name in state.mailboxes:
            raise MailboxExists(name)
        missing = [n for n in (*rules.superiors(name), name) if n not in state.mailboxes]
        self._check_count(state, len(missing))
        for made in missing:
            mailbox = self._state.add_mailbox(state, made, special_use if made == name else None)
        self._state.account_changed(account_id)
        return self._state.info(mailbox)

    def _check_count(self, state: AccountState, more: int) -> None:
        if len(state.mailboxes) + more > self._state.mailboxes_per_account:
            raise MailboxRefused(
                f"An account may have {self._state.mailboxes_per_account} mailboxes at most."
            )

    async def rename_mailbox(self, account_id: int, name: str, new_name: str) -> None:
        self._state.check_available()
        old = self._state.mailbox(account_id, name)
        old_name = old.name
        state, new = self._state.account(account_id), rules.new_name(new_name)
        if new in state.mailboxes:
            raise MailboxExists(new)
        moving = (
            []
            if old_name == rules.INBOX
            else [m for m in state.mailboxes.values() if (m.name + "/").startswith(old_name + "/")]
        )
        if moving and new.startswith(old_name + "/"):
            raise MailboxRefused("A mailbox cannot be moved below itself.")
        for mailbox in moving:
            rules.new_name(rules.moved_name(mailbox.name, old_name, new))
        missing = [n for n in rules.superiors(new) if n not in state.mailboxes]
        self._check_count(state, len(missing) + (not moving))
        for made in missing:
            self._state.add_mailbox(state, made, None)
        if not moving:
            target = self._state.add_mailbox(state, new, None)
            if old.messages:
                self._copy(old, list(old.messages), target, needs_room=False)
                self._state.remove(old, list(old.messages))
        for mailbox in moving:
            self._state.forget_name(state, mailbox)
            mailbox.name = rules.moved_name(mailbox.name, old_name, new)
            state.mailboxes[mailbox.name] = mailbox
            # RFC 9051 §2.3.1.1: whoever knew an earlier mailbox of this name must see a greater UIDVALIDITY.
            if state.past_uidvalidity.get(mailbox.name, 0) > mailbox.uidvalidity:
                mailbox.uidvalidity = self._state.new_uidvalidity(state)
        self._state.account_changed(account_id)

    async def delete_mailbox(self, account_id: int, name: str) -> None:
        self._state.check_available()
        mailbox, state = self._state.mailbox(account_id, name), self._state.account(account_id)
        if mailbox.name == rules.INBOX:
            raise MailboxRefused("INBOX cannot be deleted.")
        if any(other.startswith(mailbox.name + "/") for other in state.mailboxes):
            raise MailboxRefused("The mailbox has mailboxes below it: delete those first.")
        self._state.remove(mailbox, list(mailbox.messages))
        self._state.forget_name(state, mailbox)
        del self._state.mailboxes[mailbox.id]
        self._state.account_changed(account_id)

    async def set_subscribed(self, account_id: int, name: str, subscribed: bool) -> None:
        self._state.check_available()
        names, name = self._state.account(account_id).subscriptions, rules.canonical_name(name)
        if subscribed:
            names.add(name)
        else:
            names.discard(name)
        self._state.account_changed(account_id)

    async def subscriptions(self, account_id: int) -> list[str]:
        state = self._state.accounts.get(account_id)
        return sorted(state.subscriptions) if state else []

    async def view(self, account_id: int, name: str, *, claim_recent: bool) -> View:
        mailbox = self._state.mailbox(account_id, name)
        uids = UidSet.of(mailbox.messages)
        recent = UidSet.of(uid for uid in mailbox.messages if uid >= mailbox.first_recent_uid)
        if claim_recent:
            mailbox.first_recent_uid = mailbox.uidnext
        unseen = (uid for uid, message in mailbox.messages.items() if not message.row.flags & SEEN)
        return View(
            info=self._state.info(mailbox),
            uids=uids,
            recent=recent,
            first_unseen_uid=next(unseen, None),
            keywords=mailbox.keywords,
        )

    async def changes_since(self, mailbox_id: int, modseq: int) -> MailboxChanges:
        mailbox = self._state.mailbox_by_id(mailbox_id)
        vanished = UidSet.from_runs(run for when, runs in mailbox.tombstones if when > modseq for run in runs)
        changed = [message.flag_row() for message in mailbox.messages.values() if message.row.modseq > modseq]
        return MailboxChanges(self._state.info(mailbox), UidSet.of(mailbox.messages), vanished, changed)

    def _messages(self, mailbox_id: int, uids: UidSet) -> list[MemoryMessage]:
        mailbox = self._state.mailboxes.get(mailbox_id)
        return [message for uid, message in mailbox.messages.items() if uid in uids] if mailbox else []

    async def rows(self, mailbox_id: int, uids: UidSet) -> list[MessageRow]:
        return [message.row for message in self._messages(mailbox_id, uids)]

    async def flag_rows(self, mailbox_id: int, uids: UidSet) -> list[FlagRow]:
        return [message.flag_row() for message in self._messages(mailbox_id, uids)]

    async def find(self, mailbox_id: int, *, with_flags: int = 0, without_flags: int = 0) -> UidSet:
        mailbox = self._state.mailboxes.get(mailbox_id)
        rows = [message.row for message in mailbox.messages.values()] if mailbox else []
        return UidSet.of(
            row.uid for row in rows if row.flags & with_flags == with_flags and not row.flags & without_flags
        )

    async def open(self, mailbox_id: int, uid: int) -> MessageOctets | None:
        mailbox = self._state.mailboxes.get(mailbox_id)
        message = mailbox.messages.get(uid) if mailbox else None
        return MemoryOctets(message.octets) if message else None

    async def structures(self, content_ids: list[str]) -> dict[str, bytes]:
        return {key: self._state.structures[key] for key in content_ids if key in self._state.structures}

    async def save_structures(self, structures: dict[str, bytes]) -> None:
        self._state.structures.update(structures)

    async def append(
        self, account_id: int, name: str, messages: list[Appended]
    ) -> tuple[int, tuple[int, ...]]:
        self._state.check_available()
        mailbox, account = self._state.mailbox(account_id, name), self._state.account(account_id)
        contents = [content_octets(message.content) for message in messages]
        self._state.charge(account, sum(map(len, contents)))
        now_us = self._state.clock.now_us()
        placed = [
            MemoryMessage(
                MessageRow(
                    uid=0,
                    modseq=0,
                    flags=message.flags,
                    keywords=message.keywords,
                    internal_date_us=now_us if message.date_us is None else message.date_us,
                    internal_offset_minutes=message.offset_minutes,
                    save_date_us=now_us,
                    size_octets=len(octets),
                    content_id=rules.object_id(self._state.clock, self._state.dice),
                    prefix_octets=0,
                    email_id="M" + rules.object_id(self._state.clock, self._state.dice),
                    thread_id=self._state.thread_of(account, message.message_id, message.references),
                ),
                octets,
            )
            for message, octets in zip(messages, contents, strict=True)
        ]
        uids = self._state.place(mailbox, placed)
        self._state.account_changed(account_id)
        return mailbox.uidvalidity, tuple(uids)

    async def store_flags(
        self,
        mailbox_id: int,
        uids: UidSet,
        how: Literal["add", "remove", "replace"],
        flags: int,
        keywords: tuple[str, ...],
        unchanged_since: int | None = None,
    ) -> StoreResult:
        self._state.check_available()
        mailbox = self._state.mailbox_by_id(mailbox_id)
        named, known = rules.merged_keywords(mailbox.keywords, keywords)
        if how != "remove":
            mailbox.keywords = known
        changed: list[FlagRow] = []
        modified: list[int] = []
        really = False
        for uid, message in mailbox.messages.items():
            if uid not in uids:
                continue
            row = message.row
            if unchanged_since is not None and row.modseq > unchanged_since:
                modified.append(uid)
                continue
            new = rules.changed_flags(how, (row.flags, row.keywords), (flags, named))
            if new != (row.flags, row.keywords):
                really = True
                message.row = msgspec.structs.replace(
                    row, flags=new[0], keywords=new[1], modseq=mailbox.highestmodseq + 1
                )
            changed.append(message.flag_row())
        if really:
            mailbox.highestmodseq += 1
            self._state.account_changed(mailbox.account_id)
        return StoreResult(changed, UidSet.of(modified), mailbox.highestmodseq)

    async def copy(
        self, mailbox_id: int, uids: UidSet, account_id: int, target: str, *, move: bool = False
    ) -> CopyResult:
        self._state.check_available()
        source, goal = self._state.mailbox_by_id(mailbox_id), self._state.mailbox(account_id, target)
        chosen = [uid for uid in source.messages if uid in uids]
        if not chosen:
            return CopyResult(goal.uidvalidity, (), (), source.highestmodseq)
        # Within one account a move needs no room.
        new = self._copy(source, chosen, goal, needs_room=not move or source.account_id != goal.account_id)
        if move:
            self._state.remove(source, chosen)
        for changed in {source.account_id, goal.account_id}:
            self._state.account_changed(changed)
        return CopyResult(goal.uidvalidity, tuple(chosen), tuple(new), source.highestmodseq)

    def _copy(
        self, source: MemoryMailbox, uids: list[int], goal: MemoryMailbox, *, needs_room: bool
    ) -> list[int]:
        originals = [source.messages[uid] for uid in uids]
        size = sum(message.row.size_octets for message in originals)
        self._state.charge(self._state.account(goal.account_id), size, always=not needs_room)
        now_us = self._state.clock.now_us()
        return self._state.place(
            goal,
            [MemoryMessage(msgspec.structs.replace(m.row, save_date_us=now_us), m.octets) for m in originals],
        )

    async def expunge(
        self, mailbox_id: int, uids: UidSet | None = None, *, only_deleted: bool = True
    ) -> tuple[UidSet, int]:
        self._state.check_available()
        mailbox = self._state.mailbox_by_id(mailbox_id)
        chosen = [
            uid
            for uid, message in mailbox.messages.items()
            if (uids is None or uid in uids) and (not only_deleted or message.row.flags & DELETED)
        ]
        gone = self._state.remove(mailbox, chosen)
        if gone:
            self._state.account_changed(mailbox.account_id)
        return gone, mailbox.highestmodseq
