"""A clock that stands until it is moved, and dice that fall the same way each time."""

import random
from collections.abc import MutableSequence
from typing import Any


class ManualClock:
    def __init__(self, now_us: int = 1_800_000_000_000_000) -> None:
        self._now_us = now_us
        self._monotonic = 1000.0

    def now_us(self) -> int:
        return self._now_us

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        self._now_us += int(seconds * 1_000_000)
        self._monotonic += seconds


class SeededDice:
    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def octets(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def shuffle(self, items: MutableSequence[Any]) -> None:
        self._random.shuffle(items)

    def new_id(self) -> int:
        return self._random.getrandbits(62) + 1
