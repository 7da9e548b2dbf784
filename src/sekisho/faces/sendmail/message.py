"""The message that a program writes to sendmail(1), made ready for SMTP: recipients, a From, line ends,
dots."""

import re
from collections.abc import Iterator
from typing import IO

from sekisho.core.message.header import HeaderSection
from sekisho.faces.cli.exits import SYSEXITS_DATA
from sekisho.faces.cli.handle import CommandError

# What programs hand in has a header section of a few KB.
MAX_HEADER_OCTETS = 1_048_576
_CHUNK = 65_536
_MAX_LINE_OCTETS = 1_048_576
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\\.|[()<>,:;]|[^"\\()<>,:;]+|.', re.DOTALL)
_DOT_LINE = re.compile(rb"^\.$", re.MULTILINE)
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
_ENCODED_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\]')


class Message:
    """Standard input of the shim: the header section is read at once, the body as it is sent."""

    def __init__(self, source: IO[bytes], ignore_dots: bool) -> None:
        self._lines = _whole_lines(source, ignore_dots)
        head = b""
        for piece in self._lines:
            head += piece
            if head.startswith(b"\n") or b"\n\n" in head or len(head) > MAX_HEADER_OCTETS:
                break
        header = HeaderSection(head)
        if header.fields and not header.fields[0].name:
            # It begins with text: there is no header section.
            head = b"\n" + head
        elif not header.is_complete:
            head += b"\n"
        self._head = head
        self.header = HeaderSection(head)

    def recipients(self) -> list[str]:
        """The addresses in To, Cc and Bcc, in this order; the server takes Bcc out."""
        found: list[str] = []
        for name in (b"to", b"cc", b"bcc"):
            for value in self.header.values(name):
                found += addresses_in(value.decode("utf-8", "replace"))
        return list(dict.fromkeys(found))

    def qualify_from(self, reverse_path: str, full_name: str | None) -> None:
        """Give the message a From when it has none, or one without a domain (cron writes `From: root (Cron
        Daemon)`)."""
        values = list(self.header.values(b"from"))
        written = addresses_in(values[0].decode("utf-8", "replace")) if values else []
        if any("@" in address for address in written) or not reverse_path:
            return
        if full_name is None and values:
            comment = re.search(r"\(([^()]*)\)", values[0].decode("utf-8", "replace"))
            full_name = comment[1] if comment else None
        name = _ENCODED_UNSAFE.sub(" ", full_name).strip() if full_name else ""
        field = f'From: "{name}" <{reverse_path}>\n' if name else f"From: {reverse_path}\n"
        kept = self.header.without(frozenset({b"from"}))
        self._head = field.encode() + kept + self._head[self.header.end :]
        self.header = HeaderSection(self._head)

    def octets(self) -> Iterator[bytes]:
        """The content for DATA, dot-stuffed (RFC 5321 §4.5.2), every line ending in CRLF, without the final
        dot."""
        yield _for_wire(self._head)
        for piece in self._lines:
            yield _for_wire(piece)


def _whole_lines(source: IO[bytes], ignore_dots: bool) -> Iterator[bytes]:
    """Pieces that end with a line, line ends as LF; stops at a line with one dot unless told to ignore it."""
    rest = b""
    while chunk := source.read(_CHUNK):
        rest += chunk
        end = rest.rfind(b"\n") + 1
        if not end:
            # RFC 5322 §2.1.1 allows 998 octets; without a bound this would be quadratic.
            if len(rest) > _MAX_LINE_OCTETS:
                raise CommandError("A line of the message is longer than a megabyte.", SYSEXITS_DATA)
            continue
        piece, rest = rest[:end].replace(b"\r\n", b"\n"), rest[end:]
        if not ignore_dots and (dot := _DOT_LINE.search(piece)):
            if dot.start():
                yield piece[: dot.start()]
            return
        yield piece
    if rest and (ignore_dots or rest != b"."):
        yield rest.replace(b"\r\n", b"\n").removesuffix(b"\r") + b"\n"


def _for_wire(piece: bytes) -> bytes:
    return _LEADING_DOT.sub(b"..", piece).replace(b"\n", b"\r\n")


def addresses_in(text: str) -> list[str]:
    """The addr-specs of an address list (RFC 5322 §3.4): names, comments, routes and groups are passed over.
    Linear."""
    found: list[str] = []
    words: list[str] = []
    angle: list[str] | None = None
    depth, inside = 0, False

    def finish() -> None:
        address = "".join(words if angle is None else angle).strip()
        if address:
            found.append(address)

    for token in _TOKEN.findall(text):
        if token == "(":
            depth += 1
        elif token == ")" and depth:
            depth -= 1
        elif depth:
            continue
        elif token in "<>":
            angle = [] if token == "<" else angle
            inside = token == "<"
        elif token in ",;" and not inside:
            finish()
            words, angle = [], None
        elif token == ":":
            # The end of a group's name, or of a route `@a,@b:` (RFC 5322 §4.4), which means nothing.
            words = []
            angle = None if angle is None else []
        else:
            (words if angle is None else angle).append(token)
    finish()
    return found
