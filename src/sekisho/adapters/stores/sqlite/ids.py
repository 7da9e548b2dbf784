"""Ids of rows: 42 bits of milliseconds, so that rows made together lie together, then 21 bits that start at
random in each millisecond and count up; a clash with another worker's is tried again."""

from collections.abc import Callable

from sekisho.ports.clock import Clock, Dice

_RANDOM_BITS = 21
_TRIES = 100


class Ids:
    def __init__(self, clock: Clock, dice: Dice) -> None:
        self._clock, self._dice = clock, dice
        self._millisecond = -1
        self._last = 0

    def new(self) -> int:
        millisecond = self._clock.now_us() // 1000
        if millisecond == self._millisecond:
            self._last += 1
        else:
            self._millisecond = millisecond
            self._last = millisecond << _RANDOM_BITS | self._dice.new_id() & (1 << _RANDOM_BITS) - 1
        return self._last

    def insert(self, insert: Callable[[int], bool]) -> int:
        """An id with which `insert` succeeded; it returns False when the id was taken."""
        for _ in range(_TRIES):
            new = self.new()
            if insert(new):
                return new
            self._millisecond = -1
        raise RuntimeError("no free id in 100 tries: is the clock standing still?")


def first_id(at_us: int) -> int:
    """Ids made before that time are smaller."""
    return at_us // 1000 << _RANDOM_BITS


def content_text(content_id: int) -> str:
    return f"{content_id:016x}"


def email_text(email_id: int) -> str:
    """RFC 8474 §4: letters, digits, hyphen and underscore."""
    return f"M{email_id:016x}"


def thread_text(thread_id: int) -> str:
    return f"T{thread_id:016x}"
