"""Message content on the wire: the end of DATA, dot-stuffing, counted BDAT, and the octets that are refused.

Both decoders work on whole buffers and give the same for any chunking. A fault is only remembered: the
content is discarded as it streams, and the real end is still found (STANDARDS S-04).
"""

import enum


class ContentFault(enum.Enum):
    """Why a content is refused, in the order of precedence."""

    BARE = "bare"  # a CR without LF, or an LF without CR (RFC 5321 §2.3.8)
    NUL = "nul"
    TOO_LARGE = "too_large"
    LINE_TOO_LONG = "line_too_long"


class ContentCheck:
    """Counts and judges decoded octets, given in pieces that never cut a CRLF in two."""

    __slots__ = ("_line_octets", "_line_so_far", "_max_octets", "fault", "size_octets")

    def __init__(self, max_octets: int, line_octets: int = 0) -> None:
        """`max_octets`: largest content. `line_octets`: longest text line without its CRLF, 0 for any."""
        self._max_octets = max_octets
        self._line_octets = line_octets
        self._line_so_far = 0
        self.size_octets = 0
        self.fault: ContentFault | None = None

    def take(self, octets: bytes) -> bytes:
        """The octets, or b"" once the content is at fault."""
        self.size_octets += len(octets)
        if not _ends_lines_well(octets):
            self.fault = ContentFault.BARE
        elif self.fault is ContentFault.BARE:
            pass
        elif b"\0" in octets:
            self.fault = ContentFault.NUL
        elif self.fault is ContentFault.NUL:
            pass
        elif self.size_octets > self._max_octets:
            self.fault = ContentFault.TOO_LARGE
        elif self.fault is None and self._line_octets and self._has_long_line(octets):
            self.fault = ContentFault.LINE_TOO_LONG
        return b"" if self.fault else octets

    def _has_long_line(self, octets: bytes) -> bool:
        """RFC 5321 §4.5.3.1.6, in steps of about one permitted line, not of one line."""
        limit, position = self._line_octets + 1, -self._line_so_far  # + 1: the CR
        while len(octets) - position > limit:
            line_end = octets.rfind(b"\n", max(position, 0), position + limit + 1)
            if line_end < 0:
                return True
            position = line_end + 1
        last = octets.rfind(b"\n", max(position, 0))
        self._line_so_far = len(octets) - (last + 1 if last >= 0 else position)
        return False


def _ends_lines_well(octets: bytes) -> bool:
    """By CRLF alone. Cut at every CR, LF and CRLF, octets with b bare CRs give b pieces more than they have
    LFs, and miss as many octets less as there are bare ones: both fit only where there are none. Half as dear
    as to count the pairs."""
    pieces, ends = octets.splitlines(), octets.count(b"\n")
    is_open = not octets.endswith((b"\n", b"\r")) and bool(octets)
    return len(pieces) - is_open == ends and len(b"".join(pieces)) + 2 * ends == len(octets)


class DataDecoder:
    """The octets behind 354: dots unstuffed, and only CRLF.CRLF ends them (RFC 5321 §4.1.1.4, §4.5.2)."""

    __slots__ = ("_held", "_virtual", "check")

    def __init__(self, check: ContentCheck) -> None:
        self.check = check
        # The line end of the DATA command counts as the one before the first line.
        self._held = b"\r\n"
        self._virtual = 2

    def feed(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """(content, what follows the end or None while the end was not seen)."""
        buffer = self._held + octets
        dot = buffer.find(b"\r\n.")  # mostly there is none but that of the end: all is looked through once
        end = buffer.find(b"\r\n.\r\n", dot) if dot >= 0 else -1
        if end >= 0:
            raw, rest = buffer[: end + 2], buffer[end + 5 :]
            self._held = b""
        else:
            keep = _held_back(buffer)
            raw, rest = buffer[: len(buffer) - keep], None
            self._held = buffer[len(buffer) - keep :]
        if not raw:
            return b"", rest
        content = raw if dot < 0 or dot == end else raw.replace(b"\r\n.", b"\r\n")
        if self._virtual:
            content = content[2:]
            self._virtual = 0
        return self.check.take(content), rest


def _held_back(buffer: bytes) -> int:
    """How many of the last octets may be the beginning of an end of data."""
    for keep in (4, 3, 2, 1):
        if b"\r\n.\r".startswith(buffer[-keep:]) and len(buffer) >= keep:
            return keep
    return 0


class BdatDecoder:
    """The chunks of one message, counted, not stuffed (RFC 3030 §2)."""

    __slots__ = ("_held", "check", "remaining")

    def __init__(self, check: ContentCheck) -> None:
        self.check = check
        self.remaining = 0
        self._held = b""

    def begin(self, octets: int) -> None:
        self.remaining = octets

    def feed(self, octets: bytes) -> tuple[bytes, bytes]:
        """(content, what follows this chunk)."""
        taken, rest = octets[: self.remaining], octets[self.remaining :]
        self.remaining -= len(taken)
        buffer = self._held + taken
        if buffer.endswith(b"\r"):
            buffer, self._held = buffer[:-1], b"\r"
        else:
            self._held = b""
        return self.check.take(buffer), rest

    def finish(self) -> bytes:
        """After the last chunk: what was held back."""
        held, self._held = self._held, b""
        return self.check.take(held) if held else b""
