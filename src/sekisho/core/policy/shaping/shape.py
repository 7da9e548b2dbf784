"""What is remembered of one provider, for one address that we send from."""

from msgspec import Struct

from sekisho.core.policy.shaping.pace import FREE, Pace
from sekisho.core.policy.shaping.warmup import Warmth


class Shape(Struct, frozen=True, kw_only=True):
    """`warmth` None: no budget is kept."""

    pace: Pace = FREE
    warmth: Warmth | None = None


UNKNOWN = Shape()
