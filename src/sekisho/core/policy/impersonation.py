"""Whose name does From show? Mail programs show the name and hide the address, so that a name of ours on a
foreign address deceives."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from sekisho.core.message.text import decode_field

MOST_CHARACTERS = 300  # of a name that is looked at
_COMMENT = re.compile(rb"\(([^()]*)\)")
_ADDRESS = re.compile(r"[^\s<>()\"',;:@]{1,64}@[^\s<>()\"',;:@]{1,253}")
_SHORTEST_LETTERS, _SHORTEST_SIGNS = 5, 3


@dataclass(frozen=True, slots=True)
class ImpersonationFinding:
    """From shows the name of `account`, or its address as a name, and is of `author`, whom nobody here
    knows."""

    account: str
    author: str
    by: Literal["name", "address"]

    def explain(self) -> str:
        shown = "the name" if self.by == "name" else "the address"
        return f"From shows {shown} of {self.account}, but is from {self.author}"


def shown_name(value: bytes) -> str:
    """What a mail program shows of a From with one address: the display name, or the comments beside a bare
    address; "" if nothing."""
    place = value.rfind(b"<")
    shown = value[:place] if place >= 0 else b" ".join(_COMMENT.findall(value))
    return decode_field(shown[:MOST_CHARACTERS]).strip(' \t\r\n"') if shown.strip() else ""


def folded(name: str) -> str:
    """As the eye reads it: width and case, spaces, quotes and signs that nobody sees make no other name."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(
        sign
        for sign in text
        if not sign.isspace() and sign not in "\"'" and unicodedata.category(sign) != "Cf"
    )


def is_telling(name: str) -> bool:
    """Is it the name of one person rather than of many? A given name alone is not; names in Han or Kana are
    short."""
    key = folded(name)
    return (
        len(key) >= _SHORTEST_LETTERS and len(name.split()) > 1
        if key.isascii()
        else len(key) >= _SHORTEST_SIGNS
    )


def addresses_in(name: str) -> list[str]:
    """What looks like an address in it, in lower case, the first few."""
    return [found.lower().rstrip(".") for found in _ADDRESS.findall(unicodedata.normalize("NFKC", name))[:5]]
