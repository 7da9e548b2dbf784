"""The guard of the memory store. No method awaits between reading and writing: each is one transaction."""

from collections import Counter

import msgspec
from msgspec.structs import replace

from sekisho.adapters.stores.memory.state import GuardAccount
from sekisho.adapters.stores.memory.state import MemoryState as Everything
from sekisho.core.policy.takeover.judge import (
    CaseClosed,
    Ending,
    Hold,
    HoldOrdered,
    JobSettled,
    Oldest,
    OnRecord,
    Ruling,
    TakeoverJudge,
)
from sekisho.core.policy.takeover.sending import Outgoing
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import State
from sekisho.ports.changes import QueueChanged
from sekisho.ports.guard import BY_OPERATOR, Case, Left, Sent, Watched
from sekisho.ports.outgoing import Decision
from sekisho.ports.spool import Outcome, QueueJob


class MemoryGuardSteps:
    """What acceptance and settling do to the guard's memory. `judge` may be another at any time."""

    def __init__(self, everything: Everything, judge: TakeoverJudge) -> None:
        self._all, self.judge = everything, judge

    def account(self, account_id: int) -> GuardAccount:
        return self._all.guarded.setdefault(account_id, GuardAccount())

    def profile(self, account_id: int) -> State:
        octets = self.account(account_id).profile
        return msgspec.msgpack.decode(octets, type=State) if octets else State()

    def _on_record(self, account_id: int, credential_id: str, outgoing: Outgoing | None = None) -> OnRecord:
        case = self.open_case_of(account_id, credential_id)
        mine, others = self.account(account_id), self._all.guarded.values()
        record = OnRecord(state=self.profile(account_id), bulk=mine.bulk, case=case.action if case else "")
        if outgoing is None:
            return record
        keys = [key for key, _ in outgoing.elsewhere]
        before_us = outgoing.house_before_us
        return replace(
            record,
            known={key: mine.known[key][1] for key in keys if key in mine.known},
            house={
                key
                for key in keys
                if key not in mine.known
                and any(key in other.known and other.known[key][0] < before_us for other in others)
            },
            has_answered=bool(outgoing.answered)
            and outgoing.answered in self._all.accounts[account_id].threads,
        )

    def submit(self, outgoing: Outgoing) -> tuple[Ruling, Decision] | None:
        """A message is accepted; None: the judge has nothing to say to it, and it is not written down."""
        sending = outgoing.sending
        account_id, credential_id, now_us = sending.account_id, sending.credential_id, sending.at_us
        ruling = self.judge(outgoing, self._on_record(account_id, credential_id, outgoing))
        if ruling is None:
            return None
        case = self._carry_out(account_id, credential_id, ruling, now_us)
        known = self.account(account_id).known
        for key in ruling.met:
            known.setdefault(key, [now_us, now_us])[1] = now_us
        held_by = case.id if case is not None and ruling.holds else 0
        sent = Sent(
            message_id=sending.message_id,
            account_id=account_id,
            credential_id=credential_id,
            accepted_at_us=now_us,
            case_id=held_by,
            score=ruling.verdict.score,
            network=sending.network,
            client=sending.client,
            strangers=ruling.strangers,
        )
        self._all.sent.setdefault(sending.message_id, sent)
        return ruling, Decision(ruling.verdict, held_by)

    def order(self, order: HoldOrdered) -> Case | None:
        """The open case, if there is one."""
        ruling = self.judge(order, self._on_record(order.account_id, order.credential_id))
        if ruling is None:
            return self.open_case_of(order.account_id, order.credential_id)
        return self._carry_out(order.account_id, order.credential_id, ruling, order.at_us)

    def close(self, case: Case, ending: Ending, now_us: int) -> None:
        self._all.cases[case.id] = replace(case, closed_at_us=now_us, ending=ending)
        closed = CaseClosed(
            account_id=case.account_id,
            credential_id=case.credential_id,
            at_us=now_us,
            since_us=case.since_us,
            ending=ending,
        )
        ruling = self.judge(closed, self._on_record(case.account_id, case.credential_id))
        if ruling is not None:
            self._carry_out(case.account_id, case.credential_id, ruling, now_us)

    def _carry_out(self, account_id: int, credential_id: str, ruling: Ruling, now_us: int) -> Case | None:
        """What every ruling may ask for; returns the case that is open then."""
        account = self.account(account_id)
        if ruling.state is not None:
            account.profile = msgspec.msgpack.encode(ruling.state)
        if (since_us := ruling.forget_since_us) is not None:
            account.known = {key: times for key, times in account.known.items() if times[0] < since_us}
        case, verdict = self.open_case_of(account_id, credential_id), ruling.verdict
        if not ruling.case:
            return case
        if case is not None:
            case = replace(case, action=ruling.case, score=verdict.score, reasons=verdict.reasons)
            self._all.cases[case.id] = case
            return case
        return self._open(account_id, credential_id, ruling, now_us)

    def _open(self, account_id: int, credential_id: str, ruling: Ruling, now_us: int) -> Case:
        case = Case(
            id=self._all.dice.new_id(),
            account_id=account_id,
            credential_id=credential_id,
            action="freeze" if ruling.case == "freeze" else "hold",
            opened_at_us=now_us,
            since_us=ruling.since_us,
            score=ruling.verdict.score,
            reasons=ruling.verdict.reasons,
        )
        self._all.cases[case.id] = case
        owner = (account_id, credential_id)
        for sent in list(self._all.sent.values()):
            if (sent.account_id, sent.credential_id) == owner and sent.accepted_at_us >= ruling.since_us:
                self.hold_waiting(case.id, sent.message_id)
        return case

    def open_case_of(self, account_id: int, credential_id: str) -> Case | None:
        found = (
            case
            for case in self._all.cases.values()
            if case.account_id == account_id and case.credential_id == credential_id
        )
        return next((case for case in found if not case.closed_at_us), None)

    def hold_waiting(self, case_id: int, message_id: str) -> None:
        message = self._all.queue.get(message_id)
        waiting = [row for row in message.rows if row.state == "waiting"] if message else []
        for row in waiting:
            row.state = "held"
        if waiting:
            self.mark(case_id, message_id)
            self._all.changes.publish(QueueChanged())

    def mark(self, case_id: int, message_id: str) -> None:
        self._all.sent[message_id] = replace(self._all.sent[message_id], case_id=case_id)

    def keep_back(self, account_id: int, message_id: str | None = None) -> int:
        count = 0
        for message in list(self._all.queue.values()):
            waiting = [row for row in message.rows if row.state == "waiting"]
            if (
                message.account_id != account_id
                or message_id not in (None, message.message_id)
                or not waiting
            ):
                continue
            for row in waiting:
                row.state = "held"
            self.note_kept_back(account_id, message.message_id)
            count += 1
        self._all.changes.publish(QueueChanged())
        return count

    def note_kept_back(self, account_id: int, message_id: str) -> None:
        sent = self._all.sent.get(message_id) or Sent(
            message_id=message_id,
            account_id=account_id,
            credential_id="",
            accepted_at_us=self._all.clock.now_us(),
            case_id=0,
            score=0,
            network="",
            client="",
            strangers=0,
        )
        self._all.sent[message_id] = sent if sent.case_id else replace(sent, case_id=BY_OPERATOR)

    def settle(self, job: QueueJob, outcomes: tuple[Outcome, ...]) -> None:
        submitter = self._all.accounts.get(job.account_id) if job.account_id is not None else None
        if submitter is not None and submitter.account.state == "sending_held":
            self.keep_back(submitter.account.id, job.message_id)
        sent = self._all.sent.get(job.message_id)
        if job.account_id is None or sent is None:
            return
        now_us = self._all.clock.now_us()
        told = tuple((outcome.result, outcome.reply) for outcome in outcomes)
        owner = (sent.account_id, sent.credential_id)
        case = self.open_case_of(*owner)
        ruling = self.judge(
            JobSettled(account_id=owner[0], credential_id=owner[1], at_us=now_us, outcomes=told),
            self._on_record(*owner),
        )
        if ruling is not None:
            self._note_left(sent.account_id, job, outcomes, now_us)
            case = self._carry_out(*owner, ruling, now_us)
            if ruling.holds and case is not None:
                self.hold_waiting(case.id, job.message_id)
        if case is not None and any(outcome.result == "held" for outcome in outcomes):
            self.mark(case.id, job.message_id)

    def _note_left(self, account_id: int, job: QueueJob, outcomes: tuple[Outcome, ...], now_us: int) -> None:
        addresses = {recipient.id: str(recipient.recipient.address) for recipient in job.recipients}
        left = self.account(account_id).left
        for outcome in outcomes:
            if outcome.result == "delivered" or outcome.result == "failed":
                left.append(Left(addresses[outcome.recipient_id], now_us, job.message_id, outcome.result))


class MemoryGuardRecords:
    """The part of the port Guard that leaves the queue alone."""

    def __init__(self, everything: Everything, steps: MemoryGuardSteps) -> None:
        self._all, self._steps = everything, steps

    def use(self, judge: TakeoverJudge) -> None:
        self._steps.judge = judge

    async def holding(self, message_id: str) -> Case | None:
        sent = self._all.sent.get(message_id)
        return self._steps.open_case_of(sent.account_id, sent.credential_id) if sent else None

    async def keep_back(self, account_id: int) -> int:
        return self._steps.keep_back(account_id)

    async def open_case(self, account_id: int, credential_id: str) -> Case | None:
        return self._steps.open_case_of(account_id, credential_id)

    async def cases(self, account_id: int | None = None, *, only_open: bool = True) -> list[Case]:
        found = (case for case in self._all.cases.values() if account_id in (None, case.account_id))
        chosen = [case for case in found if not (only_open and case.closed_at_us)]
        return sorted(chosen, key=lambda case: (-case.opened_at_us, -case.id))

    async def unfinished(self) -> list[Case]:
        cases = [case for case in self._all.cases.values() if not case.closed_at_us]
        todo = [
            case
            for case in cases
            if not case.announced_at_us or (case.action == "freeze" and not case.frozen_at_us)
        ]
        return sorted(todo, key=lambda case: case.opened_at_us)

    async def note(
        self, case_id: int, *, announced_at_us: int = 0, frozen_at_us: int = 0, done: tuple[str, ...] = ()
    ) -> None:
        self._all.check_available()
        case = self._all.cases.get(case_id)
        if case is not None:
            self._all.cases[case_id] = replace(
                case,
                announced_at_us=max(case.announced_at_us, announced_at_us),
                frozen_at_us=max(case.frozen_at_us, frozen_at_us),
                done=tuple(dict.fromkeys((*case.done, *done))),
            )

    async def close_case(self, case_id: int, ending: Ending) -> None:
        self._all.check_available()
        case = self._all.cases.get(case_id)
        if case is None or case.closed_at_us:
            return
        self._steps.close(case, ending, self._all.clock.now_us())

    async def hold(self, account_id: int, credential_id: str, action: Hold, reason: Reason) -> Case:
        self._all.check_available()
        order = HoldOrdered(
            account_id=account_id,
            credential_id=credential_id,
            at_us=self._all.clock.now_us(),
            action=action,
            reason=reason,
        )
        case = self._steps.order(order)
        if case is None:
            raise LookupError("the judge opened no case")
        return case

    async def held(self, account_id: int) -> list[Sent]:
        return [sent for sent in self._of(account_id) if sent.case_id and sent.message_id in self._all.queue]

    async def held_accounts(self) -> dict[int, int]:
        held = (
            sent.account_id
            for sent in self._all.sent.values()
            if sent.case_id and sent.message_id in self._all.queue
        )
        return dict(Counter(held))

    async def sent_message(self, message_id: str) -> Sent | None:
        return self._all.sent.get(message_id)

    async def sent(self, account_id: int, since_us: int) -> list[Sent]:
        return [sent for sent in self._of(account_id) if sent.accepted_at_us >= since_us]

    def _of(self, account_id: int) -> list[Sent]:
        found = [sent for sent in self._all.sent.values() if sent.account_id == account_id]
        return sorted(found, key=lambda sent: sent.accepted_at_us)

    async def left(self, account_id: int, since_us: int, limit: int = 10_000) -> list[Left]:
        found = [left for left in self._steps.account(account_id).left if left.at_us >= since_us]
        return sorted(found, key=lambda left: (left.at_us, left.address))[:limit]

    async def watched(self, account_id: int) -> Watched:
        account = self._steps.account(account_id)
        return Watched(account_id, account.bulk, account.recovery_address, self._steps.profile(account_id))

    async def set_bulk(self, account_id: int, bulk: bool) -> None:
        self._all.check_available()
        self._steps.account(account_id).bulk = bulk

    async def set_recovery_address(self, account_id: int, address: str) -> None:
        self._all.check_available()
        self._steps.account(account_id).recovery_address = address

    async def sweep(self, oldest: Oldest) -> None:
        self._all.check_available()
        self._all.sent = {
            key: sent
            for key, sent in self._all.sent.items()
            if sent.case_id or sent.accepted_at_us >= oldest.sent_us
        }
        self._all.cases = {
            key: case
            for key, case in self._all.cases.items()
            if not case.closed_at_us or case.opened_at_us >= oldest.cases_us
        }
        for account in self._all.guarded.values():
            account.left = [left for left in account.left if left.at_us >= oldest.left_us]
            account.known = {
                key: times for key, times in account.known.items() if times[1] >= oldest.known_us
            }
