"""How strings are compared (RFC 4790): equal, part of each other, before each other."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_DIGITS = re.compile(r"[0-9]+")
_MAX_DIGITS = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparator:
    """`fold`: two strings are equal whose folds are; `order`: what to sort by; `substrings`: whether
    :contains and :matches make sense.

    `one_to_one`: a fold has a character for each of the string's, at its place. `price`: how many times
    dearer than others its fold is.
    """

    name: str
    fold: Callable[[str], str]
    order: Callable[[str], Any]
    substrings: bool = True
    one_to_one: bool = True
    price: int = 1


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def fold_ascii(text: str) -> str:
    """RFC 4790 §9.2.1: a to z as A to Z, nothing else."""
    return text.upper() if text.isascii() else _octets(text).upper().decode("utf-8", "surrogateescape")


def fold_unicode(text: str) -> str:
    """RFC 5051 §2: each character as its title case, then decomposed."""
    return text.upper() if text.isascii() else "".join(map(_fold_character, text))


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    title = character.title()
    return unicodedata.normalize("NFKD", title if len(title) == 1 else character)


def _number(text: str) -> tuple[int, int, str]:
    """RFC 4790 §9.1: the digits it begins with; without any it is larger than every number. No arithmetic on
    a stranger's digits."""
    match = _DIGITS.match(text[:_MAX_DIGITS])
    if match is None:
        return (1, 0, "")
    digits = match[0].lstrip("0")
    return (0, len(digits), digits)


def _fold_number(text: str) -> str:
    return "{}:{}:{}".format(*_number(text))


def _same(text: str) -> str:
    return text


COMPARATORS = {
    "i;octet": Comparator(name="i;octet", fold=_same, order=_octets),
    "i;ascii-casemap": Comparator(
        name="i;ascii-casemap", fold=fold_ascii, order=lambda text: _octets(fold_ascii(text))
    ),
    "i;ascii-numeric": Comparator(name="i;ascii-numeric", fold=_fold_number, order=_number, substrings=False),
    "i;unicode-casemap": Comparator(
        name="i;unicode-casemap",
        fold=fold_unicode,
        order=lambda text: _octets(fold_unicode(text)),
        one_to_one=False,
        price=16,
    ),
}
DEFAULT_COMPARATOR = COMPARATORS["i;ascii-casemap"]  # RFC 5228 §2.7.3
# RFC 5228 §2.7.3: the first two need no require; nobody asks for the third, whose name is clear without one.
BUILT_IN_COMPARATORS = frozenset(("i;octet", "i;ascii-casemap", "i;unicode-casemap"))
