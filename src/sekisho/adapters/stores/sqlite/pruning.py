"""Forgetting what only ever grows: graves of expunged messages, and the message-ids of threads that nobody
has any more.

A mailbox keeps its newest graves. Up to which modseq the others were forgotten stands in a row that no grave
can have: modseq 0, first UID 0, and as last UID that modseq. Whoever asks for an earlier time is told of
every UID that is not there (RFC 7162 §5).
"""

from functools import partial

from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.ids import first_id
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction

GRAVES = 1_000  # runs of UIDs that a mailbox keeps; twice as many before some go
THREAD_DAYS = 30  # a thread without messages is remembered so long after it began
THREAD_ROWS = 50_000  # of one account in one round
PORTION = 1_000
DAY_US = 86_400_000_000

_FLOOR = "SELECT last_uid FROM tombstone WHERE mailbox_id = ? AND modseq = 0 AND first_uid = 0"
_DEAD = (
    "SELECT key, thread_id FROM thread_ref WHERE account_id = ?1 AND thread_id < ?2 AND thread_id NOT IN "
    "(SELECT thread_id FROM message WHERE mailbox_id IN (SELECT id FROM mailbox WHERE account_id = ?1)) "
    "LIMIT ?3"
)

Dead = list[tuple[int, int]]  # key, thread
Marks = dict[int, int]  # mailbox → its next UID


def floor_of(db: Database, mailbox_id: int) -> int:
    """Up to which modseq graves were forgotten."""
    found = db.execute(_FLOOR, (mailbox_id,)).fetchall()
    return int(found[0][0]) if found else 0


async def prune_graves(reader: Reader, writer: Writer) -> None:
    sql = "SELECT mailbox_id FROM tombstone GROUP BY mailbox_id HAVING count(*) > ?"
    for (mailbox_id,) in await reader.scan(lambda db: db.execute(sql, (2 * GRAVES,)).fetchall()):
        while await writer.write(lambda tx, mailbox_id=mailbox_id: _prune_some_graves(tx, mailbox_id)):  # type: ignore[misc]  # the loop's
            pass


def _prune_some_graves(tx: WriteTransaction, mailbox_id: int) -> bool:
    """Is there more to do?"""
    sql = (
        "SELECT modseq FROM tombstone WHERE mailbox_id = ? AND first_uid > 0 ORDER BY modseq DESC LIMIT "
        "1 OFFSET ?"
    )
    last = tx.execute(sql, (mailbox_id, GRAVES)).fetchall()
    if not last:
        return False
    floor = (
        "INSERT INTO tombstone (mailbox_id, modseq, first_uid, last_uid) VALUES (?1, 0, 0, ?2) "
        "ON CONFLICT (mailbox_id, modseq, first_uid) DO "
        "UPDATE SET last_uid = ?2"
    )
    tx.execute(floor, (mailbox_id, last[0][0]))
    these = (
        "SELECT modseq, first_uid FROM tombstone WHERE mailbox_id = ?1 AND modseq BETWEEN 1 AND ?2 "
        "ORDER BY modseq LIMIT ?3"
    )
    tx.execute(
        f"DELETE FROM tombstone WHERE mailbox_id = ?1 AND (modseq, first_uid) IN ({these})",
        (mailbox_id, last[0][0], PORTION),
    )
    return tx.touched() == PORTION


async def prune_threads(reader: Reader, writer: Writer, now_us: int) -> None:
    before = first_id(now_us - THREAD_DAYS * DAY_US)
    for (account_id,) in await reader.scan(lambda db: db.execute("SELECT id FROM account").fetchall()):
        dead, marks = await reader.scan(
            lambda db, account_id=account_id: _dead_threads(db, account_id, before)  # type: ignore[misc]  # the loop's
        )
        for start in range(0, len(dead), PORTION):
            rows = dead[start : start + PORTION]
            await writer.write(partial(_forget, account_id=account_id, rows=rows, marks=marks))


def _dead_threads(db: Database, account_id: int, before: int) -> tuple[Dead, Marks]:
    marks = dict(db.execute("SELECT id, uidnext FROM mailbox WHERE account_id = ?", (account_id,)).fetchall())
    return db.execute(_DEAD, (account_id, before, THREAD_ROWS)).fetchall(), marks


def _forget(tx: WriteTransaction, account_id: int, rows: Dead, marks: Marks) -> None:
    """A message that came since may have taken one of these threads up again."""
    revived: set[int] = set()
    for (mailbox_id,) in tx.execute("SELECT id FROM mailbox WHERE account_id = ?", (account_id,)).fetchall():
        found = tx.execute(
            "SELECT thread_id FROM message WHERE mailbox_id = ? AND uid >= ?",
            (mailbox_id, marks.get(mailbox_id, 1)),
        )
        revived.update(thread_id for (thread_id,) in found)
    gone = [(account_id, key, thread_id) for key, thread_id in rows if thread_id not in revived]
    tx.executemany("DELETE FROM thread_ref WHERE account_id = ? AND key = ? AND thread_id = ?", gone)
