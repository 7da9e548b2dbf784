"""Looking over the whole queue: counting it, and finding times that only a wrong clock can have written."""

from collections.abc import Sequence
from typing import Any

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite import queue_rows
from sekisho.adapters.stores.sqlite.connection import Database
from sekisho.adapters.stores.sqlite.destinations import refresh
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.ports.changes import QueueChanged
from sekisho.ports.spool import QueuePlace, QueueTally

PLACE_COLUMNS = "id, message_id, recipient, next_hop, last_attempt_at_us"
# By the indexes that hold only such rows, in their own words: what waits may be a million.
RESTING = "state IN ('held', 'parked')"
COUNTS = {
    "waiting": "SELECT count(*) FROM queue_recipient WHERE state = 'waiting'",
    "claimed": "SELECT count(*) FROM queue_recipient WHERE state = 'claimed'",
    "held": f"SELECT count(*) FROM queue_recipient WHERE {RESTING} AND state = 'held'",
    "parked": f"SELECT count(*) FROM queue_recipient WHERE {RESTING} AND state = 'parked'",
}
Late = tuple[
    frozenset[str], frozenset[str], bool
]  # next hops, messages, claims: what has times that are too late


def tally(db: Database, stuck_since_us: int) -> QueueTally:
    counts = {state: int(db.execute(COUNTS[state]).fetchall()[0][0]) for state in rules.QUEUED_STATES}
    parked = db.execute(
        f"SELECT {PLACE_COLUMNS} FROM queue_recipient WHERE {RESTING} AND state = 'parked'"
    ).fetchall()
    sql = f"SELECT {PLACE_COLUMNS} FROM queue_recipient WHERE state = 'claimed' AND last_attempt_at_us <= ?"
    return QueueTally(counts, _places(parked), _places(db.execute(sql, (stuck_since_us,)).fetchall()))


def _places(rows: Sequence[tuple[Any, ...]]) -> tuple[QueuePlace, ...]:
    return tuple(
        QueuePlace(
            recipient_id=id_,
            message_id=message_id,
            address=queue_rows.address(recipient),
            next_hop=next_hop,
            since_us=since_us,
        )
        for id_, message_id, recipient, next_hop, since_us in rows
    )


def too_late(db: Database, now_us: int, longest_us: int) -> Late | None:
    """None: all times are possible. Asks each destination for its latest, which an index knows."""
    latest = (
        "SELECT max(due_at_us) FROM queue_recipient WHERE queue_recipient.next_hop = "
        "destination.next_hop AND state = 'waiting'"
    )
    sql = f"SELECT next_hop FROM destination WHERE not_before_us > ?1 OR ({latest}) > ?1"
    hops = frozenset(hop for (hop,) in db.execute(sql, (now_us + longest_us,)).fetchall())
    horizon_us = now_us + rules.CLOCKS_DIFFER_US
    sql = "SELECT message_id FROM queue_message WHERE arrived_at_us > ?"
    messages = frozenset(message_id for (message_id,) in db.execute(sql, (horizon_us,)).fetchall())
    sql = "SELECT 1 FROM queue_recipient WHERE state = 'claimed' AND last_attempt_at_us > ? LIMIT 1"
    claims = bool(db.execute(sql, (horizon_us,)).fetchall())
    return (hops, messages, claims) if hops or messages or claims else None


def pull_in(tx: WriteTransaction, late: Late, now_us: int, longest_us: int) -> int:
    hops, messages, claims = late
    horizon_us = now_us + rules.CLOCKS_DIFFER_US
    for message_id in messages:
        sql = "SELECT arrived_at_us FROM queue_message WHERE message_id = ? AND arrived_at_us > ?"
        for (arrived_us,) in tx.execute(sql, (message_id, horizon_us)).fetchall():
            sql = "UPDATE queue_recipient SET expires_at_us = expires_at_us - ? WHERE message_id = ?"
            tx.execute(sql, (arrived_us - now_us, message_id))
            tx.execute(
                "UPDATE queue_message SET arrived_at_us = ? WHERE message_id = ?", (now_us, message_id)
            )
    if claims:
        sql = (
            "UPDATE queue_recipient SET last_attempt_at_us = ? WHERE state = 'claimed' AND "
            "last_attempt_at_us > ?"
        )
        tx.execute(sql, (now_us, horizon_us))
    count = 0
    for hop in sorted(hops):
        sql = (
            "UPDATE queue_recipient SET due_at_us = ?1 WHERE next_hop = ?2 AND state = 'waiting' AND "
            "due_at_us > ?3"
        )
        tx.execute(sql, (now_us, hop, now_us + longest_us))
        count += tx.touched()
        tx.execute(
            "UPDATE destination SET not_before_us = 0 WHERE next_hop = ? AND not_before_us > ?",
            (hop, now_us + longest_us),
        )
        refresh(tx, hop)
    if hops:
        tx.changed(QueueChanged())
    return count
