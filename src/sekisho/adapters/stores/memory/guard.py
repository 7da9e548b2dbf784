"""The guard of the memory store. No method awaits between reading and writing: each is one transaction."""

from collections import Counter
from typing import Literal

import msgspec
from msgspec.structs import replace

from sekisho.adapters.stores import guarding
from sekisho.adapters.stores.memory.state import GuardAccount
from sekisho.adapters.stores.memory.state import MemoryState as Everything
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Reach
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import State
from sekisho.core.policy.takeover.verdict import Verdict, consider, review
from sekisho.ports.changes import QueueChanged
from sekisho.ports.guard import BY_OPERATOR, Case, Ending, Left, Sent, Watched
from sekisho.ports.outgoing import Decision, Outgoing
from sekisho.ports.spool import Outcome, QueueJob


class MemoryGuardSteps:
    """What acceptance and settling do to the guard's memory."""

    def __init__(self, everything: Everything, rules: GuardRules) -> None:
        self._all, self.rules = everything, rules

    def account(self, account_id: int) -> GuardAccount:
        return self._all.guarded.setdefault(account_id, GuardAccount())

    def profile(self, account_id: int) -> State:
        octets = self.account(account_id).profile
        return msgspec.msgpack.decode(octets, type=State) if octets else State()

    def save(self, account_id: int, profile: State) -> None:
        self.account(account_id).profile = msgspec.msgpack.encode(profile)

    def debit(self, outgoing: Outgoing) -> Decision:
        sending = outgoing.sending
        case = self.open_case_of(sending.account_id, sending.credential_id)
        profile = self.profile(sending.account_id)
        reach = self._meet(outgoing)
        if (
            guarding.may_answer(outgoing, reach)
            and outgoing.answered in self._all.accounts[sending.account_id].threads
        ):
            sending = guarding.answering(sending)
        account = self.account(sending.account_id)
        verdict = consider(profile, sending, reach, self.rules, bulk=account.bulk, is_held=case is not None)
        self.save(sending.account_id, profile)
        case_id = case.id if case else 0
        if self.rules.mode == "enforce" and verdict.holds:
            case_id = self.open(sending.account_id, sending.credential_id, verdict, sending.at_us).id
        sent = Sent(
            message_id=sending.message_id,
            account_id=sending.account_id,
            credential_id=sending.credential_id,
            accepted_at_us=sending.at_us,
            case_id=case_id,
            score=verdict.score,
            network=sending.network,
            client=sending.client,
            strangers=reach.strangers,
        )
        self._all.sent.setdefault(sending.message_id, sent)
        return Decision(verdict, case_id)

    def _meet(self, outgoing: Outgoing) -> Reach:
        account_id, now_us = outgoing.sending.account_id, outgoing.sending.at_us
        mine = self.account(account_id).known
        known = {key: mine[key][1] for key, _ in outgoing.elsewhere if key in mine}
        before_us = now_us - guarding.HOUSE_US
        house = {
            key
            for key, _ in outgoing.elsewhere
            if any(
                key in other.known and other.known[key][0] < before_us for other in self._all.guarded.values()
            )
        }
        reach = guarding.reach_of(outgoing, known, house, now_us)
        for key in guarding.to_touch(outgoing, known, now_us):
            mine.setdefault(key, [now_us, now_us])[1] = now_us
        return reach

    def open_case_of(self, account_id: int, credential_id: str) -> Case | None:
        found = (
            case
            for case in self._all.cases.values()
            if case.account_id == account_id and case.credential_id == credential_id
        )
        return next((case for case in found if not case.closed_at_us), None)

    def open(self, account_id: int, credential_id: str, verdict: Verdict, now_us: int) -> Case:
        action: Literal["hold", "freeze"] = "freeze" if verdict.action == "freeze" else "hold"
        case = self.open_case_of(account_id, credential_id)
        if case is not None:
            if action == "freeze" and case.action == "hold":
                case = self._all.cases[case.id] = replace(
                    case, action=action, score=verdict.score, reasons=verdict.reasons
                )
            return case
        since_us = now_us - guarding.SINCE_US
        case = Case(
            id=self._all.dice.new_id(),
            account_id=account_id,
            credential_id=credential_id,
            action=action,
            opened_at_us=now_us,
            since_us=since_us,
            score=verdict.score,
            reasons=verdict.reasons,
        )
        self._all.cases[case.id] = case
        for sent in list(self._all.sent.values()):
            if (sent.account_id, sent.credential_id) == (
                account_id,
                credential_id,
            ) and sent.accepted_at_us >= since_us:
                self.hold_waiting(case.id, sent.message_id)
        return case

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
        if self.rules.mode == "off" or job.account_id is None or sent is None:
            return
        now_us = self._all.clock.now_us()
        account = self.account(sent.account_id)
        addresses = {recipient.id: str(recipient.recipient.address) for recipient in job.recipients}
        for outcome in outcomes:
            if outcome.result == "delivered" or outcome.result == "failed":
                account.left.append(
                    Left(addresses[outcome.recipient_id], now_us, job.message_id, outcome.result)
                )
        profile = self.profile(sent.account_id)
        is_bad = guarding.count_job(profile, outcomes, now_us)
        self.save(sent.account_id, profile)
        case = self.open_case_of(sent.account_id, sent.credential_id)
        if is_bad and case is None and self.rules.mode == "enforce":
            verdict = review(
                profile, sent.account_id, sent.credential_id, now_us, self.rules, bulk=account.bulk
            )
            if verdict.holds:
                case = self.open(sent.account_id, sent.credential_id, verdict, now_us)
        if case is not None:
            self.hold_waiting(case.id, job.message_id)
            if any(outcome.result == "held" for outcome in outcomes):
                self.mark(case.id, job.message_id)


class MemoryGuardRecords:
    """The part of the port Guard that leaves the queue alone."""

    def __init__(self, everything: Everything, steps: MemoryGuardSteps) -> None:
        self._all, self._steps = everything, steps

    def use(self, rules: GuardRules) -> None:
        self._steps.rules = rules

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
        now_us = self._all.clock.now_us()
        self._all.cases[case_id] = replace(case, closed_at_us=now_us, ending=ending)
        profile = self._steps.profile(case.account_id)
        guarding.end_case(profile, ending, case.since_us, now_us)
        self._steps.save(case.account_id, profile)
        if ending == "purged":
            account = self._steps.account(case.account_id)
            account.known = {key: times for key, times in account.known.items() if times[0] < case.since_us}

    async def hold(
        self, account_id: int, credential_id: str, action: Literal["hold", "freeze"], reason: Reason
    ) -> Case:
        self._all.check_available()
        return self._steps.open(
            account_id, credential_id, Verdict(action, reason.points, 0, (reason,)), self._all.clock.now_us()
        )

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

    async def sweep(self, now_us: int) -> None:
        self._all.check_available()
        sent_us, left_us, known_us = (
            now_us - keep for keep in (guarding.KEEP_SENT_US, guarding.KEEP_LEFT_US, guarding.KEEP_KNOWN_US)
        )
        self._all.sent = {
            key: sent
            for key, sent in self._all.sent.items()
            if sent.case_id or sent.accepted_at_us >= sent_us
        }
        cases_us = now_us - guarding.KEEP_CASES_US
        self._all.cases = {
            key: case
            for key, case in self._all.cases.items()
            if not case.closed_at_us or case.opened_at_us >= cases_us
        }
        for account in self._all.guarded.values():
            account.left = [left for left in account.left if left.at_us >= left_us]
            account.known = {key: times for key, times in account.known.items() if times[1] >= known_us}
