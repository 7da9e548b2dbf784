"""SMTP replies and enhanced status codes (RFC 5321 §4.2, RFC 3463)."""

import re
from dataclasses import dataclass, field
from typing import Literal

from sekisho.core.terms.reference import Reference

# answered: heard from the other side. no-connection, silent, broken, tls: of the way there; dns: it said
# nothing; nowhere: it said that there is no way. dane, mta-sts, requiretls, known-tls: the way was not as
# safe as that one asks. pace: we keep it back for a while ourselves. "": something else of our own.
Cause = Literal[
    "",
    "answered",
    "no-connection",
    "silent",
    "broken",
    "tls",
    "dns",
    "nowhere",
    "dane",
    "mta-sts",
    "requiretls",
    "known-tls",
    "pace",
]
_UNSAFE = re.compile(r"[^\x20-\x7e\u0080-\U0010ffff]")
# RFC 5321 §4.5.3.1.5: 512 octets with the code and CRLF.
MAX_REPLY_LINE_OCTETS = 512


@dataclass(frozen=True, slots=True, order=True)
class EnhancedStatus:
    """`class.subject.detail` of RFC 3463 §2."""

    class_: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"

    @classmethod
    def from_text(cls, text: str) -> "EnhancedStatus | None":
        """The code that `text` is, or None: RFC 3463 §2 (2, 4 or 5; at most three digits each; no leading
        zeros)."""
        match = re.fullmatch(r"([245])\.(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})", text)
        return cls(int(match[1]), int(match[2]), int(match[3])) if match else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply, perhaps of several lines. The class of `enhanced` matches that of `code` (RFC 2034 §4)."""

    code: int
    enhanced: EnhancedStatus | None
    lines: tuple[str, ...]
    # Of a try to send: did the other side say it, or what kept us from hearing anything?
    cause: Cause = field(default="", compare=False)
    # Most replies are constants said again and again: their octets are made once.
    _wire: bytes = field(default=b"", init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.enhanced is not None and self.enhanced.class_ != self.code // 100:
            raise ValueError(f"reply {self.code} cannot carry the enhanced status {self.enhanced}")

    @classmethod
    def of(cls, code: int, enhanced: str | None, text: str, *, cause: Cause = "") -> "Reply":
        """`Reply.of(550, "5.1.1", "No such user")`; several lines are separated by a newline."""
        status = EnhancedStatus.from_text(enhanced) if enhanced else None
        return cls(code=code, enhanced=status, lines=tuple(text.split("\n")), cause=cause)

    @property
    def is_positive(self) -> bool:
        return self.code < 400

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    @property
    def text(self) -> str:
        return " ".join(self.lines)

    def referring(self, reference: Reference) -> "Reply":
        """The same reply with an id that its reader can ask about."""
        page = (f"See {reference.url}",) if reference.url else ()
        return Reply(
            code=self.code,
            enhanced=self.enhanced,
            lines=(*self.lines[:-1], f"{self.lines[-1]} (id {reference.id})", *page),
        )

    def to_wire(self) -> bytes:
        """The reply's octets: every line carries code and status (RFC 2034 §4), none can carry a line
        break."""
        if self._wire:
            return self._wire
        status = f"{self.enhanced} " if self.enhanced is not None else ""
        last = len(self.lines) - 1
        out = []
        for number, line in enumerate(self.lines):
            text = f"{self.code}{' ' if number == last else '-'}{status}{_UNSAFE.sub('?', line)}"
            out.append(text.encode()[: MAX_REPLY_LINE_OCTETS - 2] + b"\r\n")
        wire = b"".join(out)
        object.__setattr__(self, "_wire", wire)
        return wire

    def __str__(self) -> str:
        status = f"{self.enhanced} " if self.enhanced is not None else ""
        return f"{self.code} {status}{self.text}"
