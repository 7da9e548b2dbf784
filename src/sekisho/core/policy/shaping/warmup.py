"""Warming up an address: a budget of recipients a day and provider, growing on clean days of sending. Pure.

Days are UTC. People's own mail comes before bulk mail: bulk leaves a quarter of the budget to it and goes out
in portions by the hour (20 an hour and 200 a day at first, a factor of 1.4 a day).
"""

from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
Trouble = Literal["", "slowed", "blocked"]
MOST_HALVINGS = 5
MANY_RECIPIENTS = 20  # of one message at one next hop: that is bulk mail, whatever its header says


class WarmupRules(Struct, frozen=True, kw_only=True):
    """`enough`: with such a budget the address is warm. `sending_share`: so much used makes a sending day."""

    first: int = 200
    least: int = 50
    growth: float = 1.4
    enough: int = 5000
    people_share: float = 0.25
    sending_share: float = 0.25
    bulk_hours: int = 10


class Warmth(Struct, frozen=True, kw_only=True):
    """Of one source address at one provider. `hour_used`: bulk in `hour`, which counts since 1970;
    `halvings`: of what bulk may use of an hour, for the complaints it met."""

    began_at_us: int
    day: int
    budget: int
    used: int = 0
    bulk: int = 0
    hour: int = 0
    hour_used: int = 0
    trouble: Trouble = ""
    clean_days: int = 0
    halvings: int = 0
    is_warm: bool = False


class Granted(NamedTuple):
    """`count` may go now; the others from `at_us` on, the last of them about `through_us`."""

    warmth: Warmth
    amount: int
    at_us: int = 0
    through_us: int = 0


def cold(now_us: int, rules: WarmupRules) -> Warmth:
    return Warmth(began_at_us=now_us, day=now_us // DAY_US, budget=rules.first)


def turned(warmth: Warmth, now_us: int, rules: WarmupRules) -> Warmth:
    """As it is today: a clean day of sending lets the budget grow, trouble does not, a block halves it."""
    day = now_us // DAY_US
    if day <= warmth.day:
        return warmth
    budget, clean_days, halvings = warmth.budget, warmth.clean_days, warmth.halvings
    if warmth.trouble == "blocked":
        budget = max(rules.least, budget // 2)
    elif not warmth.trouble and warmth.used >= budget * rules.sending_share:
        budget, clean_days = int(budget * rules.growth), clean_days + 1
        halvings = max(0, halvings - 1)
    return replace(
        warmth,
        day=day,
        budget=budget,
        used=0,
        bulk=0,
        trouble="",
        clean_days=clean_days,
        halvings=halvings,
        is_warm=warmth.is_warm or budget >= rules.enough,
    )


def granted(warmth: Warmth, now_us: int, wanted: int, rules: WarmupRules, *, bulk: bool) -> Granted:
    """How many of `wanted` recipients may be sent to now."""
    taken = _take(warmth, now_us, wanted, rules, bulk=bulk)
    if taken.amount == wanted:
        return taken
    at_us = _opens_us(taken.warmth, now_us, rules, bulk=bulk)
    last_us = through_us(taken.warmth, now_us, wanted - taken.amount, rules, bulk=bulk)
    return Granted(taken.warmth, taken.amount, at_us, last_us)


def troubled(warmth: Warmth, now_us: int, trouble: Trouble, rules: WarmupRules) -> Warmth:
    """After a complaint today; a block counts at once, and an address that was warm is cold again."""
    warmth = turned(warmth, now_us, rules)
    halvings = min(warmth.halvings + 1, MOST_HALVINGS)
    if trouble != "blocked":
        return replace(warmth, trouble=warmth.trouble or trouble, halvings=halvings)
    return replace(
        warmth,
        trouble="blocked",
        halvings=halvings,
        is_warm=False,
        budget=min(warmth.budget, rules.enough - 1),
    )


def through_us(warmth: Warmth, now_us: int, wanted: int, rules: WarmupRules, *, bulk: bool) -> int:
    """About when the last of `wanted` more will have gone, if nothing goes wrong."""
    at_us = now_us
    for _ in range(1000):
        at_us = max(at_us, _opens_us(warmth, at_us, rules, bulk=bulk))
        result = _take(warmth, at_us, wanted, rules, bulk=bulk)
        warmth, wanted = result.warmth, wanted - result.amount
        if wanted <= 0:
            break
    return at_us


def _take(warmth: Warmth, now_us: int, wanted: int, rules: WarmupRules, *, bulk: bool) -> Granted:
    warmth = turned(warmth, now_us, rules)
    if warmth.is_warm:
        return Granted(warmth, wanted)
    count = max(0, min(wanted, _room(warmth, now_us, rules, bulk=bulk)))
    hour = now_us // HOUR_US
    in_hour = (warmth.hour_used if warmth.hour == hour else 0) + (count if bulk else 0)
    more = count if bulk else 0
    return Granted(
        replace(warmth, used=warmth.used + count, bulk=warmth.bulk + more, hour=hour, hour_used=in_hour),
        count,
    )


def _room(warmth: Warmth, now_us: int, rules: WarmupRules, *, bulk: bool) -> int:
    left = warmth.budget - warmth.used
    if not bulk:
        return left
    of_bulk = int(warmth.budget * (1 - rules.people_share)) - warmth.bulk
    in_hour = warmth.hour_used if warmth.hour == now_us // HOUR_US else 0
    return min(left, of_bulk, max(1, warmth.budget // rules.bulk_hours >> warmth.halvings) - in_hour)


def _opens_us(warmth: Warmth, now_us: int, rules: WarmupRules, *, bulk: bool) -> int:
    """Now, the next hour, or the next day."""
    if warmth.is_warm or _room(warmth, now_us, rules, bulk=bulk) > 0:
        return now_us
    next_hour_us = (now_us // HOUR_US + 1) * HOUR_US
    has_day = warmth.used < warmth.budget and warmth.bulk < int(warmth.budget * (1 - rules.people_share))
    return next_hour_us if bulk and has_day else (now_us // DAY_US + 1) * DAY_US
