"""Fitting the classifier to everything it was taught: a support vector machine by dual coordinate descent
(Hsieh et al. 2008).

In slices, so that a server can go on with its mail in between. The same lessons in the same order give the
same knowledge.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import copysign

from sekisho.core.policy.classifier.features import ClassifierView, salt_of
from sekisho.core.policy.classifier.knowledge import OWN_SHARE, SOFTNESS, Knowledge, Lesson, odds_of

MIN_BITS, MAX_BITS = 16, 20
MAX_ROUNDS = 60
_SLICE = 8  # lessons between two yields: about 0.5 ms
_TOLERANCE = 0.05  # of the margin: what is nearer need not move
_STILL = 0.001
_SPARSE = 8  # places per feature that there should be


@dataclass(slots=True, kw_only=True)
class _Example:
    """A lesson ready for fitting. `places` index the dense weights; `parts`: (from, to, share) stretches of
    them."""

    places: "array[int]"
    parts: tuple[tuple[int, int, float], ...]
    side: float
    is_private: bool
    own: float  # Q: what moving by one step moves the margin
    pull: float = 0.0  # alpha


class Fitting:
    """One fit. `steps` runs it; then `knowledge` is there."""

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        self._lessons = lessons
        self._ids: dict[int, int] = {}  # hash → dense place
        self._pace_of_hash: dict[int, float] = {}
        self._lean_of_hash: dict[int, float] = {}  # what its weight begins with; 0 for an account's own
        self._paces: list[float] = []
        self._weights: list[float] = []
        self._bias = 0.0
        self._examples: list[_Example] = []
        self.knowledge = Knowledge.empty(MIN_BITS)

    def steps(self) -> Iterator[float]:
        """How much is done, from 0 to 1 and never less than before; stop between any two."""
        yield from self._count()
        yield from self._prepare()
        yield from self._descend()
        self._conclude()
        yield 1.0

    def _count(self) -> Iterator[float]:
        """How often each feature, an account's own ones too, is in spam and in ham: its pace."""
        counts: tuple[dict[int, int], dict[int, int]] = ({}, {})
        views: dict[int, ClassifierView] = {}
        totals = [0, 0]
        for number, lesson in enumerate(self._lessons):
            if not number % _SLICE:
                yield 0.1 * number / len(self._lessons)
            totals[lesson.is_spam] += 1
            count = counts[lesson.is_spam]
            for salt, _ in _salts(lesson):
                for view, hashes in lesson.features.views:
                    salted = [each ^ salt for each in hashes]
                    for each in salted:
                        count[each] = count.get(each, 0) + 1
                    views.update(dict.fromkeys(salted, view if not salt else view._replace(lean=0.0)))
        hams, spams = totals
        for number, (each, view) in enumerate(views.items()):
            if not number % 2000:
                yield 0.1
            odds = odds_of(counts[1].get(each, 0), counts[0].get(each, 0), spams, hams)
            pace = self._pace_of_hash[each] = abs(odds) ** view.power
            self._lean_of_hash[each] = copysign(view.lean * pace, odds)

    def _prepare(self) -> Iterator[float]:
        for number, lesson in enumerate(self._lessons):
            if not number % _SLICE:
                yield 0.1 + 0.1 * number / len(self._lessons)
            self._examples.append(self._example(lesson))

    def _example(self, lesson: Lesson) -> _Example:
        places: array[int] = array("I")
        parts: list[tuple[int, int, float]] = []
        own = 0.0 if lesson.is_private else 1.0
        for salt, weight in _salts(lesson):
            for view, hashes in lesson.features.views:
                begin, part = len(places), weight * view.share(len(hashes))
                places.extend([self._place(each ^ salt) for each in hashes])
                parts.append((begin, len(places), part))
                own += part * part * sum(map(self._paces.__getitem__, places[begin:]))
        return _Example(
            places=places,
            parts=tuple(parts),
            side=1.0 if lesson.is_spam else -1.0,
            is_private=lesson.is_private,
            own=own + SOFTNESS,
        )

    def _place(self, feature: int) -> int:
        known = self._ids.get(feature)
        if known is None:
            known = self._ids[feature] = len(self._paces)
            self._paces.append(self._pace_of_hash[feature])
            self._weights.append(self._lean_of_hash[feature])
        return known

    def _descend(self) -> Iterator[float]:
        active = list(range(len(self._examples)))
        everybody = True
        for turn in range(MAX_ROUNDS):
            # A fixed stride through all of them stands for a shuffle: neighbours are often alike.
            worst, left = 0.0, []
            for number, index in enumerate(_spread(active, turn)):
                if not number % _SLICE:
                    yield 0.2 + 0.75 * (turn + number / len(active)) / MAX_ROUNDS
                moved = self._move(self._examples[index])
                if moved is not None:
                    left.append(index)
                    worst = max(worst, moved)
            if worst < _TOLERANCE:
                if everybody:
                    return
                active, everybody = list(range(len(self._examples))), True
            else:
                active, everybody = sorted(left), len(left) == len(self._examples)

    def _move(self, example: _Example) -> float | None:
        """One coordinate; how far it lay from where it should, or None if it is well beyond the margin."""
        weights, places, bias = self._weights, example.places, 0.0 if example.is_private else self._bias
        margin = bias
        for begin, end, part in example.parts:
            margin += part * sum(map(weights.__getitem__, places[begin:end]))
        slope = example.side * margin - 1 + example.pull * SOFTNESS
        if slope > 0 and not example.pull:
            return None if slope > 0.5 else 0.0
        if abs(slope) < _STILL:
            return 0.0
        pull = max(example.pull - slope / example.own, 0.0)
        step = (pull - example.pull) * example.side
        example.pull = pull
        paces = self._paces
        for begin, end, part in example.parts:
            moved = step * part
            for place in places[begin:end]:
                weights[place] += moved * paces[place]
        if not example.is_private:
            self._bias += step
        return abs(slope)

    def _conclude(self) -> None:
        bits = min(max((len(self._ids) * _SPARSE).bit_length(), MIN_BITS), MAX_BITS)
        found = Knowledge.empty(bits)
        mask = len(found.weights) - 1
        for each, place in self._ids.items():
            found.weights[each & mask] += self._weights[place]
        for each, pace in self._pace_of_hash.items():
            found.paces[each & mask] = pace
        found.spams = sum(lesson.is_spam and not lesson.is_private for lesson in self._lessons)
        found.hams = sum(not lesson.is_spam and not lesson.is_private for lesson in self._lessons)
        found.bias = self._bias
        found.accounts = {lesson.account_id for lesson in self._lessons if lesson.account_id}
        self.knowledge = found


def _salts(lesson: Lesson) -> list[tuple[int, float]]:
    """(salt, weight): everybody's features and the account's own, as far as the lesson is for them."""
    everybody = [] if lesson.is_private else [(0, 1.0)]
    return [*everybody, (salt_of(lesson.account_id), OWN_SHARE)] if lesson.account_id else everybody


def _spread(indices: Sequence[int], turn: int) -> Iterator[int]:
    """All of them once, neighbours far apart, another way each turn."""
    count = len(indices)
    stride = _coprime(count, int(count * 0.618) + 7 * turn)
    place = turn
    for _ in range(count):
        yield indices[place % count]
        place += stride


def _coprime(count: int, wanted: int) -> int:
    stride = max(wanted, 1)
    while _common(stride, count) != 1:
        stride += 1
    return stride


def _common(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def fit(lessons: Sequence[Lesson]) -> Knowledge:
    """All at once, for tests and tools."""
    fitting = Fitting(lessons)
    for _ in fitting.steps():
        pass
    return fitting.knowledge
