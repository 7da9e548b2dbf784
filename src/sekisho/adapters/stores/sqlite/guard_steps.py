"""The guard inside a transaction: debiting a message, hearing what became of it, opening a case."""

import json
from collections.abc import Sequence

import msgspec

from sekisho.adapters.stores import guarding
from sekisho.adapters.stores.sqlite.destinations import refresh
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.placing import message_key
from sekisho.adapters.stores.sqlite.writer import WriteTransaction
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Reach
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import State
from sekisho.core.policy.takeover.verdict import Verdict, consider, review
from sekisho.ports.changes import QueueChanged
from sekisho.ports.clock import Clock
from sekisho.ports.guard import BY_OPERATOR
from sekisho.ports.outgoing import Decision, Outgoing
from sekisho.ports.spool import Outcome, QueueJob

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)
# Plain questions each: one that joins them takes five times as long as all of them.
STATE = "SELECT state, bulk FROM guard_account WHERE account_id = ?"
OPEN_CASE = (
    "SELECT id, action FROM guard_case WHERE account_id = ? AND credential_id = ? AND closed_at_us = 0"
)
SENDING_HELD = "SELECT 1 FROM account WHERE id = ? AND state = 'sending_held'"
WRITE = (
    "INSERT INTO guard_account (account_id, bulk, recovery_address, state) VALUES (?1, 0, "
    "'', ?2) ON CONFLICT (account_id) DO UPDATE SET state = ?2"
)


def read_state(octets: bytes) -> State:
    return _decoder.decode(octets) if octets else State()


def account_of(tx: WriteTransaction, account_id: int) -> tuple[State, bool]:
    """The profile, and whether it has the bulk right."""
    for octets, bulk in tx.execute(STATE, (account_id,)).fetchall():
        return read_state(octets), bool(bulk)
    return State(), False


def open_case_of(tx: WriteTransaction, account_id: int, credential_id: str) -> tuple[int, str]:
    """(id, action), or (0, "")."""
    for case_id, action in tx.execute(OPEN_CASE, (account_id, credential_id)).fetchall():
        return int(case_id), action
    return 0, ""


def write_state(tx: WriteTransaction, account_id: int, state: State) -> None:
    tx.execute(WRITE, (account_id, _encoder.encode(state)))


class GuardSteps:
    """`rules` may change at any time; mode "off" leaves everything untouched."""

    def __init__(self, clock: Clock, ids: Ids, rules: GuardRules) -> None:
        self._clock, self._ids = clock, ids
        self.rules = rules

    def debit(self, tx: WriteTransaction, outgoing: Outgoing) -> Decision:
        """Count the message on its account and judge it with what is true now; opens a case where it must."""
        sending = outgoing.sending
        account_id, credential_id, now_us = sending.account_id, sending.credential_id, sending.at_us
        state, bulk = account_of(tx, account_id)
        case_id, _ = open_case_of(tx, account_id, credential_id)
        reach = self._meet(tx, outgoing) if outgoing.elsewhere else Reach()
        if guarding.may_answer(outgoing, reach) and self._has_message(tx, account_id, outgoing.answered):
            sending = guarding.answering(sending)
        verdict = consider(state, sending, reach, self.rules, bulk=bulk, is_held=bool(case_id))
        write_state(tx, account_id, state)
        if self.rules.mode == "enforce" and verdict.holds:
            case_id = self.open_case(tx, account_id, credential_id, verdict, now_us)
        tx.execute(
            "INSERT INTO guard_sent (message_id, account_id, credential_id, accepted_at_us, "
            "case_id, score, network, client, strangers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
            "?) ON CONFLICT (message_id) DO NOTHING",
            (
                sending.message_id,
                account_id,
                credential_id,
                now_us,
                case_id,
                verdict.score,
                sending.network,
                sending.client,
                reach.strangers,
            ),
        )
        return Decision(verdict, case_id)

    def _meet(self, tx: WriteTransaction, outgoing: Outgoing) -> Reach:
        """Whom the message goes to; from now on the account knows them."""
        account_id, now_us = outgoing.sending.account_id, outgoing.sending.at_us
        keys = [key for key, _ in outgoing.elsewhere]
        house_us = now_us - guarding.HOUSE_US
        house: set[int] = set()
        if len(keys) == 1:
            found = tx.execute(
                "SELECT key, last_us FROM guard_known WHERE account_id = ? AND key = ?", (account_id, keys[0])
            )
            known = dict(found.fetchall())
            if not known:
                others = "SELECT key FROM guard_known WHERE key = ? AND first_us < ? LIMIT 1"
                house = {key for (key,) in tx.execute(others, (keys[0], house_us)).fetchall()}
        else:
            text = json.dumps(keys)
            sql = (
                "SELECT key, last_us FROM guard_known WHERE account_id = ? AND key IN (SELECT value FROM "
                "json_each(?))"
            )
            known = dict(tx.execute(sql, (account_id, text)).fetchall())
            # One row of each key is enough, however many accounts know it.
            others = (
                "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM guard_known WHERE key = "
                "value AND first_us < ?)"
            )
            house = (
                {key for (key,) in tx.execute(others, (text, house_us)).fetchall()}
                if len(known) < len(keys)
                else set()
            )
        touched = guarding.to_touch(outgoing, known, now_us)
        if touched:
            upsert = (
                "INSERT INTO guard_known (account_id, key, first_us, last_us) VALUES (?1, ?2, "
                "?3, ?3) ON CONFLICT (account_id, key) DO "
                "UPDATE SET last_us = ?3"
            )
            tx.executemany(upsert, [(account_id, key, now_us) for key in touched])
        return guarding.reach_of(outgoing, known, house, now_us)

    def _has_message(self, tx: WriteTransaction, account_id: int, message_id: str) -> bool:
        sql = "SELECT 1 FROM thread_ref WHERE account_id = ? AND key = ?"
        return bool(tx.execute(sql, (account_id, message_key(message_id))).fetchall())

    def open_case(
        self, tx: WriteTransaction, account_id: int, credential_id: str, verdict: Verdict, now_us: int
    ) -> int:
        """The open case, a new one if there was none; what waits of that credential is held. A graver verdict
        makes it graver."""
        case_id, action = open_case_of(tx, account_id, credential_id)
        if case_id:
            if action == "hold" and verdict.action == "freeze":
                self._worsen(tx, case_id, verdict)
            return case_id
        case_id, since_us = self._ids.new(), now_us - guarding.SINCE_US
        tx.execute(
            "INSERT INTO guard_case (id, account_id, credential_id, action, opened_at_us, "
            "since_us, score, reasons, announced_at_us, frozen_at_us, closed_at_us, "
            "ending, done) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, '', '[]')",
            (
                case_id,
                account_id,
                credential_id,
                verdict.action,
                now_us,
                since_us,
                verdict.score,
                to_json(verdict.reasons),
            ),
        )
        waiting = (
            "SELECT message_id FROM guard_sent WHERE account_id = ? AND accepted_at_us >= ? AND "
            "credential_id = ?"
        )
        self._hold(tx, case_id, f"message_id IN ({waiting})", (account_id, since_us, credential_id))
        return case_id

    def _worsen(self, tx: WriteTransaction, case_id: int, verdict: Verdict) -> None:
        sql = "UPDATE guard_case SET action = ?, score = ?, reasons = ? WHERE id = ?"
        tx.execute(sql, (verdict.action, verdict.score, to_json(verdict.reasons), case_id))

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
        """After the outcomes were written: count them; where a case is open or opens now, what would wait
        again is held."""
        if job.account_id is not None and tx.execute(SENDING_HELD, (job.account_id,)).fetchall():
            self.keep_back(tx, job.account_id, job.message_id)
        if self.rules.mode == "off" or job.account_id is None:
            return
        sql = "SELECT account_id, credential_id FROM guard_sent WHERE message_id = ?"
        found = tx.execute(sql, (job.message_id,)).fetchall()
        if not found:
            return
        account_id, credential_id = found[0]
        now_us = self._clock.now_us()
        addresses = {recipient.id: str(recipient.recipient.address) for recipient in job.recipients}
        rows = [
            (account_id, now_us, job.message_id, addresses[outcome.recipient_id], outcome.result)
            for outcome in outcomes
            if outcome.result in ("delivered", "failed")
        ]
        tx.executemany(
            "INSERT INTO guard_left (account_id, at_us, message_id, address, "
            "result) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            rows,
        )
        state, bulk = account_of(tx, account_id)
        case_id, _ = open_case_of(tx, account_id, credential_id)
        is_bad = guarding.count_job(state, outcomes, now_us)
        write_state(tx, account_id, state)
        if is_bad and not case_id and self.rules.mode == "enforce":
            verdict = review(state, account_id, credential_id, now_us, self.rules, bulk=bulk)
            if verdict.holds:
                case_id = self.open_case(tx, account_id, credential_id, verdict, now_us)
        if case_id:
            self._hold(tx, case_id, "message_id = ?", (job.message_id,))
            if any(outcome.result == "held" for outcome in outcomes):
                tx.execute(
                    "UPDATE guard_sent SET case_id = ? WHERE message_id = ?", (case_id, job.message_id)
                )


def to_json(reasons: tuple[Reason, ...]) -> str:
    return msgspec.json.encode(reasons).decode()
