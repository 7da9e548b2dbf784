"""The one question that a store asks about an account: what happened and what it has on record go in, what it
is to do comes out.

A store reads, asks the judge that was handed to it and writes, all in the transaction that accepts a message,
settles a job or closes a case. It has no opinion of its own: whom the account knows, what is held and for how
long are decided here.
"""

from collections.abc import Callable, Mapping, Set
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from sekisho.core.policy.takeover.accounting import count_outcomes, pardon, unlearn
from sekisho.core.policy.takeover.outcome import is_bounce, is_complaint
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Outgoing, Reach
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import DAY_US, State
from sekisho.core.policy.takeover.verdict import PASSED, Verdict, consider, review
from sekisho.core.terms.reply import Reply

DORMANT_US = 30 * DAY_US
TOUCH_US = DAY_US  # when somebody was last written to need not be known better
SINCE_US = DAY_US  # so far back a new case looks
KEEP_SENT_US = 14 * DAY_US
KEEP_LEFT_US = 60 * DAY_US
KEEP_KNOWN_US = 730 * DAY_US
KEEP_CASES_US = 730 * DAY_US

Hold = Literal["hold", "freeze"]
Ending = Literal["", "released", "purged", "forgiven"]


class JobSettled(Struct, frozen=True, kw_only=True):
    """What became of recipients of a message that was accepted before: (delivered, failed, deferred or
    held; the other host's reply)."""

    account_id: int
    credential_id: str
    at_us: int
    outcomes: tuple[tuple[str, Reply | None], ...]


class HoldOrdered(Struct, frozen=True, kw_only=True):
    """An operator, or a program of ours, wants a credential's mail held whatever the score says."""

    account_id: int
    credential_id: str
    at_us: int
    action: Hold
    reason: Reason


class CaseClosed(Struct, frozen=True, kw_only=True):
    """`since_us`: from when on the deeds of the case were doubtful."""

    account_id: int
    credential_id: str
    at_us: int
    since_us: int
    ending: Ending


Occasion = Outgoing | JobSettled | HoldOrdered | CaseClosed


class OnRecord(Struct, frozen=True, kw_only=True):
    """What the store has about the account and the credential, read in the same transaction. All but the
    first three are read for `Outgoing` only.

    `state` is given away: the judge may change it in place and give it back. `case`: the action of the
    credential's open case, "" without one. `known`: keys of `Outgoing.elsewhere` that the account wrote to →
    when last. `house`: those of the others that any account first wrote to before `Outgoing.house_before_us`.
    `has_answered`: the account has the message `Outgoing.answered` in a mailbox; it need not be looked up
    when every recipient is known.
    """

    state: State
    bulk: bool = False  # the account may send newsletters
    case: Literal["", "hold", "freeze"] = ""
    known: Mapping[int, int] = {}
    house: Set[int] = frozenset()
    has_answered: bool = False


class Ruling(Struct, frozen=True, kw_only=True):
    """What the store does before the transaction ends. Whatever is not named stays as it is.

    `state`: the account's from now on. `met`: keys of recipients that the account wrote to just now. `case`:
    open a case with this action for the reasons of `verdict`, or turn the open one into this; what waits of
    the credential and was accepted since `since_us` is held with a new one. `holds`: the message of the
    occasion is held for the case, all of it (`Outgoing`) or what waits of it (`JobSettled`). `wait_us`: what
    goes elsewhere is not due for so much longer. `forget_since_us`: recipients whom the account first wrote
    to since then are not known to it any more.
    """

    verdict: Verdict = PASSED
    state: State | None = None
    strangers: int = 0
    met: tuple[int, ...] = ()
    case: Literal["", "hold", "freeze"] = ""
    since_us: int = 0
    holds: bool = False
    wait_us: int = 0
    forget_since_us: int | None = None


# None: nothing at all is written about the occasion.
TakeoverJudge = Callable[[Occasion, OnRecord], Ruling | None]


class Oldest(Struct, frozen=True, kw_only=True):
    """Records from before these times tell nothing any more: of what was sent (unless it is held), of who
    had it, of whom an account wrote to, of cases (unless they are open)."""

    sent_us: int
    left_us: int
    known_us: int
    cases_us: int


def judge_by(rules: GuardRules) -> TakeoverJudge:
    """The judge that a store is given. Mode "off" asks about orders and closed cases still, and leaves all
    else untouched."""
    return partial(judge, rules)


def judge(rules: GuardRules, occasion: Occasion, record: OnRecord) -> Ruling | None:
    """Pure but for `record.state`, which is the judge's to change."""
    if isinstance(occasion, Outgoing):
        return _judge_outgoing(rules, occasion, record) if rules.mode != "off" else None
    if isinstance(occasion, JobSettled):
        return _judge_settled(rules, occasion, record) if rules.mode != "off" else None
    if isinstance(occasion, HoldOrdered):
        reason = occasion.reason
        return _holding(Verdict(occasion.action, reason.points, 0, (reason,)), record, occasion.at_us)
    return _judge_closed(occasion, record)


def oldest_kept(now_us: int) -> Oldest:
    return Oldest(
        sent_us=now_us - KEEP_SENT_US,
        left_us=now_us - KEEP_LEFT_US,
        known_us=now_us - KEEP_KNOWN_US,
        cases_us=now_us - KEEP_CASES_US,
    )


def _judge_outgoing(rules: GuardRules, outgoing: Outgoing, record: OnRecord) -> Ruling:
    """Count the message on its account and judge it with what is true now."""
    sending, state = outgoing.sending, record.state
    reach = _reach(outgoing, record)
    if record.has_answered and reach.strangers and sending.remote_recipients == 1:
        sending = replace(sending, answers=True)
    verdict = consider(state, sending, reach, rules, bulk=record.bulk, is_held=bool(record.case))
    met = tuple(key for key, _ in outgoing.elsewhere if sending.at_us - record.known.get(key, 0) >= TOUCH_US)
    if rules.mode != "enforce":
        return Ruling(verdict=verdict, state=state, strangers=reach.strangers, met=met)
    holds = verdict.holds or bool(record.case)
    return Ruling(
        verdict=verdict,
        state=state,
        strangers=reach.strangers,
        met=met,
        case=_graver(verdict, record),
        since_us=sending.at_us - SINCE_US,
        holds=holds,
        wait_us=rules.slow_us if verdict.action == "slow" and not holds else 0,
    )


def _reach(outgoing: Outgoing, record: OnRecord) -> Reach:
    strangers = house = dormant = 0
    domains: dict[int, None] = {}
    for key, domain in outgoing.elsewhere:
        if (last_us := record.known.get(key)) is not None:
            dormant += outgoing.sending.at_us - last_us > DORMANT_US
        elif key in record.house:
            house += 1
        else:
            strangers += 1
            domains[domain] = None
    return Reach(
        strangers=strangers,
        house=house,
        known=len(outgoing.elsewhere) - strangers - house,
        dormant=dormant,
        domains=tuple(domains),
    )


def _judge_settled(rules: GuardRules, job: JobSettled, record: OnRecord) -> Ruling:
    """Count what became of it; an account that bounces too much is judged again. What would wait again
    waits for the open case."""
    state = record.state
    delivered = sum(result == "delivered" for result, _ in job.outcomes)
    bounced = sum(result == "failed" and is_bounce(reply) for result, reply in job.outcomes)
    complaints = int(any(result != "delivered" and is_complaint(reply) for result, reply in job.outcomes))
    count_outcomes(state, job.at_us, delivered=delivered, bounced=bounced, complaints=complaints)
    if rules.mode != "enforce":
        return Ruling(state=state)
    if record.case or not (bounced or complaints):
        return Ruling(state=state, holds=bool(record.case))
    verdict = review(state, job.account_id, job.credential_id, job.at_us, rules, bulk=record.bulk)
    return replace(_holding(verdict, record, job.at_us), state=state)


def _holding(verdict: Verdict, record: OnRecord, at_us: int) -> Ruling:
    return Ruling(
        verdict=verdict, case=_graver(verdict, record), since_us=at_us - SINCE_US, holds=verdict.holds
    )


def _graver(verdict: Verdict, record: OnRecord) -> Literal["", "hold", "freeze"]:
    """What becomes of the case: a new one, or an open one made graver; never milder, and nothing is said
    twice."""
    if verdict.action == "freeze":
        return "freeze" if record.case != "freeze" else ""
    return "hold" if verdict.action == "hold" and not record.case else ""


def _judge_closed(closed: CaseClosed, record: OnRecord) -> Ruling:
    if closed.ending == "purged":
        unlearn(record.state, closed.since_us)
        return Ruling(state=record.state, forget_since_us=closed.since_us)
    pardon(record.state, closed.at_us)
    return Ruling(state=record.state)
