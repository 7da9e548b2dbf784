"""How much one network may ask of the door in a while, so that nobody takes the room of all others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

# "errors": commands out of place or malformed; "refused": recipients that do not exist or are not ours.
Measure = Literal["connections", "messages", "recipients", "errors", "refused"]
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Events of one network (/24, /64) within `window_seconds`; 0: without limit. Whom we have good
    experience with may do `known_factor` times as much."""

    window_seconds: int = 600
    connections: int = 10_000
    messages: int = 10_000
    recipients: int = 20_000
    errors: int = 300
    refused: int = 200
    known_factor: int = 10
    _by_measure: Mapping[Measure, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_measure", {measure: getattr(self, measure) for measure in MEASURES})

    def of(self, measure: Measure) -> int:
        return self._by_measure[measure]

    def is_passed(self, measure: Measure, count: int) -> bool:
        """By a stranger, whom nothing vouches for."""
        return 0 < self._by_measure[measure] < count


@dataclass(frozen=True, slots=True)
class RateFinding:
    """What a network did lately; `vouched` tells why it has more room, "" if nothing speaks for it."""

    network: str
    counts: Mapping[Measure, int]
    vouched: str = ""

    def explain(self, measure: Measure, limits: RateLimits) -> str:
        """Why it did too much, "" if it did not."""
        limit = limits.of(measure) * (limits.known_factor if self.vouched else 1)
        count = self.counts.get(measure, 0)
        if not 0 < limit < count:
            return ""
        return f"{self.network}: {count} {_NAMES[measure]} in {limits.window_seconds} seconds, of {limit}"


_NAMES: Mapping[Measure, str] = {
    "connections": "connections",
    "messages": "messages",
    "recipients": "recipients",
    "errors": "errors",
    "refused": "refused recipients",
}
