"""Putting messages into mailboxes: content, email, quota, thread, UID and modseq, all inside the caller's
transaction."""

import hashlib
from typing import NamedTuple

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite.content import PLAIN, SqliteContentWriter
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.ports.changes import AccountChanged
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.mailstore import DELETED, SEEN, NoSuchMailbox, OverQuota

CHARGE = (
    "UPDATE account_usage SET used_octets = used_octets + ?1 "
    "WHERE account_id = ?2 AND (quota_octets = 0 OR used_octets + ?1 <= quota_octets)"
)
# RFC 9051 §2.3.1.1, RFC 7162 §3.1: UID and modseq are given out by the statement that locks the mailbox.
ALLOCATE = (
    "UPDATE mailbox SET uidnext = uidnext + ?1, highestmodseq = highestmodseq + 1, messages = messages + "
    "?1, unseen = unseen + ?2, "
    "deleted = deleted + ?3, size_octets = size_octets + ?4 {} RETURNING id, uidnext, highestmodseq, "
    "keywords, uidvalidity"
)
ALLOCATE_BY_NAME = ALLOCATE.format("WHERE account_id = ?5 AND name = ?6")
ALLOCATE_BY_ID = ALLOCATE.format("WHERE id = ?5")
INSERT_MESSAGE = (
    "INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, "
    "internal_date_us, internal_offset_minutes, save_date_us, size_octets, prefix_octets, "
    "content_id, email_id, thread_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class NewMessage(NamedTuple):
    """One message on its way into one mailbox of `account_id`. `size_octets`: prefix and content."""

    account_id: int
    content_id: int
    size_octets: int
    prefix: bytes
    flags: int
    keywords: tuple[str, ...]
    internal_date_us: int
    internal_offset_minutes: int
    save_date_us: int
    message_id: str
    references: tuple[str, ...]


def add_content(tx: WriteTransaction, ids: Ids, content: SqliteContentWriter, refs: int) -> int:
    octets = content.inline_octets()
    file, size = (content.name, content.size_octets) if octets is None else (None, len(octets))

    def insert(new: int) -> bool:
        tx.execute(
            "INSERT INTO content (id, refs, codec, size_octets, file, octets) VALUES (?, ?, "
            "?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            (new, refs, PLAIN, size, file, octets),
        )
        return tx.touched() == 1

    id_ = ids.insert(insert)
    content.name_row()
    return id_


def add_email(tx: WriteTransaction, ids: Ids, content_id: int, prefix: bytes) -> int:
    def insert(new: int) -> bool:
        tx.execute(
            "INSERT INTO email (id, content_id, refs, prefix) VALUES (?, ?, 1, ?) ON CONFLICT "
            "(id) DO NOTHING",
            (new, content_id, prefix),
        )
        return tx.touched() == 1

    return ids.insert(insert)


def charge(tx: WriteTransaction, account_id: int, octets: int) -> None:
    """Count octets on the account; raises OverQuota, or StoreUnavailable when the account is gone."""
    tx.execute(CHARGE, (octets, account_id))
    if tx.touched():
        return
    if not tx.execute("SELECT 1 FROM account_usage WHERE account_id = ?", (account_id,)).fetchall():
        raise StoreUnavailable(f"account {account_id} is gone")
    raise OverQuota


def allocate(
    tx: WriteTransaction, where: tuple[int, str] | tuple[int], counts: tuple[int, int, int, int]
) -> tuple[int, int, int, str, int] | None:
    """(mailbox id, first UID, modseq, keywords, UIDVALIDITY) for (messages, unseen, deleted, octets); None
    without such a mailbox.

    `where` is (account id, name) or (mailbox id,).
    """
    found = tx.execute(ALLOCATE_BY_NAME if len(where) == 2 else ALLOCATE_BY_ID, counts + where).fetchall()
    if not found:
        return None
    mailbox_id, uidnext, modseq, keywords, uidvalidity = found[0]
    if uidnext > rules.MAX_UID:
        raise StoreUnavailable(f"mailbox {mailbox_id} has used up all UIDs")
    return mailbox_id, uidnext - counts[0], modseq, keywords, uidvalidity


def thread_of(tx: WriteTransaction, ids: Ids, message: NewMessage) -> int:
    """The thread within the account; its message-ids become known."""
    keys = list(dict.fromkeys(map(message_key, rules.thread_keys(message.message_id, message.references))))
    if not keys:
        return ids.new()
    thread_id = ids.new()
    if len(keys) == 1:
        sql = (
            "INSERT INTO thread_ref (account_id, key, thread_id) VALUES (?, ?, ?) ON CONFLICT "
            "(account_id, key) DO UPDATE SET "
            "thread_id = thread_id RETURNING thread_id"
        )
        ((thread_id,),) = tx.execute(sql, (message.account_id, keys[0], thread_id))
        return int(thread_id)
    known: dict[int, int] = {}
    for key in keys:
        for (found,) in tx.execute(
            "SELECT thread_id FROM thread_ref WHERE account_id = ? AND key = ?", (message.account_id, key)
        ):
            known[key] = found
    thread_id = next(iter(known.values()), thread_id)
    new = [(message.account_id, key, thread_id) for key in keys if key not in known]
    tx.executemany("INSERT INTO thread_ref (account_id, key, thread_id) VALUES (?, ?, ?)", new)
    return thread_id


def message_key(text: str) -> int:
    """The key of a message-id in thread_ref."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def place(tx: WriteTransaction, ids: Ids, name: str, messages: list[NewMessage]) -> tuple[int, list[int]]:
    """(UIDVALIDITY, UIDs) of messages of one account in its mailbox `name`; all get the same modseq. Raises
    NoSuchMailbox.

    The octets are already charged, the contents already there.
    """
    unseen = deleted = size = 0
    for message in messages:
        unseen += not message.flags & SEEN
        deleted += bool(message.flags & DELETED)
        size += message.size_octets
    account_id = messages[0].account_id
    allocated = allocate(tx, (account_id, name), (len(messages), unseen, deleted, size))
    if allocated is None:
        raise NoSuchMailbox(name)
    mailbox_id, first_uid, modseq, known, uidvalidity = allocated
    for uid, message in enumerate(messages, first_uid):
        keywords = ""
        if message.keywords:
            keywords, known = merge(tx, mailbox_id, known, message.keywords)
        row = (
            mailbox_id,
            uid,
            modseq,
            message.flags,
            keywords,
            message.internal_date_us,
            message.internal_offset_minutes,
            message.save_date_us,
            message.size_octets,
            len(message.prefix),
            message.content_id,
            add_email(tx, ids, message.content_id, message.prefix),
            thread_of(tx, ids, message),
        )
        tx.execute(INSERT_MESSAGE, row)
    tx.changed(AccountChanged(account_id))
    return uidvalidity, list(range(first_uid, first_uid + len(messages)))


def merge(tx: WriteTransaction, mailbox_id: int, known: str, wanted: tuple[str, ...]) -> tuple[str, str]:
    """(`wanted` as a row's text, the mailbox's keywords as its row's text, which is written when it grew)."""
    named, after = rules.merged_keywords(tuple(known.split()), wanted)
    joined = " ".join(after)
    if joined != known:
        tx.execute("UPDATE mailbox SET keywords = ? WHERE id = ?", (joined, mailbox_id))
    return " ".join(named), joined


def drop_content_if_unused(tx: WriteTransaction, content_id: int, refs: int) -> None:
    """Take `refs` references away; with the last one the content goes, and its file after the commit."""
    found = tx.execute(
        "UPDATE content SET refs = refs - ? WHERE id = ? RETURNING refs, file", (refs, content_id)
    ).fetchall()
    for left, file in found:
        if left <= 0:
            tx.execute("DELETE FROM content WHERE id = ?", (content_id,))
            if file is not None:
                tx.garbage.append(file)
