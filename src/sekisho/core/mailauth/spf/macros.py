"""Macro strings: parsed once with the record, expanded for each message (RFC 7208 §7)."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

MAX_DOMAIN_OCTETS = 253  # RFC 7208 §7.3
MAX_PARTS = 128  # more labels than a name can have

# RFC 7208 §7.1 macro-expand, or a run of macro-literals (space is allowed in an explain-string only, §6.2).
_TOKEN = re.compile(r"%\{([slodiphcrtvSLODIPHCRTV])([0-9]*)([rR]?)([.\-+,/_=]*)\}|%([%_\-])|([ !-$&-~]+)")
_PERCENT = {"%": "%", "_": " ", "-": "%20"}
# RFC 7208 §7.1 toplabel: letters, digits and inner hyphens, not only digits.
_TOPLABEL = re.compile(r"(?![0-9]+\Z)[0-9A-Za-z](?:[0-9A-Za-z\-]*[0-9A-Za-z])?\Z")


class MacroError(ValueError):
    """The text is no macro-string or no domain-spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Macro:
    letter: str  # lower-case
    parts: int  # keep so many on the right; 0: all
    reverse: bool
    delimiters: str
    escape: bool  # an upper-case letter (RFC 7208 §7.3)


@dataclass(frozen=True, slots=True)
class MacroString:
    """`literal` is the expansion if there is nothing to expand."""

    text: str
    tokens: tuple[str | Macro, ...]
    literal: str | None

    @property
    def letters(self) -> frozenset[str]:
        return frozenset(token.letter for token in self.tokens if isinstance(token, Macro))

    def expand(self, values: dict[str, str]) -> str:
        """`values` holds a text for every letter used."""
        if self.literal is not None:
            return self.literal
        return "".join(
            token if isinstance(token, str) else _expand(token, values[token.letter]) for token in self.tokens
        )


def parse_macro_string(text: str, kind: Literal["domain", "explanation", "modifier"]) -> MacroString:
    """Raises MacroError. Only an explanation may hold spaces and the letters c, r and t (RFC 7208 §7.2)."""
    tokens: list[str | Macro] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise MacroError(f"the macro at {text[position : position + 20]!r} cannot be read")
        position = match.end()
        letter, digits, reverse, delimiters, percent, literal = match.groups()
        if letter:
            if letter in "crtCRT" and kind == "domain":
                raise MacroError(f"the macro letter {letter} is for explanations only")
            if digits and not digits.strip("0"):
                raise MacroError("a macro that keeps 0 parts")
            parts = int(digits or 0) if len(digits) <= 3 else MAX_PARTS
            tokens.append(
                Macro(
                    letter=letter.lower(),
                    parts=parts,
                    reverse=bool(reverse),
                    delimiters=delimiters or ".",
                    escape=letter.isupper(),
                )
            )
        elif percent:
            tokens.append(_PERCENT[percent])
        else:
            if " " in literal and kind != "explanation":
                raise MacroError("a space")
            tokens.append(literal)
    if kind == "domain":
        _check_domain_end(text, tokens)
    whole = "".join(token for token in tokens if isinstance(token, str))
    return MacroString(
        text, tuple(tokens), whole if all(isinstance(token, str) for token in tokens) else None
    )


def _check_domain_end(text: str, tokens: list[str | Macro]) -> None:
    """RFC 7208 §7.1 domain-end: a macro, or a dot and a top label."""
    if tokens and (isinstance(tokens[-1], Macro) or text[-2:] in ("%%", "%_", "%-")):
        return
    last = tokens[-1] if tokens else ""
    _, dot, label = str(last).removesuffix(".").rpartition(".")
    if not dot or not _TOPLABEL.match(label):
        raise MacroError(f"{text[:80]!r} is no domain name")


def _expand(macro: Macro, value: str) -> str:
    """RFC 7208 §7.3."""
    if macro.parts or macro.reverse or macro.delimiters != ".":
        pieces = re.split(f"[{re.escape(macro.delimiters)}]", value)
        if macro.reverse:
            pieces.reverse()
        value = ".".join(pieces[-macro.parts :])
    return quote(value, safe="") if macro.escape else value


def shorten_domain(name: str) -> str:
    """An expanded domain-spec as a name: no trailing dot, labels dropped on the left until it fits (RFC 7208
    §7.3)."""
    name = name.removesuffix(".")
    excess = len(name) - MAX_DOMAIN_OCTETS
    if excess <= 0:
        return name
    dot = name.find(".", excess - 1)
    return name[dot + 1 :] if dot >= 0 else ""
