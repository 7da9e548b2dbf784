"""Questions about mailboxes, on any connection. Several statements of one answer stand in one read
transaction."""

import json
from typing import Any

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite import pruning, uidruns
from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.ids import content_text, email_text, thread_text
from sekisho.core.terms.records import by_position
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.mailstore import FlagRow, MailboxChanges, MailboxInfo, MessageRow, NoSuchMailbox, View

_INFO = (
    "SELECT id, account_id, name, uidvalidity, uidnext, highestmodseq, messages, unseen, deleted, "
    "size_octets, special_use, "
    "EXISTS (SELECT 1 FROM subscription s WHERE s.account_id = mailbox.account_id AND s.name = "
    "mailbox.name), "
    "mailbox_id, first_recent_uid, tail_uid, keywords FROM mailbox "
)
_BY_NAME = _INFO + "WHERE account_id = ? AND name = ?"
_BY_ID = _INFO + "WHERE id = ?"
_IN_ACCOUNT = _INFO + "WHERE account_id = ? ORDER BY name"
_FLAGS = "SELECT uid, modseq, flags, keywords FROM message WHERE mailbox_id = ? AND "
_ROWS = (
    "SELECT uid, modseq, flags, keywords, internal_date_us, internal_offset_minutes, save_date_us, "
    "size_octets, content_id, "
    "prefix_octets, email_id, thread_id FROM message WHERE mailbox_id = ? AND uid BETWEEN ? AND ?"
)


def info(row: tuple[Any, ...]) -> MailboxInfo:
    """From a row of _INFO."""
    fields = (*row[:11], bool(row[11]), *row[12:14])
    return by_position(MailboxInfo, *fields)


def mailboxes(db: Database, account_id: int) -> list[MailboxInfo]:
    return [info(row) for row in db.execute(_IN_ACCOUNT, (account_id,))]


def row_by_name(db: Database, account_id: int, name: str) -> tuple[Any, ...]:
    """Raises NoSuchMailbox."""
    found = db.execute(_BY_NAME, (account_id, rules.canonical_name(name))).fetchall()
    if not found:
        raise NoSuchMailbox(name)
    row: tuple[Any, ...] = found[0]
    return row


def row_by_id(db: Database, mailbox_id: int) -> tuple[Any, ...]:
    """Raises NoSuchMailbox."""
    found = db.execute(_BY_ID, (mailbox_id,)).fetchall()
    if not found:
        raise NoSuchMailbox(str(mailbox_id))
    row: tuple[Any, ...] = found[0]
    return row


def view(db: Database, account_id: int, name: str) -> View:
    row = row_by_name(db, account_id, name)
    found, (tail_uid, keywords) = info(row), row[-2:]
    uids = uidruns.read(db, found.id, tail_uid, found.uidnext)
    first_unseen: int | None = None
    if found.unseen:
        sql = "SELECT min(uid) FROM message WHERE mailbox_id = ? AND (flags & 8) = 0"
        ((first_unseen,),) = db.execute(sql, (found.id,))
    recent = uids & UidSet(((found.first_recent_uid, rules.MAX_UID),))
    return View(
        info=found, uids=uids, recent=recent, first_unseen_uid=first_unseen, keywords=tuple(keywords.split())
    )


def changes_since(db: Database, mailbox_id: int, modseq: int) -> MailboxChanges:
    row = row_by_id(db, mailbox_id)
    found = info(row)
    uids = uidruns.read(db, mailbox_id, row[-2], found.uidnext)
    if found.highestmodseq <= modseq:
        return MailboxChanges(found, uids, UidSet(), [])
    if modseq < pruning.floor_of(db, mailbox_id):
        vanished = UidSet(((1, found.uidnext - 1),)) - uids
    else:
        graves = db.execute(
            "SELECT first_uid, last_uid FROM tombstone WHERE mailbox_id = ? AND modseq > max(?, 0)",
            (mailbox_id, modseq),
        )
        vanished = UidSet.from_runs(graves.fetchall())
    changed = db.execute(_FLAGS + "modseq > ? ORDER BY uid", (mailbox_id, modseq))
    return MailboxChanges(found, uids, vanished, [flag_row(row) for row in changed])


def flag_row(row: tuple[int, int, int, str]) -> FlagRow:
    uid, modseq, flags, keywords = row
    return FlagRow(uid, modseq, flags, tuple(keywords.split()) if keywords else ())


def flag_rows(db: Database, mailbox_id: int, uids: UidSet) -> list[FlagRow]:
    rows: list[FlagRow] = []
    for first, last in uids.runs:
        rows += map(flag_row, db.execute(_FLAGS + "uid BETWEEN ? AND ?", (mailbox_id, first, last)))
    return rows


def message_rows(db: Database, mailbox_id: int, uids: UidSet) -> list[MessageRow]:
    rows: list[MessageRow] = []
    for first, last in uids.runs:
        for row in db.execute(_ROWS, (mailbox_id, first, last)):
            (
                uid,
                modseq,
                flags,
                keywords,
                date,
                offset,
                saved,
                size,
                content_id,
                prefix,
                email_id,
                thread_id,
            ) = row
            rows.append(
                MessageRow(
                    uid=uid,
                    modseq=modseq,
                    flags=flags,
                    keywords=tuple(keywords.split()) if keywords else (),
                    internal_date_us=date,
                    internal_offset_minutes=offset,
                    save_date_us=saved,
                    size_octets=size,
                    content_id=content_text(content_id),
                    prefix_octets=prefix,
                    email_id=email_text(email_id),
                    thread_id=thread_text(thread_id),
                )
            )
    return rows


def find(db: Database, mailbox_id: int, with_flags: int, without_flags: int) -> UidSet:
    """One statement, and one row as the answer: it does not hold the interpreter lock while it scans."""
    where = "(flags & ?2) = ?2 AND (flags & ?3) = 0"
    # The partial indexes are used when their own words stand in the query.
    if without_flags & 8:
        where += " AND (flags & 8) = 0"
    elif with_flags & 4:
        where += " AND (flags & 4) = 4"
    sql = (
        f"SELECT json_group_array(uid) FROM (SELECT uid FROM message WHERE mailbox_id = ?1 AND {where} "
        f"ORDER BY uid)"
    )
    ((uids,),) = db.execute(sql, (mailbox_id, with_flags, without_flags))
    return UidSet.of(json.loads(uids))
