"""From signals to a verdict: pass, slow, hold, freeze (DESIGN §3 OUT)."""

from dataclasses import dataclass
from typing import Literal

from sekisho.core.policy.takeover.accounting import (
    count_sending,
    day_of,
    hours_of,
    learn_context,
    note_context,
)
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Reach, Sending
from sekisho.core.policy.takeover.signals import CONTEXT_CAP, SIGNALS, Reason
from sekisho.core.policy.takeover.situation import (
    ODD,
    Familiarity,
    SendingSituation,
    came_later,
    familiarity_of,
)
from sekisho.core.policy.takeover.state import State

Action = Literal["pass", "slow", "hold", "freeze"]
ORDER: tuple[Action, ...] = ("pass", "slow", "hold", "freeze")

STRANGE_CONTEXT = 10  # points from which the context counts as unfamiliar
SETTLING = 1.5  # the first days tell little about amounts
KNOWN_DAYS, SETTLED_ELSEWHERE = 2, 0.6
RUSH = 5  # strangers within ten minutes that are worth a minute's wait
_MATURE_ONLY = ("context", "deed")  # they compare with a history


@dataclass(frozen=True, slots=True)
class Verdict:
    """`score`: points in all; `context`: those of the context. `reasons`: what spoke, heaviest first."""

    action: Action = "pass"
    score: int = 0
    context: int = 0
    reasons: tuple[Reason, ...] = ()

    @property
    def holds(self) -> bool:
        return self.action in ("hold", "freeze")

    @property
    def because(self) -> str:
        return " ".join(map(str, self.reasons))


PASSED = Verdict()


def consider(
    state: State,
    sending: Sending,
    reach: Reach,
    rules: GuardRules,
    *,
    bulk: bool = False,
    is_held: bool = False,
) -> Verdict:
    """Count the message in `state` and judge it. What is in order is learnt, unless all mail of its
    credential is held."""
    familiarity = familiarity_of(state, sending)
    day_of(state, sending.at_us)
    is_away = familiarity.network >= 0.5 and state.days_behind >= rules.learning_days
    is_odd = familiarity.oddness >= ODD and state.days_behind > 0
    count_sending(state, sending, reach, at_home=not is_away, is_odd=is_odd)
    verdict = _judge(
        _situation(state=state, sending=sending, reach=reach, familiarity=familiarity, rules=rules, bulk=bulk)
    )
    if not verdict.holds and not is_held:
        learn_context(state, sending)
    note_context(state, sending.at_us, verdict.context)
    return verdict


def review(
    state: State, account_id: int, credential_id: str, now_us: int, rules: GuardRules, *, bulk: bool = False
) -> Verdict:
    """Judge the account again as it stands now: at a claim from the queue, and after outcomes. Counts and
    learns nothing."""
    nothing = Sending(message_id="", account_id=account_id, credential_id=credential_id, at_us=now_us)
    # The windows speak: that the account wrote to strangers, or from strange places, counts although nobody
    # is written to now.
    situation = _situation(
        state=state,
        sending=nothing,
        reach=Reach(strangers=1),
        familiarity=Familiarity(),
        rules=rules,
        bulk=bulk,
    )
    return _judge(situation, situation.window.context)


def _situation(
    state: State, sending: Sending, reach: Reach, familiarity: Familiarity, rules: GuardRules, bulk: bool
) -> SendingSituation:
    day_of(state, sending.at_us)
    maturity = min(1.0, state.days_behind / rules.learning_days)
    settled = min(1.0, state.days_behind / rules.settling_days) ** SETTLING
    is_later = bool(sending.network) and came_later(state, sending)
    if is_later and state.days_behind >= KNOWN_DAYS:
        settled = max(
            settled, SETTLED_ELSEWHERE
        )  # not from where, nor by what, the newcomer came: his freedom is not for everybody
    # Somebody else's hands would use the right too: from a strange place by a strange program it does not
    # count.
    if bulk and is_later and state.days_behind and familiarity.network == 1.0 and familiarity.client == 1.0:
        bulk, settled = False, 1.0
    window = hours_of(state, sending.at_us)[1]
    return SendingSituation(
        rules=rules,
        state=state,
        sending=sending,
        reach=reach,
        familiarity=familiarity,
        window=window,
        maturity=maturity,
        settled=settled,
        bulk=bulk,
    )


def _judge(situation: SendingSituation, context: int = 0) -> Verdict:
    score = 0
    reasons: list[Reason] = []
    for signal in SIGNALS:
        if signal.name in situation.rules.ignored or (situation.bulk and signal.group == "volume"):
            continue
        points = signal.points
        if signal.group in _MATURE_ONLY or signal.name == "link":
            points = round(points * situation.maturity)
        reason = signal.look(situation, points) if points else None
        if reason is None:
            continue
        reasons.append(reason)
        if signal.group == "context":
            context += reason.points
        else:
            score += reason.points
    context = min(context, CONTEXT_CAP)
    score += context
    reasons.sort(key=lambda reason: -reason.points)
    return Verdict(_action(situation, score, context), score, context, tuple(reasons))


def _action(situation: SendingSituation, score: int, context: int) -> Action:
    rules = situation.rules
    if score >= rules.hold_at:
        # Frozen is the credential that a stranger uses; at the owner's own desk only what is beyond all
        # doubt.
        is_strange = score >= rules.freeze_at and context >= STRANGE_CONTEXT
        return "freeze" if is_strange or score >= 2 * rules.hold_at else "hold"
    is_rush = situation.state.rush >= RUSH and situation.reach.strangers and not situation.bulk
    return "slow" if score >= rules.slow_at or context >= STRANGE_CONTEXT or is_rush else "pass"
