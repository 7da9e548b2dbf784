"""The guard inside a transaction: what is on record is read, the judge is asked, its ruling written."""

import json
from collections.abc import Sequence
from typing import Literal

import msgspec

from sekisho.adapters.stores.sqlite.destinations import refresh
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.placing import message_key
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.core.policy.takeover.judge import (
    CaseClosed,
    Ending,
    HoldOrdered,
    JobSettled,
    OnRecord,
    Ruling,
    TakeoverJudge,
)
from sekisho.core.policy.takeover.sending import Outgoing
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import State
from sekisho.ports.changes import QueueChanged
from sekisho.ports.clock import Clock
from sekisho.ports.guard import BY_OPERATOR
from sekisho.ports.outgoing import Decision
from sekisho.ports.spool import Outcome, QueueJob

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)
# Plain questions each: one that joins them takes five times as long as all of them.
STATE = "SELECT state, bulk FROM guard_account WHERE account_id = ?"
OPEN_CASE = (
    "SELECT id, action FROM guard_case WHERE account_id = ? AND credential_id = ? AND closed_at_us = 0"
)
MOST_STATES = 100  # of accounts that sent lately, some 30 KB each
SENDING_HELD = "SELECT 1 FROM account WHERE id = ? AND state = 'sending_held'"
WRITE = (
    "INSERT INTO guard_account (account_id, bulk, recovery_address, state) VALUES (?1, 0, "
    "'', ?2) ON CONFLICT (account_id) DO UPDATE SET state = ?2"
)


def read_state(octets: bytes) -> State:
    return _decoder.decode(octets) if octets else State()


class States:
    """The profiles, each with the octets that it was last written as: whoever finds the same octets in the
    database need not decode them. What a transaction that failed or another worker wrote are others."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[bytes, State]] = {}

    def read(self, tx: WriteTransaction, account_id: int) -> tuple[State, bool]:
        """The profile, which is the caller's to change, and whether the account has the bulk right."""
        octets, known = self._known.pop(account_id, (b"", None))
        for found, bulk in tx.execute(STATE, (account_id,)).fetchall():
            return known if known is not None and found == octets else read_state(found), bool(bulk)
        return State(), False

    def write(self, tx: WriteTransaction, account_id: int, state: State) -> None:
        """`state` is not the caller's any more."""
        octets = _encoder.encode(state)
        tx.execute(WRITE, (account_id, octets))
        if len(self._known) >= MOST_STATES:
            del self._known[next(iter(self._known))]
        self._known[account_id] = (octets, state)


class GuardSteps:
    """`judge` may be another at any time. An owner is an account and its credential."""

    def __init__(self, clock: Clock, ids: Ids, judge: TakeoverJudge) -> None:
        self._clock, self._ids = clock, ids
        self.judge = judge
        self._states = States()

    def submit(self, tx: WriteTransaction, outgoing: Outgoing) -> tuple[Ruling, Decision] | None:
        """A message is accepted; None: the judge has nothing to say to it, and it is not written down."""
        sending = outgoing.sending
        owner, now_us = (sending.account_id, sending.credential_id), sending.at_us
        known, house = self._whom_they_know(tx, outgoing) if outgoing.elsewhere else ({}, set())
        # Whoever answers a friend need not prove it.
        has_answered = (
            bool(outgoing.answered)
            and len(known) + len(house) < len(outgoing.elsewhere)
            and self._has_message(tx, sending.account_id, outgoing.answered)
        )
        state, bulk, (case_id, action) = *self._states.read(tx, owner[0]), _open_case_of(tx, owner)
        ruling = self.judge(
            outgoing,
            OnRecord(
                state=state, bulk=bulk, case=action, known=known, house=house, has_answered=has_answered
            ),
        )
        if ruling is None:
            return None
        case_id = self._carry_out(tx, owner, case_id, ruling, now_us)
        if ruling.met:
            upsert = (
                "INSERT INTO guard_known (account_id, key, first_us, last_us) VALUES (?1, ?2, ?3, ?3) "
                "ON CONFLICT (account_id, key) DO UPDATE SET last_us = ?3"
            )
            tx.executemany(upsert, [(owner[0], key, now_us) for key in ruling.met])
        held_by = case_id if ruling.holds else 0
        tx.execute(
            "INSERT INTO guard_sent (message_id, account_id, credential_id, accepted_at_us, case_id, score, "
            "network, client, strangers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (message_id) DO NOTHING",
            (
                sending.message_id,
                *owner,
                now_us,
                held_by,
                ruling.verdict.score,
                sending.network,
                sending.client,
                ruling.strangers,
            ),
        )
        return ruling, Decision(ruling.verdict, held_by)

    def _whom_they_know(self, tx: WriteTransaction, outgoing: Outgoing) -> tuple[dict[int, int], set[int]]:
        """Of the recipients elsewhere: whom the account wrote to, and when last; whom of the others the
        house did."""
        account_id, before_us = outgoing.sending.account_id, outgoing.house_before_us
        keys = [key for key, _ in outgoing.elsewhere]
        if len(keys) == 1:
            sql = "SELECT key, last_us FROM guard_known WHERE account_id = ? AND key = ?"
            known: dict[int, int] = dict(tx.execute(sql, (account_id, keys[0])).fetchall())
            if known:
                return known, set()
            others = "SELECT key FROM guard_known WHERE key = ? AND first_us < ? LIMIT 1"
            return known, {key for (key,) in tx.execute(others, (keys[0], before_us)).fetchall()}
        sql = (
            "SELECT key, last_us FROM guard_known WHERE account_id = ? "
            "AND key IN (SELECT value FROM json_each(?))"
        )
        known = dict(tx.execute(sql, (account_id, json.dumps(keys))).fetchall())
        unknown = [key for key in keys if key not in known]
        if not unknown:
            return known, set()
        # One row of each key is enough, however many accounts know it.
        others = (
            "SELECT value FROM json_each(?) "
            "WHERE EXISTS (SELECT 1 FROM guard_known WHERE key = value AND first_us < ?)"
        )
        return known, {key for (key,) in tx.execute(others, (json.dumps(unknown), before_us)).fetchall()}

    def _has_message(self, tx: WriteTransaction, account_id: int, message_id: str) -> bool:
        sql = "SELECT 1 FROM thread_ref WHERE account_id = ? AND key = ?"
        return bool(tx.execute(sql, (account_id, message_key(message_id))).fetchall())

    def order(self, tx: WriteTransaction, order: HoldOrdered) -> int:
        """The open case, 0 if there is none."""
        owner = (order.account_id, order.credential_id)
        record, case_id = self._on_record(tx, owner)
        ruling = self.judge(order, record)
        return self._carry_out(tx, owner, case_id, ruling, order.at_us) if ruling is not None else case_id

    def close(self, tx: WriteTransaction, case_id: int, ending: Ending, now_us: int) -> None:
        """Once; what follows for the account, the judge says."""
        sql = (
            "UPDATE guard_case SET closed_at_us = ?, ending = ? WHERE id = ? AND closed_at_us = 0 "
            "RETURNING account_id, credential_id, since_us"
        )
        for account_id, credential_id, since_us in tx.execute(sql, (now_us, ending, case_id)).fetchall():
            owner = (account_id, credential_id)
            closed = CaseClosed(
                account_id=account_id,
                credential_id=credential_id,
                at_us=now_us,
                since_us=since_us,
                ending=ending,
            )
            ruling = self.judge(closed, self._on_record(tx, owner)[0])
            if ruling is not None:
                self._carry_out(tx, owner, 0, ruling, now_us)

    def _on_record(self, tx: WriteTransaction, owner: tuple[int, str]) -> tuple[OnRecord, int]:
        """What every occasion is judged by, and the open case's id, 0 if none is."""
        state, bulk = self._states.read(tx, owner[0])
        case_id, action = _open_case_of(tx, owner)
        return OnRecord(state=state, bulk=bulk, case=action), case_id

    def _carry_out(
        self, tx: WriteTransaction, owner: tuple[int, str], case_id: int, ruling: Ruling, now_us: int
    ) -> int:
        """What every ruling may ask for; `case_id`: the open case, 0 if none is. Returns the one that is
        open then."""
        if ruling.state is not None:
            self._states.write(tx, owner[0], ruling.state)
        if ruling.forget_since_us is not None:
            forget = "DELETE FROM guard_known WHERE account_id = ? AND first_us >= ?"
            tx.execute(forget, (owner[0], ruling.forget_since_us))
        if not ruling.case:
            return case_id
        verdict = ruling.verdict
        if case_id:
            sql = "UPDATE guard_case SET action = ?, score = ?, reasons = ? WHERE id = ?"
            tx.execute(sql, (ruling.case, verdict.score, to_json(verdict.reasons), case_id))
            return case_id
        case_id = self._ids.new()
        tx.execute(
            "INSERT INTO guard_case (id, account_id, credential_id, action, opened_at_us, since_us, score, "
            "reasons, announced_at_us, frozen_at_us, closed_at_us, ending, done) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '', '[]')",
            (case_id, *owner, ruling.case, now_us, ruling.since_us, verdict.score, to_json(verdict.reasons)),
        )
        sent = (
            "SELECT message_id FROM guard_sent "
            "WHERE account_id = ? AND credential_id = ? AND accepted_at_us >= ?"
        )
        self._hold(tx, case_id, f"message_id IN ({sent})", (*owner, ruling.since_us))
        return case_id

    def _hold(self, tx: WriteTransaction, case_id: int, where: str, values: tuple[object, ...]) -> None:
        sql = (
            f"UPDATE queue_recipient SET state = 'held' WHERE state = 'waiting' AND {where} RETURNING "
            f"message_id, next_hop"
        )
        held = tx.execute(sql, values).fetchall()
        messages = {message_id for message_id, _ in held}
        tx.executemany(
            "UPDATE guard_sent SET case_id = ? WHERE message_id = ?",
            [(case_id, message_id) for message_id in messages],
        )
        for next_hop in {next_hop for _, next_hop in held}:
            refresh(tx, next_hop)
        if held:
            tx.changed(QueueChanged())

    def keep_back(self, tx: WriteTransaction, account_id: int, message_id: str | None = None) -> int:
        """Hold what waits of the account, or of one of its messages, as an operator wants: how many
        messages."""
        sql = (
            "UPDATE queue_recipient SET state = 'held' WHERE state = 'waiting' AND message_id IN (SELECT "
            "message_id FROM queue_message "
            "WHERE account_id = ?1 AND (?2 IS NULL OR message_id = ?2)) RETURNING message_id, next_hop"
        )
        held = tx.execute(sql, (account_id, message_id)).fetchall()
        messages = sorted({found for found, _ in held})
        self.note_kept_back(tx, account_id, messages)
        for next_hop in {next_hop for _, next_hop in held}:
            refresh(tx, next_hop)
        if held:
            tx.changed(QueueChanged())
        return len(messages)

    def note_kept_back(self, tx: WriteTransaction, account_id: int, messages: Sequence[str]) -> None:
        sql = (
            "INSERT INTO guard_sent (message_id, account_id, credential_id, accepted_at_us, "
            "case_id, score, network, client, strangers) VALUES (?1, ?2, '', ?3, ?4, 0, "
            "'', '', 0) "
            "ON CONFLICT (message_id) DO UPDATE SET case_id = ?4 WHERE case_id = 0"
        )
        now_us = self._clock.now_us()
        tx.executemany(sql, [(message_id, account_id, now_us, BY_OPERATOR) for message_id in messages])

    def settle(self, tx: WriteTransaction, job: QueueJob, outcomes: tuple[Outcome, ...]) -> None:
        """After the outcomes were written: the judge hears of them, and may have held what would wait
        again."""
        if job.account_id is not None and tx.execute(SENDING_HELD, (job.account_id,)).fetchall():
            self.keep_back(tx, job.account_id, job.message_id)
        sql = "SELECT account_id, credential_id FROM guard_sent WHERE message_id = ?"
        found = tx.execute(sql, (job.message_id,)).fetchall() if job.account_id is not None else []
        if not found:
            return
        owner, now_us = found[0], self._clock.now_us()
        record, case_id = self._on_record(tx, owner)
        told = tuple((outcome.result, outcome.reply) for outcome in outcomes)
        ruling = self.judge(
            JobSettled(account_id=owner[0], credential_id=owner[1], at_us=now_us, outcomes=told), record
        )
        if ruling is not None:
            self._note_left(tx, job, outcomes, (owner[0], now_us))
            case_id = self._carry_out(tx, owner, case_id, ruling, now_us)
            if ruling.holds and case_id:
                self._hold(tx, case_id, "message_id = ?", (job.message_id,))
        if case_id and any(outcome.result == "held" for outcome in outcomes):
            tx.execute("UPDATE guard_sent SET case_id = ? WHERE message_id = ?", (case_id, job.message_id))

    def _note_left(
        self, tx: WriteTransaction, job: QueueJob, outcomes: tuple[Outcome, ...], when: tuple[int, int]
    ) -> None:
        """`when`: whose mail it was, and now."""
        addresses = {recipient.id: str(recipient.recipient.address) for recipient in job.recipients}
        tx.executemany(
            "INSERT INTO guard_left (account_id, at_us, message_id, address, result) "
            "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [
                (*when, job.message_id, addresses[outcome.recipient_id], outcome.result)
                for outcome in outcomes
                if outcome.result in ("delivered", "failed")
            ],
        )


def _open_case_of(tx: WriteTransaction, owner: tuple[int, str]) -> tuple[int, Literal["", "hold", "freeze"]]:
    """(id, action), or (0, "")."""
    for case_id, action in tx.execute(OPEN_CASE, owner).fetchall():
        return int(case_id), action
    return 0, ""


def to_json(reasons: tuple[Reason, ...]) -> str:
    return msgspec.json.encode(reasons).decode()
