"""The patterns of :matches (RFC 5228 §2.7.1): `*` and `?`, as little as possible from the left (RFC 5229
§3.2).

No backtracking: between two `*` stands a run of fixed length, and the first place where it fits is always
right. A run with `?` in it is sought in all places at once, a bit for each, so the cost is the run's length
times a sixty-fourth of the text's.
"""

from dataclasses import dataclass
from functools import lru_cache

from sekisho.core.sieve.comparators import Comparator

_ANY = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Characters as they are sought, `""` for `?`. `literal`: the whole of it, if there is no `?`."""

    characters: tuple[str, ...]
    literal: str | None
    distinct: int

    def __len__(self) -> int:
        return len(self.characters)


@lru_cache(maxsize=256)
def read_pattern(pattern: str) -> tuple[Run, ...]:
    """The runs between the `*`: one more than there are `*`. A backslash takes `*`, `?` and itself for what
    they are."""
    runs: list[list[str]] = [[]]
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if character == "\\" and position + 1 < len(pattern):
            position += 1
            runs[-1].append(pattern[position])
        elif character == "*":
            runs.append([])
        else:
            runs[-1].append(_ANY if character == "?" else character)
        position += 1
    return tuple(_run(characters) for characters in runs)


def _run(characters: list[str]) -> Run:
    literal = None if _ANY in characters else "".join(characters)
    return Run(tuple(characters), literal, len(set(characters)))


def cost_of(runs: tuple[Run, ...], length: int) -> int:
    """About how many characters are looked at."""
    return sum(
        search_cost(run.literal, length)
        if run.literal is not None
        else length * (run.distinct + 1 + len(run) // 64)
        for run in runs
    )


def search_cost(needle: str, length: int) -> int:
    """Short needles are sought by a method that can look at a character many times."""
    return length * (1 + min(len(needle), 100) // 8)


def fit(runs: tuple[Run, ...], text: str) -> list[tuple[int, int]] | None:
    """Where each wildcard's part lies in `text`, in order of the pattern; None where the pattern does not fit
    the whole text."""
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return _single(first, 0) if len(text) == len(first) and _fits_at(first, text, 0) else None
    end = len(text) - len(last)
    if len(first) > end or not _fits_at(first, text, 0) or not _fits_at(last, text, end):
        return None
    spans = _single(first, 0)
    position = len(first)
    for run in runs[1:-1]:
        place = _find(run, text, position, end)
        if place < 0:
            return None
        spans.append((position, place))
        spans += _single(run, place)
        position = place + len(run)
    spans.append((position, end))
    return spans + _single(last, end)


def _single(run: Run, place: int) -> list[tuple[int, int]]:
    if run.literal is not None:
        return []
    return [
        (place + number, place + number + 1)
        for number, character in enumerate(run.characters)
        if character == _ANY
    ]


def _fits_at(run: Run, text: str, place: int) -> bool:
    if run.literal is not None:
        return text.startswith(run.literal, place)
    return all(character in (_ANY, text[place + number]) for number, character in enumerate(run.characters))


def _find(run: Run, text: str, start: int, end: int) -> int:
    if run.literal is not None:
        return text.find(run.literal, start, end)
    length = end - start
    if len(run) > length:
        return -1
    text = text[start:end]
    fits = (1 << (length - len(run) + 1)) - 1  # bit n: it may begin at n
    masks: dict[str, int] = {}
    for number, character in enumerate(run.characters):
        if character == _ANY:
            continue
        if character not in masks:
            masks[character] = _places(character, text)
        fits &= masks[character] >> number
        if not fits:
            return -1
    return start + (fits & -fits).bit_length() - 1


def _places(character: str, text: str) -> int:
    """A number whose bit n is set where the text has the character at n."""
    pieces = text.split(character)
    return int("1".join("0" * len(piece) for piece in pieces)[::-1], 2)


def taken(spans: list[tuple[int, int]], text: str, folded: str, comparator: Comparator) -> list[str]:
    """What each wildcard took, as it was written."""
    if comparator.one_to_one or len(folded) == len(text):
        return [text[begin:end] for begin, end in spans]
    # A character whose fold is several belongs to the wildcard that took the first of them.
    starts: list[int] = []
    for number, character in enumerate(text):
        starts += [number] * len(comparator.fold(character))
    starts.append(len(text))
    return [text[starts[begin] : starts[end]] for begin, end in spans]
