"""Files that stand in the midst of a text, uuencoded: older than MIME, and still taken out by some mail
programs (IEEE 1003.1 uuencode)."""

import binascii
import re
from dataclasses import dataclass

MAX_FILES = 20  # in one text
_OVERLAP = 1024
_HEAD_LINES = 8  # of a file are decoded: its first octets tell what it is

# A line of data that can be one must follow: people write "begin 644 something" as well.
_BEGIN = re.compile(
    rb"[\r\n]begin(-base64)?[ \t]{1,8}[0-7]{3,4}[ \t]{1,8}([^\r\n]{1,255}+)\r?\n"
    rb"(?=[!-`][ -`]{1,90}+[ \t]{0,8}\r?\n|[A-Za-z0-9+/=]{4,90}+\r?\n)"
)
_LINE = re.compile(rb"[^\r\n]+")


@dataclass(frozen=True, slots=True)
class InlineFile:
    """`head`: its first octets, as far as they could be decoded."""

    name: str
    head: bytes


class InlineFinder:
    """One text, fed in pieces of any size, decoded already."""

    def __init__(self) -> None:
        self.found: list[InlineFile] = []
        self.has_more = False
        self._text = b"\n"  # not decided yet; a first line begins like any other

    def feed(self, octets: bytes, *, final: bool = False) -> None:
        text = self._text + octets
        limit = len(text) if final else len(text) - _OVERLAP
        if limit <= 0:
            self._text = text
            return
        if text.find(b"begin") >= 0:
            for match in _BEGIN.finditer(text):
                self.has_more = self.has_more or len(self.found) >= MAX_FILES
                if match.start() >= limit or self.has_more:
                    break
                name = match[2].decode("utf-8", "replace").strip()
                self.found.append(InlineFile(name, _head(text, match.end(), is_base64=match[1] is not None)))
        self._text = text[limit:]


def _head(text: bytes, position: int, *, is_base64: bool) -> bytes:
    octets = b""
    for _ in range(_HEAD_LINES):
        line = _LINE.search(text, position, position + 200)
        if line is None:
            break
        position = line.end()
        try:
            octets += binascii.a2b_base64(line[0]) if is_base64 else binascii.a2b_uu(line[0])
        except binascii.Error:
            break
    return octets
