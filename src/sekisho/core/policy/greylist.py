"""Greylisting (RFC 6647): an unknown sender that nothing authenticates is asked to try again, and is known
once it did.

What is remembered hangs on the sender, not on one message or one host: on the domain that SPF or DKIM proves,
or else on the client's network and the domain in MAIL FROM. So a retry from another host of the same sender
counts, and it waits once, not for each recipient.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
# How long senders took to come back: up to so many µs.
BOUNDS_US = (2 * MINUTE_US, 5 * MINUTE_US, 15 * MINUTE_US, HOUR_US, 4 * HOUR_US, 24 * HOUR_US)


@dataclass(frozen=True, slots=True)
class GreylistRules:
    """A retry counts `after_us` to `until_us` after the first try (senders retry after anything from one
    minute to hours, whatever RFC 5321 §4.5.4.1 recommends), and is remembered for `remember_us` after the
    last message. `tarpit_us`: so long a client may wait for its reply instead of coming back; 0: it may
    not."""

    after_us: int = MINUTE_US
    until_us: int = DAY_US
    remember_us: int = 36 * DAY_US
    tarpit_us: int = 0


class GreylistTry(Struct, frozen=True, array_like=True):
    """What is remembered of a sender: its first try and the last, when it came back in time (0: not yet), how
    often it tried till then."""

    first_at_us: int
    last_at_us: int
    passed_at_us: int = 0
    tries: int = 1


# "new": never seen, or too long ago; "early": it came back too soon; "back": it came back; "known": it did so
# before.
State = Literal["new", "early", "back", "known"]


def state_of(tried: GreylistTry | None, now_us: int, rules: GreylistRules) -> State:
    if tried is None:
        return "new"
    if tried.passed_at_us:
        return "known" if now_us - tried.last_at_us <= rules.remember_us else "new"
    passed_us = now_us - tried.first_at_us
    if 0 <= passed_us < rules.after_us:
        return "early"
    return (
        "back" if passed_us <= rules.until_us else "new"
    )  # also where the clock went back: nobody waits for it to catch up


def after_waiting(tried: GreylistTry | None, now_us: int, rules: GreylistRules) -> GreylistTry:
    """What is remembered of a sender that was asked to come again."""
    if tried is None or state_of(tried, now_us, rules) == "new":
        return GreylistTry(now_us, now_us)
    return GreylistTry(tried.first_at_us, now_us, tried.passed_at_us, tried.tries + 1)


def after_passing(tried: GreylistTry | None, now_us: int) -> GreylistTry:
    """What is remembered of one that was let in."""
    if tried is None:
        return GreylistTry(now_us, now_us, now_us)
    if tried.passed_at_us:
        return GreylistTry(tried.first_at_us, max(now_us, tried.last_at_us), tried.passed_at_us, tried.tries)
    return GreylistTry(tried.first_at_us, now_us, now_us, tried.tries + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GreylistFinding:
    """What is known of a suspicious sender; `problem` is set, and nothing else, when it could not be known.
    `code`: the words by which the message looks like a one-time code or a confirmation."""

    key: str = ""
    tried: GreylistTry | None = None
    now_us: int = 0
    code: str = ""
    problem: str = ""

    def explain(self) -> str:
        """For the journal."""
        if self.problem or self.code:
            return self.problem or f"it looks like a code or a confirmation ({self.code})"
        if self.tried is None:
            return f"never seen: {self.key}"
        waited = spell((self.tried.passed_at_us or self.now_us) - self.tried.first_at_us)
        if self.tried.passed_at_us:
            return f"tried again before, after {waited}: {self.key}"
        return f"try {self.tried.tries + 1}, {waited} after the first: {self.key}"


@dataclass(frozen=True, slots=True)
class GreylistEffect:
    """What a verdict wants remembered of a sender. `waited_us`: since the first try, of one that came
    back."""

    key: str
    what: Literal["wait", "early", "back", "seen"]
    waited_us: int = 0


def spell(passed_us: int) -> str:
    """ "90 s", "5 min", "3 h": whole units, rounded down."""
    seconds = max(0, passed_us) // SECOND_US
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def domain_key(domain: str) -> str:
    """Of a domain that SPF or DKIM proves."""
    return f"domain:{domain}"


def network_key(network: str, sender_domain: str) -> str:
    """`sender_domain`: of MAIL FROM, "<>" for the null path."""
    return f"network:{network} {sender_domain}"


@dataclass(slots=True, kw_only=True)
class GreylistSummary:
    """Senders: `waiting` may still come back; `came_back` within each of `BOUNDS_US`, the last number beyond;
    `never`; `tries` of all."""

    senders: int = 0
    waiting: int = 0
    never: int = 0
    tries: int = 0
    came_back: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_US) + 1))


def summarize(known: Iterable[GreylistTry], now_us: int, rules: GreylistRules) -> GreylistSummary:
    summary = GreylistSummary()
    for tried in known:
        summary.senders += 1
        summary.tries += tried.tries
        if tried.passed_at_us:
            waited_us = tried.passed_at_us - tried.first_at_us
            summary.came_back[
                next((number for number, bound in enumerate(BOUNDS_US) if waited_us <= bound), len(BOUNDS_US))
            ] += 1
        elif now_us - tried.first_at_us <= rules.until_us:
            summary.waiting += 1
        else:
            summary.never += 1
    return summary
