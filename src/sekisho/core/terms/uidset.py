"""Ascending sets of UIDs, kept as runs: a mailbox of a million messages is one run until something is
expunged."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

Run = tuple[int, int]  # first and last, both inside


class UidSet:
    """An immutable ascending set of positive integers as disjoint, non-touching runs.

    `uid_at` and `number_of` translate between message sequence numbers (1-based, RFC 9051 §2.3.1.2) and UIDs
    in O(log runs).
    """

    __slots__ = ("_ends", "_firsts", "runs")

    def __init__(self, runs: tuple[Run, ...] = ()) -> None:
        """`runs` must already be ascending, disjoint and not touching; use `from_runs` for anything else."""
        self.runs = runs
        self._firsts: list[int] | None = None
        self._ends: list[int] | None = None  # cumulated counts

    @classmethod
    def from_runs(cls, runs: Iterable[Run]) -> "UidSet":
        merged: list[Run] = []
        for first, last in sorted(runs):
            if last < first:
                continue
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidSet":
        return cls.from_runs((uid, uid) for uid in uids)

    def _index(self) -> tuple[list[int], list[int]]:
        if self._firsts is None or self._ends is None:
            self._firsts = [first for first, _ in self.runs]
            self._ends = list(accumulate(last - first + 1 for first, last in self.runs))
        return self._firsts, self._ends

    def __len__(self) -> int:
        return self._index()[1][-1] if self.runs else 0

    def __bool__(self) -> bool:
        return bool(self.runs)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.runs:
            yield from range(first, last + 1)

    def __contains__(self, uid: int) -> bool:
        return self.number_of(uid) is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UidSet) and self.runs == other.runs

    def __hash__(self) -> int:
        return hash(self.runs)

    def __repr__(self) -> str:
        return f"UidSet({self})"

    def __str__(self) -> str:
        """The `sequence-set` of RFC 9051 §9, empty when the set is."""
        return ",".join(f"{first}:{last}" if last > first else str(first) for first, last in self.runs)

    @property
    def last(self) -> int:
        """The greatest member, or 0."""
        return self.runs[-1][1] if self.runs else 0

    def uid_at(self, number: int) -> int:
        """The UID of a 1-based sequence number; raises IndexError outside 1..len."""
        firsts, ends = self._index()
        if not 1 <= number <= len(self):
            raise IndexError(number)
        run = bisect_right(ends, number - 1)
        before = ends[run - 1] if run else 0
        return firsts[run] + number - 1 - before

    def number_of(self, uid: int) -> int | None:
        """The 1-based sequence number of a UID, or None."""
        firsts, ends = self._index()
        run = bisect_right(firsts, uid) - 1
        if run < 0 or uid > self.runs[run][1]:
            return None
        return (ends[run - 1] if run else 0) + uid - firsts[run] + 1

    def count_up_to(self, uid: int) -> int:
        """How many members are ≤ uid."""
        firsts, ends = self._index()
        run = bisect_right(firsts, uid) - 1
        if run < 0:
            return 0
        return (ends[run - 1] if run else 0) + min(uid, self.runs[run][1]) - firsts[run] + 1

    def __or__(self, other: "UidSet") -> "UidSet":
        if not other.runs:
            return self
        if not self.runs:
            return other
        return UidSet.from_runs(self.runs + other.runs)

    def __and__(self, other: "UidSet") -> "UidSet":
        out: list[Run] = []
        left, right = 0, 0
        while left < len(self.runs) and right < len(other.runs):
            (first_a, last_a), (first_b, last_b) = self.runs[left], other.runs[right]
            first, last = max(first_a, first_b), min(last_a, last_b)
            if first <= last:
                out.append((first, last))
            if last_a < last_b:
                left += 1
            else:
                right += 1
        return UidSet(tuple(out))

    def __sub__(self, other: "UidSet") -> "UidSet":
        if not other.runs or not self.runs:
            return self
        out: list[Run] = []
        holes = iter(other.runs)
        hole: Run | None = next(holes)
        for first, last in self.runs:
            while hole is not None and hole[1] < first:
                hole = next(holes, None)
            start = first
            while hole is not None and hole[0] <= last:
                if start < hole[0]:
                    out.append((start, hole[0] - 1))
                start = hole[1] + 1
                if hole[1] > last:
                    break
                hole = next(holes, None)
            if start <= last:
                out.append((start, last))
        return UidSet(tuple(out))
