"""What a command is answered with (RFC 3501 §7.1), as a record instead of a line that somebody must cut apart
again."""

from typing import ClassVar

from msgspec import Struct

from sekisho.core.imap import formatting


class Response(Struct, frozen=True):
    """A status response. `code` stands in brackets (RFC 3501 §7.1, RFC 5530), without them; "" for none."""

    word: ClassVar[bytes]
    text: str = "Done"
    code: str = ""

    def line(self, tag: bytes | None) -> bytes:
        """With its CRLF; untagged if `tag` is None."""
        code = b"[%b] " % self.code.encode("ascii", "replace") if self.code else b""
        return b"%b %b %b%b\r\n" % (tag or b"*", self.word, code, formatting.text(self.text))


class Ok(Response, frozen=True):
    word: ClassVar[bytes] = b"OK"


class No(Response, frozen=True):
    """The command cannot be done."""

    word: ClassVar[bytes] = b"NO"


class Bad(Response, frozen=True):
    """The command is wrong in itself, or in this state."""

    word: ClassVar[bytes] = b"BAD"


class Bye(Response, frozen=True):
    """The connection ends (RFC 3501 §7.1.5); only ever untagged."""

    word: ClassVar[bytes] = b"BYE"


DONE = Ok()
