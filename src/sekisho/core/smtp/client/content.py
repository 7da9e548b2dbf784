"""Content on its way out through DATA: checked once more, dots doubled, over whole buffers (RFC 5321
§4.5.2)."""


class ContentError(Exception):
    """The content holds a bare CR, a bare LF or a NUL and must not leave (RFC 5321 §2.3.8, THREATS 1)."""


class ContentEncoder:
    """Chunks of any size in, what goes on the wire out. Nothing that is refused is ever given out."""

    __slots__ = ("_at_line_start", "_held")

    def __init__(self) -> None:
        self._held = b""  # a trailing CR or CRLF waits for what follows it
        self._at_line_start = True

    def encode(self, chunk: bytes) -> bytes:
        """The wire form of one more chunk; raises `ContentError`."""
        octets = self._held + chunk if self._held else chunk
        if octets.endswith(b"\r\n"):
            body, self._held = octets[:-2], b"\r\n"
        elif octets.endswith(b"\r"):
            body, self._held = octets[:-1], b"\r"
        else:
            body, self._held = octets, b""
        pairs = body.count(b"\r\n")
        if body.count(b"\n") != pairs or body.count(b"\r") != pairs or b"\0" in body:
            raise ContentError("the content holds a bare CR, a bare LF or a NUL")
        if not body:
            return b""
        # RFC 5321 §4.5.2: also the very first line counts.
        dot = b"." if self._at_line_start and body[0] == 46 else b""
        self._at_line_start = False
        return dot + body.replace(b"\r\n.", b"\r\n..")

    def finish(self) -> bytes:
        """What ends the content: a CRLF only if the last line lacks one, then the dot (RFC 5321 §4.1.1.4)."""
        if self._held == b"\r":
            raise ContentError("the content ends in a bare CR")
        if self._at_line_start and not self._held:
            return b".\r\n"
        return b"\r\n.\r\n"
