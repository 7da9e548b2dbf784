"""The server's side of Dovecot's authentication protocol, version 1.2, by which Postfix, Exim and others let
us judge their logins.

Lines of fields separated by tabs. Several exchanges run at once on a connection, told apart by the client's
number. Whole or byte by byte, the same input gives the same events. (Dovecot's documentation, "Authentication
Protocol".)
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sekisho.core.terms.base64 import Base64Error, decode_base64, encode_base64

MAJOR, MINOR = 1, 2
MAX_LINE_OCTETS = 16_384  # a SASL message of RFC 4954 §4, and what is said about the client
_ID = re.compile(rb"[0-9]{1,10}")
_OF_THE_GREETING = frozenset({b"CPID", b"SERVICE"})
_FLAGS = {"PLAIN": "\tplaintext", "LOGIN": "\tplaintext", "SCRAM-SHA-256": "\tmutual-auth"}
# A tab, a line end, NUL and \x01 itself are written as \x01 and a letter.
_ESCAPES = {
    b"\x01" + letter: octet
    for letter, octet in ((b"0", b"\0"), (b"1", b"\x01"), (b"t", b"\t"), (b"r", b"\r"), (b"n", b"\n"))
}
_ESCAPED = re.compile(rb"\x01(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Begun:
    """AUTH. `facts`: what the other server says about its client: "service", "rip" (its address), "secured".
    `initial` None: none came."""

    number: int
    mechanism: str
    facts: Mapping[str, str]
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Continued:
    number: int
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    number: int


@dataclass(frozen=True, slots=True)
class Broken:
    """What came is not this protocol: say no more and close."""

    reason: str


Event = Begun | Continued | Cancelled | Broken


class _Wrong(Exception):
    pass


class AuthServerMachine:
    """One connection. Answer each `Begun` and `Continued` once, with its number, whenever it is known:
    `challenge`, `accept`, `refuse`.

    What cannot be asked so is answered here, with the number it came under: who asks may wait for ever. Send
    what there is to send whenever `next_event` gave None or `Broken`.
    """

    def __init__(self, mechanisms: Sequence[str], pid: int, unique: int, cookie: str) -> None:
        """`unique`: of this connection; `cookie`: 32 hex digits that nobody can guess."""
        self._mechanisms = frozenset(mechanisms)
        self._input = bytearray()
        self._greeted = False
        self._skipping = False  # the rest of a line that is too long
        self._broken: Broken | None = None
        self._open: set[int] = set()  # begun, and neither ended nor cancelled
        self._asked: set[int] = set()  # of those: a challenge waits for its response
        lines = [
            f"VERSION\t{MAJOR}\t{MINOR}",
            *(f"MECH\t{name}{_FLAGS.get(name, '')}" for name in mechanisms),
        ]
        lines += [f"SPID\t{pid}", f"CUID\t{unique}", f"COOKIE\t{cookie}", "DONE"]
        self._output = "".join(f"{line}\n" for line in lines).encode()

    def receive_data(self, octets: bytes) -> None:
        self._input += octets

    def data_to_send(self) -> bytes:
        octets, self._output = self._output, b""
        return octets

    def next_event(self) -> Event | None:
        """None: more octets are needed. `Broken` comes again and again."""
        while self._broken is None:
            end = self._input.find(b"\n", 0, MAX_LINE_OCTETS)
            if end < 0 and len(self._input) < MAX_LINE_OCTETS:
                return None
            line = bytes(self._input[: end if end >= 0 else MAX_LINE_OCTETS])
            del self._input[: len(line) + (end >= 0)]
            is_rest, self._skipping = self._skipping, end < 0
            if is_rest:
                continue
            command, *fields = line.removesuffix(b"\r").split(b"\t")
            try:
                event = self._refuse_line(fields) if end < 0 else self._take(command, fields)
            except _Wrong as wrong:
                self._broken = Broken(str(wrong))
                if fields and _ID.fullmatch(fields[0]):
                    self._say_no(int(fields[0]))
                break
            if event is not None:
                return event
        return self._broken

    def _refuse_line(self, fields: list[bytes]) -> Event | None:
        """Its beginning tells whose it is."""
        if len(fields) < 2 or not self._greeted:
            raise _Wrong("a line is too long")
        return self._refuse_anyhow(_number(fields))

    def _take(self, command: bytes, fields: list[bytes]) -> Event | None:
        if command == b"VERSION":
            if fields[:1] != [b"%d" % MAJOR]:
                raise _Wrong("the other side speaks another version of the protocol")
            self._greeted = True
            return None
        if not self._greeted:
            raise _Wrong("the other side did not begin with VERSION")
        if command == b"AUTH":
            return self._begin(fields)
        if command == b"CONT":
            return self._continue(fields)
        if command == b"CANCEL":
            number = _number(fields)
            self._forget(number)
            return Cancelled(number)
        if (
            command not in _OF_THE_GREETING and fields and _ID.fullmatch(fields[0])
        ):  # whoever numbers it may wait
            self._say_no(int(fields[0]))
        return None  # and what later versions add

    def _begin(self, fields: list[bytes]) -> Event | None:
        number = _number(fields)
        if number in self._open:  # which of the two an answer is for nobody could tell
            self._say_no(number)
            return self._refuse_anyhow(number)
        if len(fields) < 2:
            return self._refuse_anyhow(number)
        self._open.add(number)
        facts, initial = {}, None
        for place, text in enumerate(fields[2:], 2):
            name, _, value = text.partition(b"=")
            if name == b"resp":  # the last one
                initial = b"\t".join(fields[place:]).removeprefix(b"resp=")
                break
            facts[name.decode("ascii", "replace")] = _unescaped(value)
        mechanism = fields[1].decode("ascii", "replace").upper()
        if mechanism not in self._mechanisms:
            self.refuse(number)
            return None
        try:
            return Begun(number, mechanism, facts, None if initial is None else _decoded(initial))
        except Base64Error:
            self.refuse(number)
            return None

    def _continue(self, fields: list[bytes]) -> Event | None:
        number = _number(fields)
        if number not in self._asked:  # nothing was begun, it ended meanwhile, or no challenge was given yet
            return self._refuse_anyhow(number)
        self._asked.discard(number)
        try:
            return Continued(number, _decoded(fields[1] if len(fields) > 1 else b""))
        except Base64Error:
            self.refuse(number)
            return Cancelled(number)

    # What is answered; all of it may come too late, when the client has cancelled.

    def challenge(self, number: int, octets: bytes) -> None:
        if number in self._open:
            self._asked.add(number)
            self._output += b"CONT\t%d\t%b\n" % (number, encode_base64(octets))

    def accept(self, number: int, user: str) -> None:
        """`user`: the canonical name, as the other server is to know it."""
        if number in self._open:
            self._forget(number)
            self._output += b"OK\t%d\tuser=%b\n" % (number, _escaped(user.encode()))

    def refuse(self, number: int, *, temporarily: bool = False) -> None:
        if number in self._open:
            self._forget(number)
            self._output += b"FAIL\t%d%b\n" % (number, b"\ttemp\tcode=temp_fail" if temporarily else b"")

    def _refuse_anyhow(self, number: int) -> Event | None:
        """What was begun under this number ends, if there is anything."""
        was_open = number in self._open
        self._forget(number)
        self._say_no(number)
        return Cancelled(number) if was_open else None

    def _say_no(self, number: int) -> None:
        self._output += b"FAIL\t%d\n" % number

    def _forget(self, number: int) -> None:
        self._open.discard(number)
        self._asked.discard(number)


def _number(fields: list[bytes]) -> int:
    if not fields or not _ID.fullmatch(fields[0]) or int(fields[0]) >= 2**32:
        raise _Wrong("an exchange has no number")
    return int(fields[0])


def _decoded(text: bytes) -> bytes:
    return b"" if text == b"=" else decode_base64(text)


def _unescaped(octets: bytes) -> str:
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[0], match[1]), octets).decode("utf-8", "replace")


def _escaped(octets: bytes) -> bytes:
    for code, octet in sorted(_ESCAPES.items(), key=lambda pair: pair[1] != b"\x01"):
        octets = octets.replace(octet, code)
    return octets
