"""How fast mail goes to one provider after it complained: multiplicative decrease, slow increase. Pure.

A complaint closes the provider for a while, and for all mail: going on after a 4xx is what gets an address
blocked. After the rest messages leave one by one, and the pace grows with each span without
trouble. Complaints that answer what was already under way count once.
"""

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from sekisho.core.policy.shaping.recognise import Recognised

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
FIRST_PER_MINUTE = 20.0  # after the first complaint
LEAST_PER_MINUTE = 1.0
STEP_PER_MINUTE = 5.0
STEP_US = 5 * MINUTE_US
FREE_PER_MINUTE = 120.0  # from here on nothing is counted any more
SAME_TROUBLE_US = 30 * SECOND_US
LONGEST_REST_US = 4 * HOUR_US
FORGOTTEN_US = DAY_US  # without any trouble, even where nothing was sent


class Pace(Struct, frozen=True, kw_only=True):
    """`per_minute` 0: as fast as it goes. `connections` 0: as many as the provider's row says. `next_us`:
    when the next message may begin; `tail_us`: until when others wait, with bulk mail apart. `strikes`:
    complaints in a row."""

    per_minute: float = 0.0
    connections: int = 0
    closed_until_us: int = 0
    next_us: int = 0
    tail_us: int = 0
    bulk_tail_us: int = 0
    strikes: int = 0
    slowed_at_us: int = 0
    changed_at_us: int = 0
    rule: str = ""
    reply: str = ""

    @property
    def is_free(self) -> bool:
        return not self.per_minute and not self.connections


FREE = Pace()


class Admitted(NamedTuple):
    """`at_us`: when it may go; not later than now: at once."""

    pace: Pace
    at_us: int


def admitted(pace: Pace, now_us: int, *, bulk: bool = False) -> Admitted:
    """May a message begin now? Else one place is kept for it; letters do not queue up behind bulk mail."""
    if pace.slowed_at_us and now_us - max(pace.slowed_at_us, pace.closed_until_us) >= FORGOTTEN_US:
        pace = FREE
    opens_us = max(pace.closed_until_us, pace.next_us)
    if pace.is_free or (now_us >= pace.closed_until_us and not pace.per_minute):
        return Admitted(pace, now_us)
    interval_us = int(MINUTE_US / pace.per_minute) if pace.per_minute else SECOND_US
    if now_us >= opens_us:
        return Admitted(replace(pace, next_us=now_us + interval_us), now_us)
    if bulk:
        at_us = max(pace.bulk_tail_us, pace.tail_us, opens_us + interval_us)
        return Admitted(replace(pace, bulk_tail_us=at_us + 2 * interval_us), at_us)
    at_us = max(pace.tail_us, opens_us)
    return Admitted(replace(pace, tail_us=at_us + interval_us), at_us)


def slowed(pace: Pace, now_us: int, found: Recognised, reply: str) -> Pace | None:
    """After a complaint; None where it tells nothing new."""
    action = found.treatment.action
    is_same = now_us < pace.closed_until_us or now_us - pace.slowed_at_us < SAME_TROUBLE_US
    if action == "none" or (pace.slowed_at_us and is_same):
        return None
    row = found.provider.connections if found.provider is not None else 2
    known = replace(pace, slowed_at_us=now_us, changed_at_us=now_us, rule=found.rule.name, reply=reply[:500])
    rest_us = found.rest_seconds * SECOND_US
    if action == "fewer":
        fewer = max(1, (pace.connections or row) // 2)
        return replace(known, connections=fewer, closed_until_us=now_us + rest_us)
    rest_us = min(rest_us << min(pace.strikes, 8), LONGEST_REST_US)
    opens_us = now_us + rest_us
    return replace(
        known,
        per_minute=max(LEAST_PER_MINUTE, pace.per_minute / 2 if pace.per_minute else FIRST_PER_MINUTE),
        connections=1,
        closed_until_us=opens_us,
        next_us=opens_us,
        tail_us=opens_us,
        bulk_tail_us=opens_us,
        strikes=pace.strikes + 1,
    )


def eased(pace: Pace, now_us: int, connections: int) -> Pace | None:
    """After a delivery; None while nothing changes. `connections`: those of the provider's row."""
    if pace.is_free or now_us - max(pace.changed_at_us, pace.closed_until_us) < STEP_US:
        return None
    per_minute = pace.per_minute + STEP_PER_MINUTE if pace.per_minute else 0.0
    more = pace.connections + 1 if pace.connections else 0
    if per_minute >= FREE_PER_MINUTE or (not per_minute and more >= connections):
        return FREE
    return replace(pace, per_minute=per_minute, connections=min(more, connections), changed_at_us=now_us)
