"""What the classifier knows, and what it says about a message.

A linear margin over hashed tokens, fitted so that what was learned lies beyond 1 (spam) or -1 (ham). The pace
of each token is its log odds between spam and ham (NB-SVM: Wang and Manning 2012): what tells the two apart
counts, what is merely frequent does not. The fit begins where each token says what its odds say (naive
Bayes), and goes no further from there than the lessons ask. What an account teaches is learned twice, for
everybody and under the account's own name in the same table (Weinberger et al. 2009); so one person's taste
is followed in that person's mail at once, and in that of others only as far as the rest agrees.
"""

import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from math import log

from sekisho.core.policy.classifier.features import ClassifierView, Features, Tokens, features_of, salt_of

MIN_LESSONS = 100  # of ham and of spam each, before anything is said
# from here on a message is junk: cross validation loses no more than 0.05 % of ham (bench/classifier.py)
JUNK_SCORE = 0.25
SUSPECT_SCORE = 0.0  # below it nobody asks why: less than the least that an operator may call junk
MUCH_HAM = 1000  # lessons from which on nothing is held back
CAUTION = 60.0
CLIP = 0.2  # no single token says more, however telling it was: what is known of it may be a coincidence
OWN_SHARE = 0.7  # of what an account taught, beside everybody's lessons
SMOOTHING = 0.25
SOFTNESS = 1 / 60  # how far a lesson may stay inside the margin; small: lessons are believed
_MAX_TELLING = 6
_LEAST_TELLING = 0.001
_MAX_TELLING_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Lesson:
    """`account_id` 0: taught by the operator. `is_private`: for that account alone."""

    features: Features
    is_spam: bool
    account_id: int = 0
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Teachings:
    """A token and what it adds to the score."""

    token: str
    weight: float


@dataclass(frozen=True, slots=True)
class Opinion:
    """`score`: -1 is what ham is like, 1 what spam is like. `telling`: the tokens that said most, spam's
    first."""

    score: float
    telling: tuple[Teachings, ...] = ()


def odds_of(spam: int, ham: int, spams: int, hams: int) -> float:
    """Of a token that was in `spam` of `spams` and `ham` of `hams` messages: the logarithm of its odds,
    smoothed. Spam's are above 0."""
    a = SMOOTHING
    return log((spam + a) * (hams + 2 * a) / ((ham + a) * (spams + 2 * a)))


def pace_of(spam: int, ham: int, spams: int, hams: int, power: float) -> float:
    return float(abs(odds_of(spam, ham, spams, hams)) ** power)


def caution_of(hams: int) -> float:
    """What is taken off while there is little ham to compare with: then more of what comes is of a kind never
    seen."""
    return max(0.0, CAUTION / max(hams, 1) - CAUTION / MUCH_HAM)


@dataclass(slots=True, kw_only=True)
class Knowledge:
    """Two tables of 2 to the `bits` places. Learns in place; everything else is a question."""

    bits: int
    weights: "array[float]"
    paces: "array[float]"
    bias: float = 0.0
    spams: int = 0
    hams: int = 0
    accounts: set[int] = field(default_factory=set)

    @classmethod
    def empty(cls, bits: int = 16) -> "Knowledge":
        size = 4 << bits
        return cls(bits=bits, weights=array("f", bytes(size)), paces=array("f", bytes(size)))

    @property
    def is_enough(self) -> bool:
        return self.spams >= MIN_LESSONS and self.hams >= MIN_LESSONS

    # --- asking

    def score(self, features: Features, account_id: int = 0) -> float:
        """What the message is judged by."""
        return self.margin(features, account_id) - caution_of(self.hams)

    def margin(self, features: Features, account_id: int = 0) -> float:
        """Each token's say is bounded by `CLIP`."""
        total = self.bias
        for view, hashes in features.views:
            for said in self._said(view, hashes, account_id):
                total += CLIP if said > CLIP else -CLIP if said < -CLIP else said
        return total

    def explain(self, tokens: Tokens, account_id: int = 0, most: int = _MAX_TELLING) -> Opinion:
        return self._explained(tokens, features_of(tokens), account_id, most)

    def opinions(self, tokens: Tokens, account_ids: Iterable[int]) -> dict[int, Opinion]:
        """By account, 0 for everybody. Only of what may be spam are the telling tokens looked for: that costs
        as much as the score."""
        features = features_of(tokens)
        found: dict[int, Opinion] = {}
        for account_id in account_ids:
            score = self.score(features, account_id)
            found[account_id] = (
                Opinion(score)
                if score < SUSPECT_SCORE
                else self._explained(tokens, features, account_id, _MAX_TELLING)
            )
        return found

    def _explained(self, tokens: Tokens, features: Features, account_id: int, most: int) -> Opinion:
        told: list[tuple[float, str]] = []
        for names, (view, hashes) in zip((tokens.build, tokens.words), features.views, strict=True):
            told += zip(self._said(view, hashes, account_id), names, strict=False)
        told = [(max(-CLIP, min(CLIP, said)), name) for said, name in told]
        most_spam = nlargest(most, (each for each in told if each[0] > _LEAST_TELLING))
        most_ham = nlargest(most, ((-said, name) for said, name in told if said < -_LEAST_TELLING))
        telling = [Teachings(name[:_MAX_TELLING_LENGTH], round(said, 3)) for said, name in most_spam]
        telling += [Teachings(name[:_MAX_TELLING_LENGTH], -round(said, 3)) for said, name in most_ham]
        return Opinion(self.bias + sum(said for said, _ in told) - caution_of(self.hams), tuple(telling))

    def _said(self, view: ClassifierView, hashes: Sequence[int], account_id: int) -> list[float]:
        weights, mask, part = self.weights, len(self.weights) - 1, view.share(len(hashes))
        if account_id not in self.accounts:
            return [weights[each & mask] * part for each in hashes]
        salt = salt_of(account_id)
        return [(weights[each & mask] + OWN_SHARE * weights[(each ^ salt) & mask]) * part for each in hashes]

    # --- learning one lesson at a time, between fits

    def learn(self, lesson: Lesson) -> None:
        """Move just so far that the lesson lies at the margin (passive-aggressive: Crammer et al. 2006)."""
        if lesson.is_spam:
            self.spams += not lesson.is_private
        else:
            self.hams += not lesson.is_private
        if lesson.account_id:
            self.accounts.add(lesson.account_id)
        side = 1.0 if lesson.is_spam else -1.0
        places = list(self._places(lesson))
        margin = self.bias + sum(self.weights[place] * part for place, part, _ in places)
        missing = 1 - side * margin
        if missing <= 0:
            return
        step = side * missing / (sum(part * part * pace for _, part, pace in places) + 1 + SOFTNESS)
        for place, part, pace in places:
            self.weights[place] += step * part * pace
        if not lesson.is_private:
            self.bias += step

    def _places(self, lesson: Lesson) -> Iterable[tuple[int, float, float]]:
        """(place, share, pace) of everything that the lesson moves."""
        mask, paces = len(self.weights) - 1, self.paces
        salt = salt_of(lesson.account_id)
        for view, hashes in lesson.features.views:
            part = view.share(len(hashes))
            fresh = pace_of(
                lesson.is_spam, not lesson.is_spam, max(self.spams, 1), max(self.hams, 1), view.power
            )
            for each in hashes:
                if not lesson.is_private:
                    yield each & mask, part, paces[each & mask] or fresh
                if lesson.account_id:
                    own = (each ^ salt) & mask
                    yield own, part * OWN_SHARE, paces[own] or fresh

    # --- keeping

    def to_octets(self) -> bytes:
        head = (
            f"{self.bits} {self.bias!r} {self.spams} {self.hams} "
            f"{','.join(map(str, sorted(self.accounts)))}\n"
        )
        return zlib.compress(head.encode() + self.weights.tobytes() + self.paces.tobytes(), 1)

    @classmethod
    def from_octets(cls, octets: bytes) -> "Knowledge":
        """Raises ValueError for what `to_octets` on this machine's kind did not give."""
        try:
            head, _, tables = zlib.decompress(octets).partition(b"\n")
            bits, bias, spams, hams, accounts = head.decode("ascii").split(" ")
            size = 4 << int(bits)
        except (zlib.error, UnicodeDecodeError) as error:
            raise ValueError(f"these octets are no knowledge: {error}") from error
        if len(tables) != 2 * size:
            raise ValueError("these octets are no knowledge: they are cut")
        weights, paces = array("f"), array("f")
        weights.frombytes(tables[:size])
        paces.frombytes(tables[size:])
        known = {int(each) for each in accounts.split(",") if each}
        return cls(
            bits=int(bits),
            weights=weights,
            paces=paces,
            bias=float(bias),
            spams=int(spams),
            hams=int(hams),
            accounts=known,
        )
