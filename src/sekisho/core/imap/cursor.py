"""Reading one complete command, literals included, from left to right."""

import re

from sekisho.core.imap.mailbox_names import MailboxNameError, decode_mailbox
from sekisho.core.imap.sequences import SEQUENCE_SET, SequenceSet

# RFC 3501 §9. ATOM-CHAR: any CHAR except ( ) { SP CTL % * " \ ]
ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
ASTRING_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
LIST_ATOM = re.compile(rb"[!#$%&'*+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")
# RFC 9051 §9 `quoted` also takes UTF-8; who must refuse it does so later.
QUOTED = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\r\n")
NUMBER = re.compile(rb"[0-9]{1,19}")
_ESCAPED = re.compile(rb"\\(.)")


class ParseError(Exception):
    """The command breaks the grammar; the text goes to the client behind BAD."""


class Cursor:
    """A position in the octets of one command. Every method either moves behind what it returns, or raises
    ParseError."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        """`data` without the last CRLF."""
        self.data = data
        self.position = position

    @property
    def at_end(self) -> bool:
        return self.position >= len(self.data)

    def accept(self, octets: bytes) -> bool:
        """Move behind `octets` if they come next."""
        if self.data.startswith(octets, self.position):
            self.position += len(octets)
            return True
        return False

    def expect(self, octets: bytes) -> None:
        if not self.accept(octets):
            wanted = "a space" if octets == b" " else f"'{octets.decode()}'"
            raise ParseError(f"{wanted} is missing" if not self.at_end else "the command ends too early")

    def end(self) -> None:
        if not self.at_end:
            raise ParseError("something follows the last argument")

    def match(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        found = pattern.match(self.data, self.position)
        if not found:
            raise ParseError(f"{what} is missing" if not self.at_end else "the command ends too early")
        self.position = found.end()
        return found

    def keyword(self) -> bytes:
        """An atom in upper case."""
        return self.match(ATOM, "a word")[0].upper()

    def number(self) -> int:
        return int(self.match(NUMBER, "a number")[0])

    def string(self) -> bytes:
        """Quoted or literal."""
        quoted = QUOTED.match(self.data, self.position)
        if quoted:
            self.position = quoted.end()
            value: bytes = quoted[1]
            return _ESCAPED.sub(rb"\1", value) if b"\\" in value else value
        size = int(self.match(LITERAL, "a string")[1])
        start = self.position
        if start + size > len(self.data):
            raise ParseError("the literal is shorter than it says")
        self.position = start + size
        return self.data[start : start + size]

    def astring(self, atom: re.Pattern[bytes] = ASTRING_ATOM) -> bytes:
        found = atom.match(self.data, self.position)
        if found:
            self.position = found.end()
            return found[0]
        return self.string()

    def nstring(self) -> bytes | None:
        if self.data[self.position : self.position + 3].upper() == b"NIL":
            self.position += 3
            return None
        return self.string()

    def mailbox(self) -> str:
        return self._name(self.astring())

    def list_mailbox(self) -> str:
        return self._name(self.astring(LIST_ATOM))

    @staticmethod
    def _name(raw: bytes) -> str:
        try:
            return decode_mailbox(raw)
        except MailboxNameError as error:
            raise ParseError(str(error)) from error

    def sequence_set(self) -> SequenceSet:
        try:
            return SequenceSet.from_wire(self.match(SEQUENCE_SET, "a sequence set")[0])
        except ValueError as error:
            raise ParseError(f"the sequence set holds {error}") from error
