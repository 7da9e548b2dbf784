"""Checking a store: is the database sound, is every content there, and do all counts agree with what they
count?"""

import os
from collections.abc import Callable
from pathlib import Path

import apsw

from sekisho.adapters.stores.sqlite import uidruns
from sekisho.adapters.stores.sqlite.backup import Progress, no_progress, place_of
from sekisho.adapters.stores.sqlite.connection import Database, check_version, connect, store_errors
from sekisho.adapters.stores.sqlite.content import PLAIN
from sekisho.adapters.stores.sqlite.ledger import LEDGER
from sekisho.adapters.stores.sqlite.migrate import check_stamp, steps
from sekisho.adapters.stores.sqlite.store import CONTENT, MAIL
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import StoreUnavailable

MOST = 100  # problems of one kind that are listed
PORTION = 500  # files between two looks into the database

# Each query gives one row of sentence parts per problem.
_CHECKS: tuple[tuple[str, str], ...] = (
    (
        "mailbox {} counts {} messages, {} unseen, {} deleted, {} octets, but has {}, {}, {}, {}",
        (
            "SELECT name, messages, unseen, deleted, size_octets, n, u, d, s FROM mailbox LEFT JOIN "
            "(SELECT mailbox_id AS mid, count(*) AS n, "
            "sum((flags & 8) = 0) AS u, sum((flags & 4) = 4) AS d, sum(size_octets) AS s FROM message "
            "GROUP BY mailbox_id) ON mid = id "
            "WHERE messages <> ifnull(n, 0) OR unseen <> ifnull(u, 0) OR deleted <> ifnull(d, 0) OR "
            "mailbox.size_octets <> ifnull(s, 0)"
        ),
    ),
    (
        "account {} counts {} octets, but its mailboxes have {}",
        (
            "SELECT account_id, used_octets, ifnull(s, 0) FROM account_usage LEFT JOIN "
            "(SELECT account_id AS aid, sum(size_octets) AS s FROM mailbox GROUP BY account_id) ON aid = "
            "account_id "
            "WHERE used_octets <> ifnull(s, 0)"
        ),
    ),
    (
        "mailbox {} has UID {} or a modseq {} that it has not given out yet",
        (
            "SELECT name, max(uid), max(modseq) FROM message JOIN mailbox ON mailbox.id = "
            "message.mailbox_id GROUP BY mailbox.id "
            "HAVING max(uid) >= uidnext OR max(modseq) > highestmodseq"
        ),
    ),
    (
        "message {}/{} names an email or a content that is not there",
        (
            "SELECT mailbox_id, uid FROM message LEFT JOIN email ON email.id = email_id "
            "LEFT JOIN content ON content.id = message.content_id "
            "WHERE email.id IS NULL OR content.id IS NULL OR email.content_id <> message.content_id"
        ),
    ),
    (
        "message {}/{} says {} octets, but prefix and content have {}",
        (
            "SELECT mailbox_id, uid, message.size_octets, length(prefix) + content.size_octets FROM message "
            "JOIN email ON email.id = email_id "
            "JOIN content ON content.id = message.content_id WHERE message.size_octets <> length(prefix) + "
            "content.size_octets"
        ),
    ),
    (
        "message {}/{} lies in a mailbox that is not there",
        "SELECT mailbox_id, uid FROM message WHERE mailbox_id NOT IN (SELECT id FROM mailbox)",
    ),
    (
        "mailbox {} belongs to account {}, which is not there",
        "SELECT name, account_id FROM mailbox WHERE account_id NOT IN (SELECT id FROM account)",
    ),
    (
        "email {} counts {} messages, but {} name it",
        (
            "SELECT id, refs, ifnull(n, 0) FROM email LEFT JOIN "
            "(SELECT email_id, count(*) AS n FROM message GROUP BY email_id) ON email_id = id "
            "WHERE refs <> ifnull(n, 0)"
        ),
    ),
    (
        "content {} counts {} users, but {} name it",
        (
            "SELECT content.id, refs, ifnull(n, 0) FROM content LEFT JOIN (SELECT content_id AS cid, "
            "count(*) AS n FROM "
            "(SELECT content_id FROM email UNION ALL SELECT content_id FROM queue_message) GROUP BY "
            "content_id) ON cid = content.id "
            "WHERE refs <> ifnull(n, 0)"
        ),
    ),
    (
        "content {} says {} octets, but its row has {}",
        (
            "SELECT id, size_octets, length(octets) FROM content WHERE file IS NULL AND size_octets <> "
            "ifnull(length(octets), -1)"
        ),
    ),
    (
        "queued message {} names a content that is not there",
        "SELECT message_id FROM queue_message WHERE content_id NOT IN (SELECT id FROM content)",
    ),
    (
        "a recipient of {} is queued without its message",
        (
            "SELECT DISTINCT message_id FROM queue_recipient WHERE message_id NOT IN (SELECT message_id FROM "
            "queue_message)"
        ),
    ),
    (
        "mail waits for {}, but its destination is not ready at that time",
        (
            "SELECT r.next_hop FROM queue_recipient r LEFT JOIN destination d USING (next_hop) WHERE "
            "r.state = 'waiting' "
            "GROUP BY r.next_hop HAVING ifnull(d.ready_at_us, -1) <> max(min(r.due_at_us), "
            "ifnull(d.not_before_us, 0))"
        ),
    ),
)


def verify(data_dir: Path, progress: Progress = no_progress) -> list[str]:
    """Sentences about what is wrong; an empty list is a sound store. Safe beside running workers: it reads in
    short transactions, for as long as one stands the log of the database only grows, and looks again before
    it calls a file missing that may just have gone.

    Raises SchemaTooNew, StoreUnavailable.
    """
    check_version()
    db = connect(data_dir / MAIL, read_only=True)
    try:
        with store_errors(data_dir / MAIL):
            try:
                check_stamp(db, data_dir / MAIL, max(steps("mail")))
                problems = [
                    f"the database is damaged: {text}"
                    for (text,) in db.execute("PRAGMA integrity_check")
                    if text != "ok"
                ]
            except (apsw.CorruptError, apsw.NotADBError) as error:
                problems = [f"the database is damaged: {error}"]
            try:
                for sentence, sql in _CHECKS:
                    rows = db.execute(f"{sql} LIMIT {MOST}").fetchall()
                    problems += [sentence.format(*row) for row in rows]
                problems += _wrong_runs(db)
                problems += _unreadable(db, data_dir / CONTENT, progress)
            except (apsw.CorruptError, apsw.NotADBError) as error:
                problems.append(f"the database is damaged: {error}, so that not all could be checked")
    finally:
        db.close()
    return problems + _damage_of_ledger(data_dir / LEDGER)


def _damage_of_ledger(database: Path) -> list[str]:
    if not database.exists():
        return []
    try:
        db = connect(database, read_only=True)
        try:
            with store_errors():
                found = [str(text) for (text,) in db.execute(f"PRAGMA integrity_check({MOST})")]
        finally:
            db.close()
    except StoreUnavailable as error:
        found = [str(error)]
    return [f"the ledger is damaged: {text}" for text in found if text != "ok"]


def _wrong_runs(db: Database) -> list[str]:
    problems = []
    for (mailbox_id,) in db.execute("SELECT id FROM mailbox").fetchall():
        db.execute("BEGIN")
        try:
            problems += _wrong_runs_of(db, mailbox_id)
        finally:
            db.execute("COMMIT")
    return problems


def _wrong_runs_of(db: Database, mailbox_id: int) -> list[str]:
    problems = []
    for name, tail_uid, uidnext in db.execute(
        "SELECT name, tail_uid, uidnext FROM mailbox WHERE id = ?", (mailbox_id,)
    ).fetchall():
        rows = db.execute("SELECT uid FROM message WHERE mailbox_id = ? ORDER BY uid", (mailbox_id,))
        there = UidSet.of(uid for (uid,) in rows)
        kept = uidruns.read(db, mailbox_id, tail_uid, uidnext)
        if kept != there:
            problems.append(
                f"mailbox {name} lists the UIDs {kept - there} that are not there, and lacks {there - kept}"
            )
    return problems


def _unreadable(db: Database, content: Path, progress: Callable[[int, int], None]) -> list[str]:
    """No transaction stands while files are read."""
    problems = []
    ((total,),) = db.execute("SELECT count(*) FROM content WHERE file IS NOT NULL").fetchall()
    after, number = "", 0
    sql = "SELECT id, codec, size_octets, file FROM content WHERE file > ? ORDER BY file LIMIT ?"
    while rows := db.execute(sql, (after, PORTION)).fetchall():
        for row in rows:
            problem = _wrong_file(content, row)
            if problem and _is_still_there(db, row):
                problems.append(problem)
            number += 1
            progress(number, max(number, total))
        after = rows[-1][3]
    return problems


def _wrong_file(content: Path, row: tuple[int, int, int, str]) -> str:
    id_, codec, size, file = row
    path = place_of(content, file)
    try:
        found = _read_all(path)
    except OSError as error:
        return f"content {id_}: {path} cannot be read: {error.strerror}"
    return (
        f"content {id_} says {size} octets, but {path} has {found}"
        if codec == PLAIN and found != size
        else ""
    )


def _is_still_there(db: Database, row: tuple[int, int, int, str]) -> bool:
    """Asked of the database as it is now: the row of an expunged message goes before its file does."""
    sql = "SELECT 1 FROM content WHERE id = ? AND codec = ? AND size_octets = ? AND file = ?"
    return bool(db.execute(sql, row).fetchall())


def _read_all(path: Path) -> int:
    """Read the whole file, so that a bad sector shows; returns its octets."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = 0
        while part := os.read(descriptor, 262_144):
            size += len(part)
        return size
    finally:
        os.close(descriptor)
