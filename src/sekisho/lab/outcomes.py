"""What became of each message, whether that is what the scene expects, and the sums over all. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sekisho.lab.durations import show_duration
from sekisho.lab.scene import STOPPED, Actor, Expectation, Outcome, Scene, SceneStep, Total
from sekisho.lab.script import Act
from sekisho.lab.wire import SmtpReply
from sekisho.ports.lab import Complaint, Fate, LabRates, TotalResult

SECOND_US = 1_000_000
ARRIVED: frozenset[str] = frozenset({"inbox", "outside"})
AT_ONCE_SECONDS = 5.0  # of lab time: what a machine may need, not a delay


@dataclass(slots=True, kw_only=True)
class OutcomeCase:
    """One message for one recipient while it is under way."""

    number: int
    act: Act
    actor: Actor
    recipient: str
    message_id: str
    first_us: int
    tries: int = 0
    reply: SmtpReply | None = None
    server_id: str = ""
    accepted_us: int = 0
    arrived_us: int = 0
    outcome: Outcome = "waiting"
    was_held: bool = False
    is_unread: bool = False  # its mailbox cannot be read: the journal says where it lies
    copies: int = 0
    rule: str = ""
    because: str = ""
    authentication_results: str = ""
    why: Complaint | None = None
    problem: Complaint | None = None
    count: int = 1
    hits: int = 0
    said: str = ""

    @property
    def is_final(self) -> bool:
        return self.outcome not in ("waiting", "held")

    @property
    def delay_seconds(self) -> float:
        end = self.arrived_us or self.accepted_us
        return max(0.0, (end - self.first_us) / SECOND_US) if end else 0.0


@dataclass(slots=True)
class Book:
    """All cases of a scene, in the order in which they began."""

    scene: Scene
    language: str
    cases: list[OutcomeCase] = field(default_factory=list)

    def open(self, act: Act, actor: Actor, recipient: str, message_id: str, now_us: int) -> OutcomeCase:
        case = OutcomeCase(
            number=len(self.cases) + 1,
            act=act,
            actor=actor,
            recipient=recipient,
            message_id=message_id,
            first_us=now_us,
        )
        self.cases.append(case)
        return case

    def of_steps(self, steps: Iterable[str]) -> list[OutcomeCase]:
        """By names of steps, or of the actors of steps."""
        names = set(steps)
        return [case for case in self.cases if case.act.step.name in names or case.act.step.actor in names]

    def fate(self, case: OutcomeCase) -> Fate:
        step = case.act.step
        problem = case.problem or (judge(case, step.expect) if step.expect is not None else None)
        return Fate(
            number=case.number,
            step=step.name,
            actor=case.actor.name,
            side=step.side or case.actor.side,
            title=step.heading(self.language) or case.actor.heading(self.language) or case.actor.name,
            do=step.do,
            recipient=case.recipient,
            outcome=case.outcome,
            tries=case.tries,
            delay_seconds=round(case.delay_seconds, 3),
            at_us=case.first_us,
            reply=case.said or (str(case.reply) if case.reply is not None else ""),
            rule=case.rule,
            because=case.because,
            authentication_results=case.authentication_results,
            why=case.why,
            expected=describe(step.expect),
            ok=problem is None,
            problem=problem,
            was_held=case.was_held,
            copies=case.copies,
            count=case.count,
            hits=case.hits,
        )


def describe(expect: Expectation | None) -> str:
    """ "inbox within 10m" """
    if expect is None:
        return ""
    words = " | ".join(expect.to)
    if expect.within is not None:
        words += f" within {show_duration(expect.within)}"
    if expect.rule:
        words += f" by {' | '.join(expect.rule)}"
    return words


def judge(case: OutcomeCase, expect: Expectation) -> Complaint | None:
    """What is wrong, None if nothing is."""
    wanted = set(expect.to)
    is_wanted = (
        case.outcome in wanted or "anything" in wanted or ("stopped" in wanted and case.outcome in STOPPED)
    )
    if not is_wanted:
        return Complaint(
            "It should have ended as {wanted}, but ended as {outcome}.",
            {"wanted": " | ".join(expect.to), "outcome": case.outcome},
        )
    if case.outcome in ("inbox", "junk", "outside") and (late := _judge_time(case, expect)) is not None:
        return late
    if expect.rule and case.rule not in expect.rule:
        return Complaint(
            "The rule {rule} spoke instead of {wanted}.",
            {"rule": case.rule or "–", "wanted": " | ".join(expect.rule)},
        )
    reply = case.said or str(case.reply or "")
    if not reply.startswith(expect.reply):
        return Complaint(
            "The reply was {reply} instead of {wanted}.", {"reply": reply, "wanted": expect.reply}
        )
    if expect.says and expect.says not in f"{reply} {case.because}":
        return Complaint("{wanted} is not in {reply}.", {"reply": reply, "wanted": expect.says})
    return None


def _judge_time(case: OutcomeCase, expect: Expectation) -> Complaint | None:
    took = show_duration(case.delay_seconds)
    if expect.within is not None and case.delay_seconds > expect.within:
        return Complaint(
            "It took {took} instead of at most {wanted}.",
            {"took": took, "wanted": show_duration(expect.within)},
        )
    was_deferred = case.tries > 1
    if expect.deferred_first is not None and expect.deferred_first != was_deferred:
        return Complaint(
            "It was deferred first."
            if was_deferred
            else "It should have been deferred first, but was accepted at once."
        )
    is_free = expect.within is not None or expect.deferred_first is not None
    if not is_free and (was_deferred or case.delay_seconds > AT_ONCE_SECONDS):
        return Complaint(
            "It was delayed by {took} in {tries} tries.", {"took": took, "tries": str(case.tries)}
        )
    return None


def rates_of(fates: Sequence[Fate]) -> LabRates:
    """Over the messages; logins, commands and the like are no messages."""
    letters = [
        fate
        for fate in fates
        if fate.do in ("mail", "submit") or (fate.do == "dialog" and fate.outcome != "done")
    ]
    honest = [fate for fate in letters if fate.side == "honest"]
    attacks = [fate for fate in letters if fate.side == "attack"]
    arrived = [fate for fate in honest if fate.outcome in ARRIVED or fate.outcome == "junk"]
    late = [fate.delay_seconds for fate in arrived if fate.tries > 1 or fate.delay_seconds > AT_ONCE_SECONDS]
    return LabRates(
        honest=len(honest),
        honest_stopped=len(honest) - len(arrived),
        honest_junk=sum(fate.outcome == "junk" for fate in honest),
        honest_delayed=len(late),
        longest_delay_seconds=max(late, default=0.0),
        attacks=len(attacks),
        attacks_let_in=sum(fate.outcome in ARRIVED for fate in attacks),
        attacks_junk=sum(fate.outcome == "junk" for fate in attacks),
    )


def measure(total: Total, fates: Sequence[Fate], logins: Sequence[float], language: str) -> TotalResult:
    """One bound. `fates` and `logins` (seconds) are those of its steps."""
    value = _value(total, fates, logins)
    too_much = total.at_most is not None and value > total.at_most
    too_little = total.at_least is not None and value < total.at_least
    return TotalResult(
        name=total.name,
        title=total.heading(language),
        measure=total.count,
        value=round(value, 4),
        at_most=total.at_most,
        at_least=total.at_least,
        ok=not too_much and not too_little,
    )


def _value(total: Total, fates: Sequence[Fate], logins: Sequence[float]) -> float:
    arrived = [fate for fate in fates if fate.outcome in ARRIVED]
    match total.count:
        case "reached" | "delivered":
            return len(arrived)
        case "held":
            return sum(fate.was_held for fate in fates)
        case "refused" | "deferred" | "lost":
            return sum(fate.outcome == total.count for fate in fates)
        case "twice":
            return sum(fate.copies > 1 for fate in fates)
        case "delay":
            return max((fate.delay_seconds for fate in arrived), default=0.0)
        case "logins":
            return sum(fate.hits for fate in fates)
        case "login-seconds-p99":
            return percentile(logins, 0.99)
        case "share":
            return len(arrived) / len(fates) if fates else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def default_retries(step: SceneStep, actor: Actor) -> tuple[float, ...]:
    """How long after the first try an honest server comes again when it was told to wait; others do not."""
    if actor.retries is not None:
        return actor.retries
    return (300.0, 900.0, 3600.0, 14_400.0) if actor.side == "honest" else ()
