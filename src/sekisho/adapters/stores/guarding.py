"""What every store does the same way for the guard: pure steps; the stores differ in where things lie."""

from collections.abc import Iterable

from msgspec.structs import replace

from sekisho.core.policy.takeover.accounting import count_outcomes, pardon, unlearn
from sekisho.core.policy.takeover.outcome import is_bounce, is_complaint
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Reach, Sending
from sekisho.core.policy.takeover.state import DAY_US, State
from sekisho.core.terms.envelope import Recipient
from sekisho.core.terms.records import by_position
from sekisho.ports.guard import Ending
from sekisho.ports.outgoing import MAILBOX_HOP, Decision, Outgoing
from sekisho.ports.spool import Acceptance, Outcome, RelayRecipient

DORMANT_US = 30 * DAY_US
TOUCH_US = DAY_US  # when somebody was last written to need not be known better
HOUSE_US = DAY_US  # what another account wrote to today may be a thief's too
SINCE_US = DAY_US  # so far back a new case looks
KEEP_SENT_US = 14 * DAY_US
KEEP_LEFT_US = 60 * DAY_US
KEEP_KNOWN_US = 730 * DAY_US
KEEP_CASES_US = 730 * DAY_US


def reach_of(outgoing: Outgoing, known: dict[int, int], house: set[int], now_us: int) -> Reach:
    """`known`: key → when last written to by this account; `house`: keys that others wrote to for a day or
    longer."""
    strangers = in_house = dormant = 0
    domains: dict[int, None] = {}
    for key, domain in outgoing.elsewhere:
        if key in known:
            dormant += now_us - known[key] > DORMANT_US
        elif key in house:
            in_house += 1
        else:
            strangers += 1
            domains[domain] = None
    return Reach(
        strangers=strangers,
        house=in_house,
        known=len(outgoing.elsewhere) - strangers - in_house,
        dormant=dormant,
        domains=tuple(domains),
    )


def to_touch(outgoing: Outgoing, known: dict[int, int], now_us: int) -> list[int]:
    """Keys whose rows are to be written: of new recipients, and of those not written to lately."""
    return [key for key, _ in outgoing.elsewhere if now_us - known.get(key, 0) >= TOUCH_US]


def may_answer(outgoing: Outgoing, reach: Reach) -> bool:
    """Does it matter whether the account holds the message that this one answers?"""
    return bool(reach.strangers and outgoing.answered and outgoing.sending.remote_recipients == 1)


def answering(sending: Sending) -> Sending:
    return replace(sending, answers=True)


def applied(acceptance: Acceptance, decision: Decision, rules: GuardRules) -> Acceptance:
    """The acceptance as the decision wants it: held whole, copies for mailboxes here too; or not before the
    slow minute is over."""
    if rules.mode != "enforce":
        return acceptance
    if decision.case_id:
        assert acceptance.outgoing is not None
        return held_whole(acceptance, acceptance.outgoing.locals, acceptance.outgoing.sending.at_us)
    if decision.verdict.action == "slow" and acceptance.relays:
        return replace(acceptance, relays=tuple(_slowed(acceptance.relays, rules.slow_us)))
    return acceptance


def held_whole(acceptance: Acceptance, locals_: Iterable[Recipient], now_us: int) -> Acceptance:
    """Nothing of it is delivered: it waits for all its recipients, those with mailboxes here too. A release
    gives new times."""
    held = [replace(relay, held=True, fresh_lease=None) for relay in acceptance.relays]
    terms = (
        (acceptance.relays[0].due_at_us, acceptance.relays[0].expires_at_us)
        if acceptance.relays
        else (now_us, now_us)
    )
    held += [by_position(RelayRecipient, recipient, MAILBOX_HOP, *terms, held=True) for recipient in locals_]
    return replace(acceptance, deliveries=(), relays=tuple(held))


def _slowed(relays: Iterable[RelayRecipient], slow_us: int) -> Iterable[RelayRecipient]:
    return (replace(relay, due_at_us=relay.due_at_us + slow_us, fresh_lease=None) for relay in relays)


def count_job(state: State, outcomes: tuple[Outcome, ...], now_us: int) -> bool:
    """What the outcomes of one job mean for the account; True when they speak against it."""
    delivered = sum(outcome.result == "delivered" for outcome in outcomes)
    bounced = sum(outcome.result == "failed" and is_bounce(outcome.reply) for outcome in outcomes)
    complaints = int(
        any(outcome.result != "delivered" and is_complaint(outcome.reply) for outcome in outcomes)
    )
    count_outcomes(state, now_us, delivered=delivered, bounced=bounced, complaints=complaints)
    return bool(bounced or complaints)


def end_case(state: State, ending: Ending, since_us: int, now_us: int) -> None:
    if ending == "purged":
        unlearn(state, since_us)
    else:
        pardon(state, now_us)
