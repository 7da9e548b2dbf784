"""How a message goes over a line-ended protocol: dots doubled, a lone dot at the end (RFC 1939 §3), on whole
buffers."""


class DotStuffer:
    """Feed a message in pieces of any size; what comes back together ends with `CRLF.CRLF`.

    A dot behind a bare LF is doubled too: clients that take a bare LF for a line end would otherwise see a
    false end of the message.
    """

    def __init__(self) -> None:
        self._at_line_start = True
        self._tail = b""  # the last two octets sent

    def feed(self, octets: bytes) -> bytes:
        if not octets:
            return b""
        stuffed = octets.replace(b"\n.", b"\n..")
        if self._at_line_start and octets.startswith(b"."):
            stuffed = b"." + stuffed
        self._at_line_start = octets.endswith(b"\n")
        self._tail = (self._tail + octets[-2:])[-2:]
        return stuffed

    def finish(self) -> bytes:
        return b".\r\n" if self._tail in (b"\r\n", b"") else b"\r\n.\r\n"


class TopCutter:
    """Lets the header section, the empty line and the first `body_lines` lines of the body through (RFC 1939
    §7 TOP)."""

    def __init__(self, body_lines: int) -> None:
        self._lines_left = body_lines
        self._in_header = True
        self._tail = b"\n"  # the end of what came before: a message may begin with its empty line
        self.is_done = False

    def feed(self, octets: bytes) -> bytes:
        """The part of these octets that belongs to the answer; after `is_done` there is no more."""
        if self.is_done:
            return b""
        start = 0
        if self._in_header:
            start = self._end_of_header(octets)
            if start < 0:
                return octets
            self._in_header = False
        end = self._end_of_lines(octets, start)
        self.is_done = end < len(octets) or self._lines_left == 0
        return octets[:end]

    def _end_of_header(self, octets: bytes) -> int:
        """Where the body starts in these octets, or -1."""
        joined = self._tail + octets
        ends = [at + len(mark) for mark in (b"\n\r\n", b"\n\n") if (at := joined.find(mark)) >= 0]
        start = min(ends) - len(self._tail) if ends else -1
        self._tail = joined[-2:]
        return start

    def _end_of_lines(self, octets: bytes, start: int) -> int:
        """Where the wanted lines end; counts them off."""
        lines = octets.count(b"\n", start)
        if lines < self._lines_left:
            self._lines_left -= lines
            return len(octets)
        if self._lines_left == 0:
            return start
        rest = octets[start:].split(b"\n", self._lines_left)[-1]
        self._lines_left = 0
        return len(octets) - len(rest)
