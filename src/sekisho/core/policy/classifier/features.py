"""A message to the classifier: tokens, and their hashes, which are all that is kept of a message that was
learned."""

import zlib
from array import array
from dataclasses import dataclass
from typing import NamedTuple

MAX_TOKENS = 2000  # of each view; the first come first

# A view's weight is shared out among its tokens: one whole for all (1), or one for each (0).
_DILUTION = 0.85
_SALT_SEED = 3


class ClassifierView(NamedTuple):
    """`weight`: of the view beside the other; `power`: how much more a telling token counts than another;
    `lean`: how far a token counts by its own odds, before the fit looks at which tokens come together. All
    measured by cross validation (bench/classifier.py): the build tells by a few sure signs, the words by many
    weak ones."""

    seed: int
    weight: float
    power: float
    lean: float

    def share(self, count: int) -> float:
        """What one of `count` tokens weighs."""
        return self.weight / float(max(count, 1) ** _DILUTION)


BUILD = ClassifierView(1, 2.45, 2.0, 0.015)
WORDS = ClassifierView(2, 3.43, 1.4, 0.03)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Each token once, in the order found. `build`: how the message is made and came here; `words`: what it
    says."""

    build: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Features:
    """The hashes of `Tokens`, in the same order."""

    build: "array[int]"
    words: "array[int]"

    @property
    def views(self) -> "tuple[tuple[ClassifierView, array[int]], ...]":
        return (BUILD, self.build), (WORDS, self.words)

    def to_octets(self) -> bytes:
        return len(self.build).to_bytes(4, "little") + _little(self.build) + _little(self.words)

    @classmethod
    def from_octets(cls, octets: bytes) -> "Features":
        """Raises ValueError for what `to_octets` did not give."""
        end = 4 + 4 * int.from_bytes(octets[:4], "little")
        if len(octets) < end or len(octets) % 4:
            raise ValueError("these octets are no features")
        return cls(_read(octets[4:end]), _read(octets[end:]))


def features_of(tokens: Tokens) -> Features:
    return Features(_hashes(tokens.build, BUILD), _hashes(tokens.words, WORDS))


def salt_of(account_id: int) -> int:
    """Turns everybody's hashes into those of one account."""
    return zlib.crc32(account_id.to_bytes(8, "little", signed=True), _SALT_SEED)


def _hashes(tokens: tuple[str, ...], view: ClassifierView) -> "array[int]":
    crc32, seed = zlib.crc32, view.seed
    return array("I", [crc32(token.encode("utf-8", "replace"), seed) for token in tokens[:MAX_TOKENS]])


def _little(values: "array[int]") -> bytes:
    if _IS_BIG:
        values = array("I", values)
        values.byteswap()
    return values.tobytes()


def _read(octets: bytes) -> "array[int]":
    values = array("I")
    values.frombytes(octets)
    if _IS_BIG:
        values.byteswap()
    return values


_IS_BIG = array("H", [1]).tobytes()[0] == 0
