"""Changes of messages inside a transaction. Every step takes a fixed number of statements, however many
messages it is about: each statement costs a change of the interpreter lock when it runs in the thread."""

import json
from collections.abc import Iterable
from typing import Literal

import msgspec

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite import mailbox_reads, placing, uidruns
from sekisho.adapters.stores.sqlite.content import own_writer
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.placing import NewMessage
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.changes import AccountChanged
from sekisho.ports.clock import Clock
from sekisho.ports.mailstore import (
    DELETED,
    SEEN,
    Appended,
    CopyResult,
    FlagRow,
    NoSuchMailbox,
    StoreResult,
    View,
)

How = Literal["add", "remove", "replace"]
_IN = "IN (SELECT value FROM json_each(?2))"
Picked = list[tuple[int, int, int, str]]  # uid, flags, size, keywords
_picked = msgspec.json.Decoder(Picked)


def append(
    tx: WriteTransaction, clock: Clock, ids: Ids, account_id: int, name: str, messages: list[Appended]
) -> tuple[int, tuple[int, ...]]:
    name = rules.canonical_name(name)
    mailbox_reads.row_by_name(tx, account_id, name)
    now_us = clock.now_us()
    placing.charge(tx, account_id, sum(message.content.size_octets for message in messages))
    new = [
        NewMessage(
            account_id=account_id,
            content_id=placing.add_content(tx, ids, own_writer(message.content), 1),
            size_octets=message.content.size_octets,
            prefix=b"",
            flags=message.flags,
            keywords=message.keywords,
            internal_date_us=now_us if message.date_us is None else message.date_us,
            internal_offset_minutes=message.offset_minutes,
            save_date_us=now_us,
            message_id=message.message_id,
            references=message.references,
        )
        for message in messages
    ]
    uidvalidity, uids = placing.place(tx, ids, name, new)
    return uidvalidity, tuple(uids)


def claim_recent(tx: WriteTransaction, account_id: int, name: str) -> View:
    view = mailbox_reads.view(tx, account_id, name)
    tx.execute("UPDATE mailbox SET first_recent_uid = uidnext WHERE id = ?", (view.info.id,))
    info = msgspec.structs.replace(view.info, first_recent_uid=view.info.uidnext)
    return msgspec.structs.replace(view, info=info)


def store_flags(
    tx: WriteTransaction,
    mailbox_id: int,
    uids: UidSet,
    how: How,
    change: tuple[int, tuple[str, ...]],
    unchanged_since: int | None,
) -> StoreResult:
    row = mailbox_reads.row_by_id(tx, mailbox_id)
    info = mailbox_reads.info(row)
    known = str(row[-1])
    named: tuple[str, ...] = ()
    if change[1]:
        named, after = rules.merged_keywords(tuple(known.split()), change[1])
        if how != "remove" and " ".join(after) != known:
            tx.execute("UPDATE mailbox SET keywords = ? WHERE id = ?", (" ".join(after), mailbox_id))
    modseq = info.highestmodseq + 1
    answer: list[FlagRow] = []
    modified: list[int] = []
    groups: dict[tuple[int, str], list[int]] = {}
    unseen = deleted = 0
    for old in mailbox_reads.flag_rows(tx, mailbox_id, uids):
        if unchanged_since is not None and old.modseq > unchanged_since:  # RFC 7162 §3.1.3
            modified.append(old.uid)
            continue
        flags, keywords = rules.changed_flags(how, (old.flags, old.keywords), (change[0], named))
        if flags == old.flags and keywords == old.keywords:
            answer.append(old)
            continue
        groups.setdefault((flags, " ".join(keywords)), []).append(old.uid)
        unseen += (not flags & SEEN) - (not old.flags & SEEN)
        deleted += bool(flags & DELETED) - bool(old.flags & DELETED)
        answer.append(FlagRow(old.uid, modseq, flags, keywords))
    if not groups:
        return StoreResult(answer, UidSet.of(modified), info.highestmodseq)
    for (flags, text), members in groups.items():
        sql = f"UPDATE message SET flags = ?3, keywords = ?4, modseq = ?5 WHERE mailbox_id = ?1 AND uid {_IN}"
        tx.execute(sql, (mailbox_id, json.dumps(members), flags, text, modseq))
    sql = "UPDATE mailbox SET highestmodseq = ?2, unseen = unseen + ?3, deleted = deleted + ?4 WHERE id = ?1"
    tx.execute(sql, (mailbox_id, modseq, unseen, deleted))
    tx.changed(AccountChanged(info.account_id))
    return StoreResult(answer, UidSet.of(modified), modseq)


def pick(tx: WriteTransaction, mailbox_id: int, uids: UidSet | None, with_flags: int = 0) -> Picked:
    """What is there of `uids` (None: everything), ascending."""
    runs = json.dumps(((0, rules.MAX_UID),) if uids is None else uids.runs)
    where = "AND (flags & 4) = 4" if with_flags == DELETED else ""
    sql = (
        "SELECT json_group_array(json_array(uid, flags, size_octets, keywords)) FROM (SELECT m.* FROM "
        "json_each(?2) AS run "
        f"CROSS JOIN message AS m WHERE m.mailbox_id = ?1 AND m.uid BETWEEN run.value ->> 0 AND run.value "
        f"->> 1 {where} ORDER BY uid)"
    )
    ((text,),) = tx.execute(sql, (mailbox_id, runs))
    picked: Picked = _picked.decode(text)
    return picked


def copy(
    tx: WriteTransaction, clock: Clock, mailbox_id: int, uids: UidSet, to: tuple[int, str], move: bool
) -> CopyResult:
    account_id, target = to
    source = mailbox_reads.info(mailbox_reads.row_by_id(tx, mailbox_id))
    goal = mailbox_reads.info(mailbox_reads.row_by_name(tx, account_id, target))
    chosen = pick(tx, mailbox_id, uids)
    if not chosen:
        return CopyResult(goal.uidvalidity, (), (), source.highestmodseq)
    # Within one account a move needs no room.
    if not move or source.account_id != account_id:
        placing.charge(tx, account_id, sum(size for _, _, size, _ in chosen))
    new = copy_rows(tx, clock.now_us(), mailbox_id, chosen, goal.id)
    modseq = source.highestmodseq + (goal.id == mailbox_id)
    if move:
        modseq = remove(tx, mailbox_id, chosen, refund=source.account_id != account_id)
    tx.changed(AccountChanged(account_id))
    tx.changed(AccountChanged(source.account_id))
    return CopyResult(goal.uidvalidity, tuple(uid for uid, *_ in chosen), tuple(new), modseq)


def copy_rows(tx: WriteTransaction, now_us: int, mailbox_id: int, chosen: Picked, goal_id: int) -> range:
    """The new UIDs. Flags, dates and thread go along; the email is shared."""
    counts = (
        len(chosen),
        sum(not flags & SEEN for _, flags, _, _ in chosen),
        sum(bool(flags & DELETED) for _, flags, _, _ in chosen),
        sum(size for _, _, size, _ in chosen),
    )
    allocated = placing.allocate(tx, (goal_id,), counts)
    if allocated is None:
        raise NoSuchMailbox(str(goal_id))
    _, first_uid, modseq, known, _ = allocated
    members = json.dumps([uid for uid, *_ in chosen])
    tx.execute(
        "INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, internal_date_us, "
        "internal_offset_minutes, save_date_us, size_octets, prefix_octets, content_id, "
        "email_id, thread_id) SELECT ?3, ?4 + row_number() OVER (ORDER BY uid) - 1, ?5, "
        "flags, keywords, "
        "internal_date_us, "
        "internal_offset_minutes, ?6, size_octets, prefix_octets, content_id, email_id, thread_id "
        f"FROM message WHERE mailbox_id = ?1 AND uid {_IN}",
        (mailbox_id, members, goal_id, first_uid, modseq, now_us),
    )
    tx.execute(
        "UPDATE email SET refs = refs + more.n FROM (SELECT email_id, count(*) AS n FROM message "
        f"WHERE mailbox_id = ?1 AND uid {_IN} GROUP BY email_id) AS more WHERE email.id = more.email_id",
        (mailbox_id, members),
    )
    for text in dict.fromkeys(keywords for *_, keywords in chosen if keywords):
        spelled, known = placing.merge(tx, goal_id, known, tuple(text.split()))
        if spelled != text:
            sql = "UPDATE message SET keywords = ?3 WHERE mailbox_id = ?1 AND uid >= ?2 AND keywords = ?4"
            tx.execute(sql, (goal_id, first_uid, spelled, text))
    return range(first_uid, first_uid + len(chosen))


def expunge(
    tx: WriteTransaction, mailbox_id: int, uids: UidSet | None, only_deleted: bool
) -> tuple[UidSet, int]:
    info = mailbox_reads.info(mailbox_reads.row_by_id(tx, mailbox_id))
    chosen = pick(tx, mailbox_id, uids, DELETED if only_deleted else 0)
    if not chosen:
        return UidSet(), info.highestmodseq
    modseq = remove(tx, mailbox_id, chosen, refund=True)
    tx.changed(AccountChanged(info.account_id))
    return UidSet.of(uid for uid, *_ in chosen), modseq


def remove(tx: WriteTransaction, mailbox_id: int, chosen: Picked, *, refund: bool) -> int:
    """Take messages out, leaving tombstones; returns the new highestmodseq. `refund`: the octets leave the
    account."""
    gone = UidSet.of(uid for uid, *_ in chosen)
    size = sum(size for _, _, size, _ in chosen)
    uidruns.remove(tx, mailbox_id, gone)
    ((modseq, account_id),) = tx.execute(
        "UPDATE mailbox SET highestmodseq = highestmodseq + 1, messages = messages - ?2, unseen = unseen - "
        "?3, deleted = deleted - ?4, "
        "size_octets = size_octets - ?5 WHERE id = ?1 RETURNING highestmodseq, account_id",
        (
            mailbox_id,
            len(chosen),
            sum(not flags & SEEN for _, flags, _, _ in chosen),
            sum(bool(flags & DELETED) for _, flags, _, _ in chosen),
            size,
        ),
    )
    _bury(tx, mailbox_id, modseq, gone)
    if refund:
        tx.execute(
            "UPDATE account_usage SET used_octets = used_octets - ? WHERE account_id = ?", (size, account_id)
        )
    remove_rows(tx, mailbox_id, gone)
    return int(modseq)


def _bury(tx: WriteTransaction, mailbox_id: int, modseq: int, gone: UidSet) -> None:
    sql = (
        "INSERT INTO tombstone (mailbox_id, modseq, first_uid, last_uid) SELECT ?1, ?3, "
        "value ->> 0, value ->> 1 FROM json_each(?2)"
    )
    tx.execute(sql, (mailbox_id, json.dumps(gone.runs), modseq))


def remove_rows(tx: WriteTransaction, mailbox_id: int, gone: Iterable[int]) -> None:
    """Delete message rows, and the emails and contents that nobody else refers to."""
    values = (mailbox_id, json.dumps(list(gone)))
    these = f"FROM message WHERE mailbox_id = ?1 AND uid {_IN}"
    tx.execute(
        f"UPDATE email SET refs = refs - fewer.n FROM (SELECT email_id, count(*) AS n {these} GROUP BY "
        f"email_id) AS fewer "
        "WHERE email.id = fewer.email_id",
        values,
    )
    emails = f"refs <= 0 AND id IN (SELECT email_id {these})"
    tx.execute(
        f"UPDATE content SET refs = refs - fewer.n FROM (SELECT content_id, count(*) AS n FROM email WHERE "
        f"{emails} GROUP BY content_id) "
        "AS fewer WHERE content.id = fewer.content_id",
        values,
    )
    tx.execute(f"DELETE FROM email WHERE {emails}", values)
    contents = f"refs <= 0 AND id IN (SELECT content_id {these})"
    ((files,),) = tx.execute(
        f"SELECT json_group_array(file) FROM content WHERE file IS NOT NULL AND {contents}", values
    )
    tx.garbage += json.loads(files)
    tx.execute(f"DELETE FROM content WHERE {contents}", values)
    tx.execute(f"DELETE {these}", values)
