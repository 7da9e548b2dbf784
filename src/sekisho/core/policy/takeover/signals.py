"""The table of signals: each looks at one thing and says how many points it counts and why, in words.

Points add up; `verdict` says from where on they slow, hold or freeze. "context" signals (from where, by what,
when) are capped together and count only against an account with a history: a stranger's place alone never
holds mail, and a traveller has one every day. "volume" signals do not count for who has the bulk right. How
large each is follows from one question: what must come together before it is more likely a thief than the
owner? A strange place (≤ 45) wants a doubtful deed (≥ 55) beside it; from the owner's own desk the deed alone
must be far beyond what the account ever did.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sekisho.core.policy.takeover.situation import ODD, SendingSituation
from sekisho.core.policy.takeover.state import COUNTS, DAY_US, MINUTE_US

CONTEXT_CAP = 45
MANY_NETWORKS, NETWORKS_GROWTH = 4, 20
SAME_CONTENT = 8
SAME_CONTENT_GROWTH = 12  # points more with each doubling
MANY_DOMAINS = 10
MANY_DORMANT = 10
MANY_FRESH, FRESH_GROWTH = 6, 40
MANY_HIDDEN = 10
FEW_BOUNCES = 3
MANY_BOUNCES = 5
# the part beyond what is allowed over which a signal comes into full force: one more recipient must not tip
# the scales
RAMP = 0.25
ENOUGH = 100  # by itself a reason to hold

Group = Literal["context", "volume", "deed", "answer"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What one signal says. `text` has `{name}` places, so that it can be said in the reader's language."""

    signal: str
    points: int
    text: str
    values: dict[str, str | int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format(**self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """`points`: the most it counts, or what it counts at its threshold when it grows without bound
    (`grows`)."""

    name: str
    group: Group
    points: int
    look: Callable[[SendingSituation, int], Reason | None]
    grows: bool = False


def _network(s: SendingSituation, points: int) -> Reason | None:
    count = round(points * s.familiarity.network)
    return (
        Reason(
            "network", count, "The network {network} is new for this account.", {"network": s.sending.network}
        )
        if count
        else None
    )


def _client(s: SendingSituation, points: int) -> Reason | None:
    count = round(points * s.familiarity.client)
    return (
        Reason(
            "client",
            count,
            "The mail program ({client}) is new for this account.",
            {"client": s.sending.client},
        )
        if count
        else None
    )


def _credential(s: SendingSituation, points: int) -> Reason | None:
    count = round(points * s.familiarity.credential)
    return (
        Reason("credential", count, "This password has hardly been used for sending before.")
        if count
        else None
    )


def _hour(s: SendingSituation, points: int) -> Reason | None:
    return (
        Reason("hour", points, "The account hardly ever sends at this time of day.")
        if s.familiarity.hour
        else None
    )


def _networks(s: SendingSituation, points: int) -> Reason | None:
    count = s.familiarity.new_networks
    if count < MANY_NETWORKS:
        return None
    points += round(NETWORKS_GROWTH * s.maturity * math.log2(count / MANY_NETWORKS))
    return Reason("networks", points, "Mail came from {count} new networks within an hour.", {"count": count})


def _identity(s: SendingSituation, points: int) -> Reason | None:
    if s.familiarity.identity < 1.0:
        return None
    if s.sending.reply_elsewhere:
        return Reason(
            "identity",
            points,
            "Answers would go to {address}, never used before.",
            {"address": s.sending.reply_elsewhere},
        )
    return Reason("identity", points // 2, "The author's name or address was never used before.")


def _link(s: SendingSituation, points: int) -> Reason | None:
    host = s.familiarity.link
    if s.window.fresh >= MANY_FRESH and s.familiarity.oddness >= ODD:
        return None  # "fresh-links" says it
    return (
        Reason("link", points, "It links to {host}, which the account never did before.", {"host": host})
        if host
        else None
    )


def _fresh_links(s: SendingSituation, points: int) -> Reason | None:
    """Answers to friends look like the owner's own, but where they lead is new each time."""
    count, oddness = s.window.fresh, s.familiarity.oddness
    if count < MANY_FRESH or oddness < ODD:
        return None
    points = round(oddness * (points + FRESH_GROWTH * s.maturity * math.log2(count / MANY_FRESH)))
    return Reason(
        "fresh-links",
        points,
        "From there {count} messages link to places that the account never linked to.",
        {"count": count},
    )


def _busy(s: SendingSituation, points: int) -> Reason | None:
    oddness = s.familiarity.oddness
    count = _growing(s.window.messages, s.allowed_messages, points) if oddness >= ODD else 0
    if not count:
        return None
    values: dict[str, str | int] = {"count": s.window.messages, "usual": s.allowed_messages}
    return Reason(
        "busy",
        round(count * oddness),
        "Within a day it wrote {count} messages, up to {usual} would be usual.",
        values,
    )


def _strangers(s: SendingSituation, points: int) -> Reason | None:
    count = _growing(s.strangers, s.allowed_strangers, points)
    if not count or not s.reach.strangers:
        return None
    text = (
        "Within a day it wrote to many people for the first time; they count {count}, up to {usual} "
        "would be usual."
    )
    return Reason(
        "strangers", count, text, {"count": round(s.strangers), "usual": round(s.allowed_strangers)}
    )


def _fan_out(s: SendingSituation, points: int) -> Reason | None:
    count = _growing(s.fan_out, s.allowed_fan_out, points)
    if not count:
        return None
    text = (
        "Within a day it wrote to very many people it knows; they count {count}, up to {usual} would be "
        "usual."
    )
    return Reason("fan-out", count, text, {"count": round(s.fan_out), "usual": round(s.allowed_fan_out)})


def _dormant(s: SendingSituation, points: int) -> Reason | None:
    count = s.window.dormant
    if count < MANY_DORMANT:
        return None
    return Reason(
        "dormant",
        points,
        "{count} of the recipients had no mail from it for more than a month.",
        {"count": count},
    )


def _domains(s: SendingSituation, points: int) -> Reason | None:
    if not s.reach.strangers or len(s.state.domains) < MANY_DOMAINS:
        return None
    since = (s.sending.at_us - DAY_US) // MINUTE_US
    count = sum(minute > since for minute in s.state.domains.values())
    if count < MANY_DOMAINS:
        return None
    return Reason(
        "domains", points, "The new recipients are scattered over {count} domains or more.", {"count": count}
    )


def _hidden(s: SendingSituation, points: int) -> Reason | None:
    count = s.sending.hidden
    if count < MANY_HIDDEN:
        return None
    return Reason("hidden", points, "{count} recipients are named neither in To nor in Cc.", {"count": count})


def _same_content(s: SendingSituation, points: int) -> Reason | None:
    keys = (*s.sending.contents, *(link.key for link in s.sending.links))
    fresh = (
        (s.sending.at_us - DAY_US) // MINUTE_US * COUNTS
    )  # older texts are the account's own: a signature, a form
    repeats = [s.state.contents.get(key, 0) for key in keys]
    count = max((repeat % COUNTS for repeat in repeats if repeat > fresh), default=0)
    if count < SAME_CONTENT:
        return None
    # From a strange place by a strange program it soon is no letter to some friends any more.
    growth = SAME_CONTENT_GROWTH * (1 + s.familiarity.oddness * s.maturity)
    points += round(growth * math.log2(count / SAME_CONTENT))
    points = round(points * s.settled)  # a newcomer introduces himself to everybody
    if not points:
        return None
    return Reason(
        "same-content", points, "The same text or link went out in {count} messages.", {"count": count}
    )


def _first_time_budget(s: SendingSituation, points: int) -> Reason | None:
    limit = s.rules.service_recipients_per_day if s.sending.is_service else s.rules.first_time_per_day
    if s.state.first_time <= limit:
        return None
    values: dict[str, str | int] = {"count": s.state.first_time, "limit": limit}
    return Reason(
        "first-time-budget", points, "{count} first-time recipients on one day; {limit} are allowed.", values
    )


def _budget(s: SendingSituation, points: int) -> Reason | None:
    rules = s.rules
    limit = rules.bulk_recipients_per_day if s.bulk else rules.recipients_per_day
    limit = rules.service_recipients_per_day if s.sending.is_service else limit
    if s.state.recipients <= limit:
        return None
    values: dict[str, str | int] = {"count": s.state.recipients, "limit": limit}
    return Reason("budget", points, "{count} recipients on one day; {limit} are allowed.", values)


def _bounces(s: SendingSituation, points: int) -> Reason | None:
    bounced, answered = s.window.bounced, s.window.bounced + s.window.delivered
    share = bounced / answered if answered else 0.0
    # STANDARDS R-01: above 10 % unknown users a list was bought or guessed, not written to before.
    if not (bounced >= FEW_BOUNCES and share > 0.3) and not (bounced >= MANY_BOUNCES and share > 0.1):
        return None
    count = points if bounced >= 2 * MANY_BOUNCES and share > 0.3 else points * 2 // 3
    values: dict[str, str | int] = {"bounced": bounced, "answered": answered}
    return Reason("bounces", count, "{bounced} of {answered} recipients do not exist.", values)


def _complaints(s: SendingSituation, points: int) -> Reason | None:
    count = s.window.complaints
    if not count:
        return None
    return Reason(
        "complaints",
        points * min(count, 3),
        "Other servers called its mail spam or too much, {count} times.",
        {"count": count},
    )


def _virus(s: SendingSituation, points: int) -> Reason | None:
    return _said(s, "virus", points, "ClamAV found a virus in it: {said}.")


def _rspamd(s: SendingSituation, points: int) -> Reason | None:
    return _said(s, "rspamd", points, "rspamd calls it spam: {said}.")


def _attachment(s: SendingSituation, points: int) -> Reason | None:
    return _said(s, "attachment", points, "It carries something that acts when it is opened: {said}.")


def _content(s: SendingSituation, points: int) -> Reason | None:
    return _said(s, "content", points, "It reads like mail that people here called junk: {said}.")


def _said(s: SendingSituation, check: str, points: int, text: str) -> Reason | None:
    what = next((said.what for said in s.sending.said if said.check == check), "")
    return Reason(check, points, text, {"said": what}) if what else None


def _growing(value: float, allowed: float, points: int) -> int:
    """0 up to what is allowed, then soon `points`, and as much again with each doubling."""
    ratio = value / allowed if allowed else 0.0
    return round(points * (1 + math.log2(ratio)) * min(1.0, (ratio - 1) / RAMP)) if ratio > 1.0 else 0


SIGNALS: tuple[Signal, ...] = (
    Signal(name="network", group="context", points=20, look=_network),
    Signal(name="client", group="context", points=15, look=_client),
    Signal(name="credential", group="context", points=10, look=_credential),
    Signal(name="hour", group="context", points=10, look=_hour),
    Signal(name="networks", group="deed", points=15, look=_networks, grows=True),
    Signal(name="identity", group="deed", points=15, look=_identity),
    Signal(name="link", group="volume", points=10, look=_link),
    Signal(name="fresh-links", group="deed", points=15, look=_fresh_links, grows=True),
    Signal(name="busy", group="deed", points=20, look=_busy, grows=True),
    Signal(name="strangers", group="volume", points=40, look=_strangers, grows=True),
    Signal(name="fan-out", group="volume", points=25, look=_fan_out, grows=True),
    Signal(name="dormant", group="volume", points=15, look=_dormant),
    Signal(name="domains", group="volume", points=15, look=_domains),
    Signal(name="hidden", group="volume", points=15, look=_hidden),
    Signal(name="same-content", group="volume", points=30, look=_same_content, grows=True),
    Signal(name="first-time-budget", group="volume", points=ENOUGH, look=_first_time_budget),
    Signal(name="budget", group="answer", points=ENOUGH, look=_budget),
    Signal(name="bounces", group="answer", points=60, look=_bounces),
    Signal(name="complaints", group="answer", points=30, look=_complaints),
    # A virus alone holds: no owner sends one knowingly. The others err with honest mail, so that something
    # else must be odd too.
    Signal(name="virus", group="answer", points=ENOUGH, look=_virus),
    Signal(name="rspamd", group="answer", points=40, look=_rspamd),
    Signal(name="attachment", group="answer", points=30, look=_attachment),
    Signal(name="content", group="answer", points=30, look=_content),
)
NAMES = frozenset(signal.name for signal in SIGNALS)
