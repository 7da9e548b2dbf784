"""MTA-STS: what a domain says about the TLS of its mail hosts (RFC 8461). Syntax and matching; fetching is
the relay's.

Read strictly: a record or policy that is not what the grammar says is none at all, since a sender that
guesses would enforce what nobody wrote. The one leniency the RFC itself gives: of a field that may stand
once, the first counts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

StsMode = Literal["enforce", "testing", "none"]

POLICY_OCTETS = 64 * 1024  # RFC 8461 §3.3: a limit of 64 kilobytes is suggested
MAX_AGE_SECONDS = 31_557_600  # RFC 8461 §3.2
MAX_PATTERNS = 100

# RFC 8461 §3.1. What one field may be, and the whole as fields between semicolons.
_DELIMITER = r"[ \t]*;[ \t]*"
_EXTENSION = r"[A-Za-z0-9][A-Za-z0-9_\-.]{0,31}[ \t]*=[ \t]*[!-:<>-~]+"
_RECORD = re.compile(rf"v=STSv1((?:{_DELIMITER}{_EXTENSION})+)(?:{_DELIMITER})?[ \t]*\Z")
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_VERSION = re.compile(r"v=STSv1[ \t]*(?:;|\Z)")
# RFC 8461 §3.2.
_LINE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9_\-.]{0,31})[ \t]*:[ \t]*([^ \t\x00-\x1f\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^ "
    r"\t\x00-\x1f\x7f])?)[ \t]*\Z"
)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_PATTERN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\Z")
_AGE = re.compile(r"[0-9]{1,10}\Z")


class StsError(ValueError):
    """A record or policy that is not one; `str()` says why, in the words of TLS reports'
    failure-reason-code."""


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """`patterns`: the mail hosts, in lower case; `max_age_seconds`: how long it may be used without asking
    again.

    `lines`: as it was written, for reports (RFC 8460 §4.2).
    """

    mode: StsMode
    max_age_seconds: int
    patterns: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()

    def names(self, host: str) -> bool:
        """Is this MX host one of the policy's (RFC 8461 §4.1)? A wildcard stands for one label, the
        leftmost."""
        host = host.lower().rstrip(".")
        parent = host.partition(".")[2]
        return any(
            host == pattern or (pattern.startswith("*.") and parent == pattern[2:] and "." in host)
            for pattern in self.patterns
        )


def find_sts_id(texts: Sequence[bytes]) -> str | None:
    """The id of the one record among the TXT records at `_mta-sts.DOMAIN`; None: the domain has no MTA-STS
    (RFC 8461 §3.1).

    Raises StsError when a record is there and is not valid, or more than one.
    """
    records = [text for octets in texts if _VERSION.match(text := octets.decode("ascii", "replace"))]
    if not records:
        return None
    if len(records) > 1:
        raise StsError("more than one MTA-STS record")
    found = _RECORD.match(records[0])
    if found is None:
        raise StsError("the MTA-STS record is malformed")
    for field in re.split(_DELIMITER, found[1])[1:]:
        name, _, value = field.partition("=")
        if name.rstrip() == "id":
            if not _ID.match(value.strip()):
                break
            return value.strip()
    raise StsError("the MTA-STS record has no valid id")


def parse_sts_policy(octets: bytes) -> StsPolicy:
    """The policy file; raises StsError."""
    if len(octets) > POLICY_OCTETS:
        raise StsError("the policy is too long")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise StsError("the policy is not UTF-8") from error
    lines = tuple(line.removesuffix("\r") for line in text.split("\n"))
    lines = lines[:-1] if lines[-1] == "" else lines
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            raise StsError("a line is not a field and its value")
        if found[1] == "mx":
            patterns.append(_pattern(found[2]))
        else:
            fields.setdefault(found[1], found[2])  # RFC 8461 §3.2: all but the first are ignored
    if fields.get("version") != "STSv1":
        raise StsError("the version is missing or not STSv1")
    mode = fields.get("mode")
    if mode not in ("enforce", "testing", "none"):
        raise StsError("the mode is missing or unknown")
    if not _AGE.match(fields.get("max_age", "")):
        raise StsError("max_age is missing or no number of seconds")
    if mode != "none" and not patterns:
        raise StsError("no mx is named")
    if len(patterns) > MAX_PATTERNS:
        raise StsError("too many mx are named")
    return StsPolicy(
        cast(StsMode, mode), min(int(fields["max_age"]), MAX_AGE_SECONDS), tuple(patterns), lines
    )


def _pattern(value: str) -> str:
    if not _PATTERN.match(value) or len(value) > 255:
        raise StsError("an mx is no host name")
    return value.lower()
