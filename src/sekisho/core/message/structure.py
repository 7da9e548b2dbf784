"""The MIME parts of a message by octet offsets, from one pass over its raw octets (RFC 2045, RFC 2046).

Nothing is decoded, repaired or copied. The scanner is fed in pieces of any size and holds a bounded window;
it never recurses, looks at each octet a bounded number of times, and stops dividing at its caps (THREATS 28,
29): what comes then belongs to the parts that are open.
"""

import enum
import re
from dataclasses import dataclass, field

from sekisho.core.message.mimefields import (
    MAX_PARAMETERS,
    MAX_VALUE_OCTETS,
    Parameters,
    forms_of,
    parse_content_type,
    parse_encoding,
)

MAX_DEPTH = 100
MAX_PARTS = 10_000
MAX_HEADER_OCTETS = 262_144  # of one part are looked at; the rest of its section is skipped
MAX_FALSE_DELIMITERS = 20_000
_TAIL = 320  # kept of the window, so that a delimiter cut in two is seen whole
MAX_BOUNDARY = 250  # RFC 2046 §5.1.1 says 70
_MAX_DELIMITER_LINE = 1000

_DELIMITER_TAIL = re.compile(rb"(--)?[ \t]*(\r?\n|\r?\Z)")
_HEADER_END = re.compile(rb"\n\r?\n")
_FIELDS = re.compile(
    rb"^(content-(?:type|transfer-encoding|disposition|id|description|language|location|md5)"
    rb"|date|subject|from|sender|reply-to|to|cc|bcc|in-reply-to|message-id)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
# Neither a field, nor folded, nor the line that mbox files put on top.
_ODD_LINE = re.compile(rb"^(?![!-9;-~]+[ \t]*:|[ \t]|>?From )[^\r\n]", re.MULTILINE)
_PLAIN: tuple[bytes, bytes, Parameters] = (b"text", b"plain", ())
_MESSAGE: tuple[bytes, bytes, Parameters] = (b"message", b"rfc822", ())
_MESSAGES = frozenset((b"rfc822", b"global"))
_ENCODED = frozenset((b"base64", b"quoted-printable"))


class Kind(enum.IntEnum):
    LEAF = 0
    MULTIPART = 1
    MESSAGE = 2  # message/rfc822 or message/global, not encoded: its only child is the message inside


@dataclass(slots=True, kw_only=True)
class Part:
    """`octets[start:body]` is the header section with its empty line, `octets[body:end]` the body, `lines`
    its line ends.

    `fields`: the values of Content-* and envelope fields, unfolded, by lower-case name, in order. `type` and
    `subtype` are what holds after defaults (RFC 2045 §5.2, RFC 2046 §5.1.5). `odd_line`: where the first line
    of the header section begins that is no field, -1 without one: some readers see the body begin there.
    """

    parent: int  # -1: the message itself
    start: int
    body: int = 0
    end: int = 0
    lines: int = 0
    kind: Kind = Kind.LEAF
    type: bytes = b"text"
    subtype: bytes = b"plain"
    parameters: Parameters = ()
    fields: dict[bytes, list[bytes]] = field(default_factory=dict)
    children: list[int] = field(default_factory=list)
    odd_line: int = -1

    def first(self, name: bytes) -> bytes | None:
        values = self.fields.get(name)
        return values[0] if values else None

    def parameter(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.parameters if key == name), None)

    @property
    def encoding(self) -> bytes:
        """Content-Transfer-Encoding in lower case, b"7bit" without one (RFC 2045 §6.1)."""
        value = self.first(b"content-transfer-encoding")
        return (parse_encoding(value).lower() if value is not None else b"") or b"7bit"

    @property
    def boundary(self) -> bytes:
        """What stands between the parts of a multipart, b"" if that cannot be told: a plain parameter goes
        before an extended one."""
        forms = forms_of(self.parameters, b"boundary") if self.parameters else ()
        return next((form.octets.rstrip(b" \t") for form in forms), b"")


@dataclass(frozen=True, slots=True)
class Structure:
    """`parts[0]` is the message; parents stand before their children. `header` is its header section as far
    as it was looked at."""

    parts: list[Part]
    header: bytes
    is_whole: bool  # False: a cap stopped the dividing, or the reading of a field


@dataclass(slots=True, kw_only=True)
class _Boundary:
    """A multipart that is open. Nothing of it stands in [.., searched); `found` ≥ 0 is the line start of its
    next delimiter."""

    part: int
    delimiter: bytes
    searched: int
    found: int = -1
    found_end: int = -1
    closes: bool = False
    shadows: "_Boundary | None" = None  # an outer multipart with the same boundary, which sleeps meanwhile
    sleeps: bool = False


class StructureScanner:
    """`feed` the message from its first octet to its last, then `finish`."""

    def __init__(self) -> None:
        self._window = bytearray()
        self._base = 0  # offset of the window in the message
        self._position = 0  # offset up to which everything is decided
        self._header_scan = 0
        self._in_header = True
        self._header_head: bytes | None = None  # of an overlong header section
        self._newlines = 0
        self._counted = 0
        self._open: list[int] = []
        self._boundaries: list[_Boundary] = []
        self._lines_at_body: dict[int, int] = {}
        self._false_delimiters = 0
        self._is_whole = True
        self._root_header = b""
        self._parts: list[Part] = []
        self._begin_part(0)

    def feed(self, octets: bytes) -> None:
        self._window += octets
        self._advance(final=False)

    def finish(self) -> Structure:
        self._advance(final=True)
        size = self._base + len(self._window)
        while self._in_header:
            self._end_header(size, size)  # twice for an empty message/rfc822 at the very end
        self._close_parts(0, size)
        return Structure(self._parts, self._root_header, self._is_whole)

    # --- the window

    def _count_to(self, offset: int) -> int:
        """Line ends in [0, offset); `offset` never falls."""
        if offset > self._counted:
            self._newlines += self._window.count(b"\n", self._counted - self._base, offset - self._base)
            self._counted = offset
        return self._newlines

    def _move_on(self, end: int) -> None:
        """Nothing happens before `end`, as far as the boundaries were searched: let go of the front of the
        window."""
        self._position = max(
            self._position,
            min([end - _TAIL, *(boundary.searched for boundary in self._boundaries if not boundary.sleeps)]),
        )
        keep_from = self._position - 4
        if keep_from - self._base >= 65536:
            self._count_to(keep_from)
            del self._window[: keep_from - self._base]
            self._base = keep_from

    def _advance(self, *, final: bool) -> None:
        while True:
            if self._in_header:
                if not self._advance_header(final=final):
                    return
            elif not self._advance_body(final=final):
                return

    # --- header sections

    def _begin_part(self, offset: int) -> None:
        parent = self._open[-1] if self._open else -1
        index = len(self._parts)
        self._parts.append(Part(parent=parent, start=offset))
        if parent >= 0:
            self._parts[parent].children.append(index)
        self._open.append(index)
        self._position = self._header_scan = offset
        self._header_head = None
        self._in_header = True

    def _advance_header(self, *, final: bool) -> bool:
        """Find the end of the header section that begins at the open part's start. False: more octets are
        needed."""
        window, base = self._window, self._base
        end = base + len(window)
        start = self._parts[self._open[-1]].start
        first = bytes(window[self._position - base : self._position - base + 2])
        delimiter = self._next_delimiter(self._position, final=final)
        limit = delimiter.found if delimiter else end
        if self._header_head is None and self._position == start and (first[:1] == b"\n" or first == b"\r\n"):
            if limit > start:
                length = 1 if first[:1] == b"\n" else 2
                self._end_header(start, start + length)
                return True
        elif first == b"\r" and not final:
            return False
        match = _HEADER_END.search(window, max(self._header_scan - base - 3, start - base, 0), limit - base)
        if match:
            self._end_header(base + match.start() + 1, base + match.end())
            return True
        if delimiter:
            before = max(self._body_end(delimiter), start)
            self._end_header(before, before)  # no empty line before the delimiter
            return True
        if final:
            return False
        self._header_scan = end
        if end - start > MAX_HEADER_OCTETS:
            if self._header_head is None:
                self._header_head = bytes(window[start - base : start - base + MAX_HEADER_OCTETS])
            self._move_on(end)
        return False

    def _end_header(self, header_end: int, body: int) -> None:
        """Read the fields of the part just opened, and decide what its body is."""
        index = self._open[-1]
        part = self._parts[index]
        if self._header_head is not None:
            header = self._header_head
        else:
            header = bytes(
                self._window[
                    part.start - self._base : min(header_end, part.start + MAX_HEADER_OCTETS) - self._base
                ]
            )
        self._is_whole = self._is_whole and header_end - part.start <= MAX_HEADER_OCTETS
        if index == 0:
            self._root_header = header
        part.body = self._position = body
        self._lines_at_body[index] = self._count_to(body)
        self._in_header = False
        self._read_fields(part, header)
        if odd := _ODD_LINE.search(header, 0, len(header.rstrip(b"\r\n"))):
            part.odd_line = part.start + odd.start()
        if part.type == b"multipart":
            boundary = part.boundary
            if boundary and len(boundary) <= MAX_BOUNDARY and self._has_room():
                part.kind = Kind.MULTIPART
                self._push_boundary(index, b"\n--" + boundary, body)
        # RFC 2046 §5.2.1: message/rfc822 is never encoded; RFC 6532 §3.7: message/global may be, and is no
        # message until it is decoded.
        elif (
            part.type == b"message"
            and part.subtype in _MESSAGES
            and part.encoding not in _ENCODED
            and self._has_room()
        ):
            part.kind = Kind.MESSAGE
            self._begin_part(body)

    def _has_room(self) -> bool:
        if len(self._open) < MAX_DEPTH and len(self._parts) < MAX_PARTS:
            return True
        self._is_whole = False
        return False

    def _read_fields(self, part: Part, header: bytes) -> None:
        fields = part.fields
        # The envelope of a plain MIME part is nobody's business (RFC 2045 §3).
        is_message = part.parent < 0 or self._parts[part.parent].kind is Kind.MESSAGE
        for match in _FIELDS.finditer(header):
            name = match[1].lower()
            if is_message or name.startswith(b"content-"):
                fields.setdefault(name, []).append(_FOLD.sub(b"", match[2]).strip())
        value = part.first(b"content-type")
        parsed = None if value is None else parse_content_type(value)
        if parsed is None:
            # RFC 2046 §5.1.5: the parts of a digest are messages by default.
            in_digest = (
                part.parent >= 0
                and self._parts[part.parent].kind is Kind.MULTIPART
                and self._parts[part.parent].subtype == b"digest"
            )
            parsed = _MESSAGE if in_digest and value is None else _PLAIN
        part.type, part.subtype, part.parameters = parsed
        if len(part.parameters) >= MAX_PARAMETERS or (value is not None and len(value) > MAX_VALUE_OCTETS):
            self._is_whole = False

    # --- bodies

    def _advance_body(self, *, final: bool) -> bool:
        delimiter = self._next_delimiter(self._position, final=final)
        end = self._base + len(self._window)
        if delimiter is None:
            self._move_on(end)
            return False
        body_end = self._body_end(delimiter)
        level = self._boundaries.index(delimiter)
        self._close_parts(self._open.index(delimiter.part) + 1, body_end)
        self._position = delimiter.found_end
        if delimiter.closes:
            self._pop_boundaries(level)
            return True
        self._pop_boundaries(level + 1)
        delimiter.found, delimiter.searched = -1, delimiter.found_end - 1
        if self._has_room():
            self._begin_part(delimiter.found_end)
        else:
            self._boundaries.clear()
        return True

    def _push_boundary(self, part: int, delimiter: bytes, body: int) -> None:
        """Where two multiparts inside each other have one boundary, delimiters are the inner one's until it
        is closed."""
        shadowed = next(
            (boundary for boundary in reversed(self._boundaries) if boundary.delimiter == delimiter), None
        )
        if shadowed is not None:
            shadowed.sleeps = True
        self._boundaries.append(_Boundary(part=part, delimiter=delimiter, searched=body, shadows=shadowed))

    def _pop_boundaries(self, level: int) -> None:
        for boundary in self._boundaries[level:]:
            if boundary.shadows is not None:
                boundary.shadows.sleeps = False
                boundary.shadows.found, boundary.shadows.searched = -1, self._position - 1
        del self._boundaries[level:]

    def _body_end(self, delimiter: _Boundary) -> int:
        """The line end before a delimiter belongs to it (RFC 2046 §5.1.1)."""
        before = delimiter.found - self._base - 1
        return delimiter.found - 2 if before > 0 and self._window[before - 1] == 13 else delimiter.found - 1

    def _close_parts(self, from_level: int, end: int) -> None:
        for index in reversed(self._open[from_level:]):
            part = self._parts[index]
            part.end = end = max(end, part.body)  # a part holds its children, empty ones too
            part.lines = self._count_to(part.end) - self._lines_at_body[index]
        del self._open[from_level:]

    def _next_delimiter(self, position: int, *, final: bool) -> _Boundary | None:
        """The nearest delimiter line at or behind `position`. Outer multiparts bound how far inner ones are
        searched, and each remembers how far it was searched: so each octet is looked at once per level."""
        nearest = None
        limit = self._base + len(self._window)
        for boundary in self._boundaries:
            if boundary.sleeps:
                continue
            if boundary.found < 0:
                self._search(boundary, limit, final=final)
            if 0 <= boundary.found < limit:
                limit = boundary.found
                nearest = boundary
        return nearest if nearest is not None and nearest.found >= position else None

    def _search(self, boundary: _Boundary, limit: int, *, final: bool) -> None:
        window, base = self._window, self._base
        needle = boundary.delimiter
        at = boundary.searched
        while True:
            # One octet earlier: the line end before the delimiter.
            found = window.find(needle, max(at - base - 1, 0), limit - base)
            if found < 0:
                boundary.searched = max(boundary.searched, limit - len(needle))
                return
            tail = _DELIMITER_TAIL.match(window, found + len(needle))
            line_is_here = tail is not None and (
                final or tail.end() < len(window) or window[tail.end() - 1] == 10
            )
            if tail is not None and line_is_here:
                boundary.found, boundary.found_end = base + found + 1, base + tail.end()
                boundary.closes = tail[1] is not None
                return
            if not final and len(window) - found < _MAX_DELIMITER_LINE and window.find(b"\n", found + 1) < 0:
                boundary.searched = base + found + 1  # wait for the rest of the line
                return
            self._false_delimiters += 1
            if self._false_delimiters > MAX_FALSE_DELIMITERS:
                self._is_whole = False
                self._boundaries.clear()
                return
            at = base + found + len(needle)


def scan(octets: bytes) -> Structure:
    """The structure of a message that is in memory anyway."""
    scanner = StructureScanner()
    scanner.feed(octets)
    return scanner.finish()
