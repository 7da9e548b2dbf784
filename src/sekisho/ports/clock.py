"""Time and dice, injected everywhere so that a test can hold them still."""

from collections.abc import MutableSequence
from typing import Any, Protocol


class Clock(Protocol):
    def now_us(self) -> int:
        """Wall time, µs since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Dice(Protocol):
    def octets(self, count: int) -> bytes: ...

    def uniform(self, low: float, high: float) -> float: ...

    def shuffle(self, items: MutableSequence[Any]) -> None: ...

    def new_id(self) -> int:
        """A positive 63-bit id for a row (DESIGN §4: ids are made by the application)."""
        ...
