"""The queue inside a transaction: claiming, settling, freeing, and what an operator does."""

from collections.abc import Iterable, Sequence

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite import placing, queue_rows
from sekisho.adapters.stores.sqlite.acceptance import AcceptSteps
from sekisho.adapters.stores.sqlite.destinations import refresh
from sekisho.adapters.stores.sqlite.guard_steps import GuardSteps
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.ports.changes import QueueChanged
from sekisho.ports.clock import Clock
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Acceptance, Outcome, QueueJob, StaleLease

DONE = "('delivered', 'failed')"


class Queueing:
    def __init__(self, clock: Clock, ids: Ids, acceptor: AcceptSteps, guard: GuardSteps) -> None:
        self.clock, self._ids, self._acceptor, self._guard = clock, ids, acceptor, guard

    def claim(
        self, tx: WriteTransaction, owner: Owner, limit: int, per_next_hop: int, busy: frozenset[str]
    ) -> list[QueueJob]:
        """Ready destinations first, oldest first, each with a fair share of `limit`; due messages are never
        scanned."""
        now_us = self.clock.now_us()
        sql = (
            "SELECT next_hop FROM destination WHERE ready_at_us <= ? AND next_hop NOT IN (SELECT value "
            "FROM json_each(?)) "
            "ORDER BY ready_at_us LIMIT ?"
        )
        ready = [
            hop for (hop,) in tx.execute(sql, (now_us, queue_rows.names_to_json(busy), limit)).fetchall()
        ]
        jobs: list[QueueJob] = []
        room = dict.fromkeys(ready, per_next_hop)
        while room and len(jobs) < limit:
            hops = list(room)
            for number, next_hop in enumerate(hops):
                share = max(1, (limit - len(jobs)) // (len(hops) - number))
                wanted = min(share, room[next_hop], limit - len(jobs))
                taken = self._take_some(tx, next_hop, owner, now_us, wanted)
                jobs += taken
                room[next_hop] -= len(taken)
                if len(taken) < wanted or not room[next_hop]:
                    del room[next_hop]
        for next_hop in ready:
            refresh(tx, next_hop)
        return jobs

    def _take_some(
        self, tx: WriteTransaction, next_hop: str, owner: Owner, now_us: int, limit: int
    ) -> list[QueueJob]:
        sql = (
            "SELECT message_id FROM queue_recipient WHERE next_hop = ? AND state = 'waiting' AND due_at_us "
            "<= ? "
            "GROUP BY message_id ORDER BY min(due_at_us), message_id LIMIT ?"
        )
        due = tx.execute(sql, (next_hop, now_us, limit)).fetchall()
        return [self._take(tx, message_id, next_hop, owner, now_us) for (message_id,) in due]

    def _take(
        self, tx: WriteTransaction, message_id: str, next_hop: str, owner: Owner, now_us: int
    ) -> QueueJob:
        epoch = self._ids.new()
        # Attempts are counted before they begin: a message that kills its worker must not look fresh.
        rows = tx.execute(
            "UPDATE queue_recipient SET state = 'claimed', owner = ?1, epoch = ?2, attempts = attempts + "
            "1, last_attempt_at_us = ?3 "
            "WHERE message_id = ?4 AND next_hop = ?5 AND state = 'waiting' AND due_at_us <= ?3 "
            f"RETURNING position, {queue_rows.RECIPIENT_COLUMNS}",
            (queue_rows.owner_key(owner), epoch, now_us, message_id, next_hop),
        ).fetchall()
        sql = (
            "SELECT envelope, size_octets, arrived_at_us, origin, account_id FROM queue_message WHERE "
            "message_id = ?"
        )
        ((envelope, size, arrived, origin, account_id),) = tx.execute(sql, (message_id,))
        recipients = tuple(
            queue_rows.queue_recipient(row[1:]) for row in sorted(rows, key=lambda row: row[0])
        )
        return QueueJob(
            message_id=message_id,
            next_hop=next_hop,
            envelope=queue_rows.envelope(envelope),
            recipients=recipients,
            size_octets=size,
            arrived_at_us=arrived,
            owner=owner,
            epoch=epoch,
            origin=origin,
            account_id=account_id,
        )

    def settle(
        self,
        tx: WriteTransaction,
        job: QueueJob,
        outcomes: tuple[Outcome, ...],
        notices: tuple[Acceptance, ...],
        not_before_us: int | None,
    ) -> tuple[Acceptance, ...]:
        sql = "SELECT id FROM queue_recipient WHERE message_id = ? AND state = 'claimed' AND epoch = ?"
        owned = {id_ for (id_,) in tx.execute(sql, (job.message_id, job.epoch))}
        if owned != {recipient.id for recipient in job.recipients}:
            raise StaleLease(job.message_id)
        if {outcome.recipient_id for outcome in outcomes} != owned:
            raise ValueError("settle needs one outcome for each recipient of the job")
        for outcome in outcomes:
            _apply(tx, outcome)
        self._guard.settle(tx, job, outcomes)
        waits = any(outcome.result in ("deferred", "held") for outcome in outcomes)
        is_stale = waits
        if not_before_us is not None:
            _back_off(tx, job.next_hop, outcomes, not_before_us)
            is_stale = True
        elif any(outcome.result == "delivered" for outcome in outcomes):
            sql = (
                "UPDATE destination SET not_before_us = 0, failures = 0, last_error = '' WHERE next_hop "
                "= ? AND failures > 0"
            )
            tx.execute(sql, (job.next_hop,))
            is_stale = is_stale or bool(tx.touched())
        if is_stale:
            refresh(tx, job.next_hop)
        if not waits:
            self._finish(tx, job.message_id)
        full = tuple(notice for notice in notices if self._acceptor.accept(tx, notice).over_quota_account_ids)
        tx.changed(QueueChanged())
        return full

    def _finish(self, tx: WriteTransaction, message_id: str) -> None:
        """With its last recipient the message goes."""
        left = tx.execute(
            f"SELECT 1 FROM queue_recipient WHERE message_id = ? AND state NOT IN {DONE} LIMIT 1",
            (message_id,),
        )
        if not left.fetchall():
            remove_message(tx, message_id)

    def free(self, tx: WriteTransaction, owners: tuple[str, str] | tuple[str]) -> None:
        """Give back what these owners claimed: one key, or a range (from, before). The third time it is
        parked."""
        self._free(tx, "owner = ?4" if len(owners) == 1 else "owner >= ?4 AND owner < ?5", owners)

    def give_back(self, tx: WriteTransaction, owner: Owner, epochs: frozenset[int]) -> int:
        where = "owner = ?4 AND epoch IN (SELECT value FROM json_each(?5))"
        return self._free(tx, where, (queue_rows.owner_key(owner), queue_rows.names_to_json(epochs)))

    def _free(self, tx: WriteTransaction, where: str, values: tuple[str, ...]) -> int:
        freed = tx.execute(
            "UPDATE queue_recipient SET crashes = crashes + 1, owner = '', due_at_us = ?1, "
            f"state = CASE WHEN crashes + 1 >= ?2 THEN 'parked' ELSE 'waiting' END WHERE state = ?3 AND "
            f"{where} RETURNING next_hop",
            (self.clock.now_us(), rules.CRASHES_UNTIL_PARKED, "claimed", *values),
        )
        return self._refresh_all(tx, [hop for (hop,) in freed.fetchall()])

    def retry(self, tx: WriteTransaction, message_id: str | None) -> int:
        changed = tx.execute(
            "UPDATE queue_recipient SET state = 'waiting', due_at_us = ?1, crashes = 0 WHERE state IN "
            "('waiting', 'parked') "
            "AND (?2 IS NULL OR message_id = ?2) RETURNING next_hop",
            (self.clock.now_us(), message_id),
        )
        hops = [hop for (hop,) in changed.fetchall()]
        for hop in set(hops):
            tx.execute(
                "UPDATE destination SET not_before_us = 0, failures = 0, last_error = '' WHERE next_hop = ?",
                (hop,),
            )
        return self._refresh_all(tx, hops)

    def hold(self, tx: WriteTransaction, message_id: str, held: bool) -> int:
        states, state = ("('waiting', 'parked')", "held") if held else ("('held')", "waiting")
        changed = tx.execute(
            f"UPDATE queue_recipient SET state = ? WHERE message_id = ? AND state IN {states} RETURNING "
            f"next_hop",
            (state, message_id),
        )
        return self._refresh_all(tx, [hop for (hop,) in changed.fetchall()])

    def drop(self, tx: WriteTransaction, message_id: str) -> int:
        found = tx.execute(
            f"SELECT next_hop FROM queue_recipient WHERE message_id = ? AND state NOT IN {DONE}",
            (message_id,),
        )
        hops = [hop for (hop,) in found.fetchall()]
        remove_message(tx, message_id)
        return self._refresh_all(tx, hops)

    def _refresh_all(self, tx: WriteTransaction, hops: Sequence[str]) -> int:
        for hop in set(hops):
            refresh(tx, hop)
        if hops:
            tx.changed(QueueChanged())
        return len(hops)


def remove_message(tx: WriteTransaction, message_id: str) -> None:
    removed = tx.execute(
        "DELETE FROM queue_message WHERE message_id = ? RETURNING content_id", (message_id,)
    ).fetchall()
    for (content_id,) in removed:
        tx.execute("DELETE FROM queue_recipient WHERE message_id = ?", (message_id,))
        placing.drop_content_if_unused(tx, content_id, 1)


def _apply(tx: WriteTransaction, outcome: Outcome) -> None:
    reply = str(outcome.reply) if outcome.reply else None
    if outcome.result == "deferred":
        tx.execute(
            "UPDATE queue_recipient SET state = 'waiting', owner = '', crashes = 0, due_at_us = ?2, "
            "attempts = attempts - ?3, "
            "delay_notified = max(delay_notified, ?4), last_reply = coalesce(?5, last_reply) WHERE id = ?1",
            (
                outcome.recipient_id,
                outcome.retry_at_us,
                int(outcome.interrupted),
                int(outcome.delay_notified),
                reply,
            ),
        )
    elif outcome.result == "held":
        sql = (
            "UPDATE queue_recipient SET state = 'held', owner = '', crashes = 0, attempts = attempts - 1 "
            "WHERE id = ?"
        )
        tx.execute(sql, (outcome.recipient_id,))
    else:
        tx.execute(
            "UPDATE queue_recipient SET state = ?2, owner = '', crashes = 0, last_reply = coalesce(?3, "
            "last_reply) WHERE id = ?1",
            (outcome.recipient_id, outcome.result, reply),
        )


def _back_off(tx: WriteTransaction, next_hop: str, outcomes: Iterable[Outcome], not_before_us: int) -> None:
    error = next((str(o.reply) for o in outcomes if o.reply and o.result != "delivered"), "")
    tx.execute(
        "INSERT INTO destination (next_hop, ready_at_us, not_before_us, failures, last_error) "
        "VALUES (?1, NULL, ?2, 1, ?3) ON CONFLICT (next_hop) DO UPDATE "
        "SET not_before_us = ?2, failures = failures + 1, last_error = ?3",
        (next_hop, not_before_us, error),
    )
