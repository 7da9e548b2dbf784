"""The real clock and the real dice."""

import random
import secrets
import time
from collections.abc import MutableSequence
from typing import Any


class SystemClock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    monotonic = staticmethod(
        time.monotonic
    )  # asked several times a command: without a Python call in between


class SystemDice:
    """Cryptographic octets; statistical shuffles (nothing secret depends on those)."""

    def octets(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def uniform(self, low: float, high: float) -> float:
        return random.uniform(low, high)

    def shuffle(self, items: MutableSequence[Any]) -> None:
        random.shuffle(items)

    def new_id(self) -> int:
        return secrets.randbits(62) + 1
