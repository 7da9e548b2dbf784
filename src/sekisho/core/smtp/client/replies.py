"""Replies of other servers, read totally: every octet sequence gives replies, waits for more, or is a
`ReplyError`.

What comes out is bounded and printable, so it can go into a DSN, a queue row or a log line (THREATS 8, 21).
"""

import re
from functools import lru_cache

from sekisho.core.terms.reply import EnhancedStatus, Reply

# RFC 5321 §4.5.3.1.5 says 512; some servers write more into one line.
MAX_LINE_OCTETS = 2048
MAX_LINES = 128
MAX_REPLY_OCTETS = 32768

# RFC 5321 §4.2.1: the text, and the space before it, may be missing.
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r\n")
# RFC 2034 §4: on every line, and of the class of the code.
_STATUS = re.compile(r"([245]\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2}))(?:[ \t]+|\Z)")
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\ufffc]"
)


_enhanced_status = lru_cache(maxsize=512)(EnhancedStatus.from_text)  # the same few all day


class ReplyError(Exception):
    """What the server sent is not a reply; the message says why, without its octets."""


def printable(text: str) -> str:
    """The text on one line and without anything that could steer a terminal or a header."""
    return text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("?", text.replace("\t", " "))


class ReplyParser:
    """Octets in, replies out. Bare CR and bare LF are errors: strict on both sides (law 7)."""

    __slots__ = ("_buffer", "_code", "_enhanced", "_lines", "_octets")

    def __init__(self) -> None:
        self._buffer = b""
        self._code = b""
        self._enhanced: EnhancedStatus | None = None
        self._lines: list[str] = []
        self._octets = 0

    @property
    def has_octets(self) -> bool:
        """Is something of a further reply here?"""
        return bool(self._buffer or self._lines)

    def receive_data(self, octets: bytes) -> None:
        self._buffer = self._buffer + octets if self._buffer else octets

    def next_reply(self) -> Reply | None:
        """The next whole reply, or None while it is incomplete; raises `ReplyError`."""
        while True:
            if not self._buffer:
                return None
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) >= MAX_LINE_OCTETS:
                    raise ReplyError(f"a reply line is longer than {MAX_LINE_OCTETS} octets")
                return None
            if end >= MAX_LINE_OCTETS:
                raise ReplyError(f"a reply line is longer than {MAX_LINE_OCTETS} octets")
            match = _LINE.match(self._buffer)
            if match is None:
                raise ReplyError("a line is not a reply: three digits, a space or hyphen, text, CRLF")
            self._buffer = self._buffer[match.end() :]
            self._add(match)
            if match[2] != b"-":
                return self._take()

    def _add(self, match: re.Match[bytes]) -> None:
        self._octets += match.end() - match.start()
        if len(self._lines) >= MAX_LINES or self._octets > MAX_REPLY_OCTETS:
            raise ReplyError(f"a reply has more than {MAX_LINES} lines or {MAX_REPLY_OCTETS} octets")
        if self._lines and match[1] != self._code:
            raise ReplyError("the lines of one reply have different codes")  # RFC 5321 §4.2.1
        self._code = match[1]
        text = printable((match[3] or b"").decode("utf-8", "replace"))
        status = _STATUS.match(text)
        if status is not None and ord(text[0]) == match[1][0]:
            if self._enhanced is None:
                self._enhanced = _enhanced_status(status[1])
            text = text[status.end() :]
        self._lines.append(text)

    def _take(self) -> Reply:
        reply = Reply(
            code=int(self._code), enhanced=self._enhanced, lines=tuple(self._lines), cause="answered"
        )
        self._lines = []
        self._enhanced = None
        self._octets = 0
        return reply
