"""Sequence sets as a client writes them (RFC 3501 §9 `sequence-set`)."""

import re

from msgspec import Struct

from sekisho.core.terms.uidset import UidSet

STAR = 0  # "*": the largest number in use
_ELEMENT = rb"(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?"
SEQUENCE_SET = re.compile(_ELEMENT + rb"(?:," + _ELEMENT + rb")*")
MAX_NUMBER = 0xFFFFFFFF


class SequenceSet(Struct, frozen=True):
    """Pairs as written: either end may be STAR, and the first may be the greater (RFC 3501 §9
    `seq-range`)."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def from_wire(cls, raw: bytes) -> "SequenceSet":
        """`raw` already matches SEQUENCE_SET; raises ValueError for numbers above 32 bits."""
        ranges = []
        for element in raw.split(b","):
            first, _, last = element.partition(b":")
            low = STAR if first == b"*" else int(first)
            high = low if not last else STAR if last == b"*" else int(last)
            if low > MAX_NUMBER or high > MAX_NUMBER:
                raise ValueError("a number above 4294967295")
            ranges.append((low, high))
        return cls(tuple(ranges))

    def uids(self, view: UidSet) -> UidSet:
        """The members of `view` that it names as a set of UIDs; others are silently left out (RFC 3501
        §6.4.8)."""
        largest = view.last
        if not largest:
            return view
        runs = []
        for first, last in self.ranges:
            low, high = first or largest, last or largest
            runs.append((low, high) if low <= high else (high, low))
        return UidSet.from_runs(runs) & view

    def uids_of_numbers(self, view: UidSet) -> UidSet:
        """The UIDs of the message sequence numbers that it names; raises IndexError for a number not in
        use."""
        count = len(view)
        runs = []
        for first, last in self.ranges:
            low, high = first or count, last or count
            if low > high:
                low, high = high, low
            if not count or high > count:
                raise IndexError(high)
            runs.append((view.uid_at(low), view.uid_at(high)))
        return UidSet.from_runs(runs) & view
