"""Strings of a script: encoded characters (RFC 5228 §2.4.2.4), and variables to be filled in (RFC 5229
§3)."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_ENCODED = re.compile(
    r"\$\{(?:(hex):[ \t\r\n]*+((?:[0-9A-Fa-f]{1,2}(?:[ \t\r\n]++|(?=\})))++)"
    r"|(unicode):[ \t\r\n]*+((?:[0-9A-Fa-f]{1,8}(?:[ \t\r\n]++|(?=\})))++))\}",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\{((?:[A-Za-z_][A-Za-z0-9_]*+\.){0,4}(?:[A-Za-z_][A-Za-z0-9_]*+|[0-9]{1,9}))\}")
MAX_MATCH_VARIABLE = 99
_NAME = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*+\.){0,4}[A-Za-z_][A-Za-z0-9_]*+\Z")


@dataclass(frozen=True, slots=True)
class Template:
    """Text and names of variables in turn: even places are text, odd ones names in lower case."""

    pieces: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.pieces[1::2]

    def fill(self, value_of: Callable[[str], str], limit: int) -> str:
        """At most about `limit` characters: what goes beyond is left out."""
        out: list[str] = []
        length = 0
        for place, piece in enumerate(self.pieces):
            text = value_of(piece) if place % 2 else piece
            out.append(text)
            length += len(text)
            if length > limit:
                break
        return "".join(out)[:limit]


def is_variable_name(text: str) -> bool:
    """A plain name, or one in a namespace (RFC 5229 §3)."""
    return bool(_NAME.match(text))


def read_template(text: str) -> str | Template:
    """The string itself where it names no variable. Others than names of variables stay as they are (RFC 5229
    §3)."""
    if "${" not in text:
        return text
    pieces = [
        piece if place % 2 == 0 else piece.lower() for place, piece in enumerate(_REFERENCE.split(text))
    ]
    return Template(tuple(pieces)) if len(pieces) > 1 else text


def decode_characters(text: str) -> str:
    """RFC 5228 §2.4.2.4. Raises `ValueError` for a code point that is none. Octets that are no UTF-8 come as
    lone surrogates."""
    if "${" not in text:
        return text
    octets = _ENCODED.sub(_character, text).encode("utf-8", "surrogateescape")
    return octets.decode("utf-8", "surrogateescape")


def _character(match: re.Match[str]) -> str:
    if match[1]:
        return bytes(int(pair, 16) for pair in match[2].split()).decode("utf-8", "surrogateescape")
    found: list[str] = []
    for digits in match[4].split():
        number = int(digits, 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise ValueError(digits)
        found.append(chr(number))
    return "".join(found)
