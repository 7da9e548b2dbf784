"""S25R (Hideo Asami, 2004): does the client's name look like that of an end user's line?

A suspicion and never more: tried on names of today, the six patterns hit large senders too (Gmail: 1;
Microsoft 365: 1, 2). A hit alone does nothing; it only makes a client one that may be asked to come back.
"""

import re
from dataclasses import dataclass

from sekisho.core.mailauth.iprev.check import IprevFinding

_MAX_NAME = 253  # RFC 1035 §2.3.4; longer is no name, and no pattern ever sees it

# Number, pattern, what it says. Matched against the forward-confirmed name in lower case.
PATTERNS: tuple[tuple[int, re.Pattern[str], str], ...] = (
    (1, re.compile(r"[^.]*[0-9][^0-9.]+[0-9].*\."), "the lowest label holds two runs of digits"),
    (2, re.compile(r"[^.]*[0-9]{5}"), "the lowest label holds five digits in a row"),
    (
        3,
        re.compile(r"(?:[^.]+\.)?[0-9][^.]*\.[^.]+\..+\.[a-z]"),
        "one of the two lowest labels begins with a digit",
    ),
    (
        4,
        re.compile(r"[^.]*[0-9]\.[^.]*[0-9]-[0-9]"),
        "the lowest label ends in a digit, the next joins digits by a hyphen",
    ),
    (
        5,
        re.compile(r"[^.]*[0-9]\.[^.]*[0-9]\.[^.]+\..+\."),
        "of five or more labels the two lowest end in digits",
    ),
    (
        6,
        re.compile(r"(?:dhcp|dialup|ppp|[achrsvx]?dsl)[^.]*[0-9]"),
        "the lowest label begins as dial-up and DSL lines do",
    ),
)
NO_NAME = "no name of the client leads back to it"


@dataclass(frozen=True, slots=True)
class S25rFinding:
    """`hits`: numbers of the rules that fit, 0 for a client without a confirmed name. None: the DNS could not
    say."""

    hits: tuple[int, ...] | None
    name: str = ""

    @property
    def is_suspicious(self) -> bool:
        return bool(self.hits)

    def explain(self) -> str:
        if self.hits is None:
            return "the name of the client could not be found out"
        if not self.hits:
            return f"{self.name} looks like the name of a server"
        if self.hits == (0,):
            return NO_NAME
        said = {number: text for number, _, text in PATTERNS}
        return f"{self.name}: " + "; ".join(f"rule {number}, {said[number]}" for number in self.hits)


def check_s25r(iprev: IprevFinding) -> S25rFinding:
    """The rules of S25R over what iprev found."""
    if iprev.result == "temperror":
        return S25rFinding(None)
    name = iprev.name.rstrip(".").lower()
    if iprev.result != "pass" or not name or len(name) > _MAX_NAME:
        return S25rFinding((0,))
    return S25rFinding(matching_rules(name), name)


def matching_rules(name: str) -> tuple[int, ...]:
    """Numbers of the patterns that fit a lower-case host name."""
    return tuple(number for number, pattern, _ in PATTERNS if pattern.match(name))
