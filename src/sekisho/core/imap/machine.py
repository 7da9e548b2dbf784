"""The server's side of IMAP as a machine: octets in, events out, responses in, octets out (RFC 3501).

What a session goes through (RFC 3501 §3), and who moves it:

    not authenticated ──entered()──► authenticated ──selected()──► selected
                                           ▲                          │
                                           └────────unselected()──────┘

In each state the machine takes the commands that the table in `grammar` allows there, and gives one event at
a time:

    Received          → answer(response), with any number of respond(octets) before it;
                        or challenge(prompt) → ContinuationLine → … (AUTHENTICATE, IDLE)
    AppendBegins      → accept_append() → AppendPiece … → AppendEnds → answer(response)
                      → refuse_append(), then answer(response)
    Malformed         → answer(response): what cannot be read, or may not come in this state
    Fatal             → end(text): nobody can follow this client any more

It bounds what it holds (THREATS 31): one command with its literals, or one piece of a message. Nothing behind
a command is looked at before that command was answered, so that STARTTLS, AUTHENTICATE and IDLE decide what
the next octets are.
"""

import enum
import re

from msgspec import Struct

from sekisho.core.imap.commands import Append, Command
from sekisho.core.imap.cursor import ParseError
from sekisho.core.imap.grammar import LOGGED_IN, State, check_state, parse_append_head, parse_command, tag_of
from sekisho.core.imap.responses import Bad, Bye, Response

MAX_LINE_BEFORE_LOGIN = 8192
MAX_LITERAL_BEFORE_LOGIN = 8192
MAX_COMMAND = 65536
MAX_CONTINUATION_LINE = 16384  # RFC 4954 §4 counts 12,288 as the least for a SASL exchange
PIECE_OCTETS = 65536

_LITERAL_AT_END = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\r\n\Z")
_APPEND = re.compile(rb"[^\x00-\x20]{1,100} APPEND ", re.IGNORECASE)


class Received(Struct, frozen=True):
    """A whole, well-formed command."""

    tag: bytes
    command: Command


class Malformed(Struct, frozen=True):
    """A command that cannot be read or may not come now: answer it with `response`; without a readable `tag`
    (None) that is untagged."""

    tag: bytes | None
    response: Bad

    @classmethod
    def of(cls, tag: bytes | None, text: str) -> "Malformed":
        return cls(tag, Bad(f"{text[:1].upper()}{text[1:]}"))


class Fatal(Struct, frozen=True):
    """The client cannot be followed any more: say BYE and close."""

    text: str
    code: str = ""


class ContinuationLine(Struct, frozen=True):
    """The line that `expect_line` asked for, without CRLF."""

    octets: bytes


class AppendBegins(Struct, frozen=True):
    """APPEND up to its message literal. Call `accept_append` or `refuse_append` before the next event."""

    tag: bytes
    append: Append
    size_octets: int


class AppendPiece(Struct, frozen=True):
    octets: bytes


class AppendEnds(Struct, frozen=True):
    """The command is complete. `problem` None: well-formed; else it must be answered so."""

    problem: Bad | None = None


Event = Received | Malformed | Fatal | ContinuationLine | AppendBegins | AppendPiece | AppendEnds


class _Step(enum.Enum):
    COMMAND = enum.auto()
    LINE = enum.auto()
    APPEND_DECISION = enum.auto()
    APPEND_OCTETS = enum.auto()
    APPEND_END = enum.auto()
    SKIP_OCTETS = enum.auto()
    SKIP_END = enum.auto()
    DEAD = enum.auto()


class ImapMachine:
    """One session: feed it with `receive_data`, take events with `next_event`, answer them, send what
    `data_to_send` gives."""

    __slots__ = (
        "_append_octets",
        "_buffer",
        "_left",
        "_line_start",
        "_out",
        "_problem",
        "_scan",
        "_step",
        "_sync",
        "_tag",
        "state",
        "waiting_octets",
    )

    def __init__(self, append_octets: int) -> None:
        """`append_octets`: the largest message that APPEND may bring."""
        self.state: State = "not authenticated"
        self.waiting_octets = 0  # to be sent
        self._append_octets = append_octets
        self._buffer = bytearray()
        self._line_start = 0  # of the current line of a command that holds literals
        self._scan = 0  # no line end stands before it
        self._left = 0  # octets of a message literal still to come
        self._out: list[bytes] = []
        self._tag: bytes | None = None  # of the command that waits for its answer
        self._step = _Step.COMMAND
        self._sync = True
        self._problem: Bad | None = None

    @property
    def buffered_octets(self) -> int:
        """Received and not yet looked at. Anything but 0 behind STARTTLS is an injection (THREATS 2)."""
        return len(self._buffer)

    def receive_data(self, octets: bytes) -> None:
        self._buffer += octets

    def data_to_send(self) -> bytes:
        """What must go out now, or b""."""
        octets = b"".join(self._out)
        self._out.clear()
        self.waiting_octets = 0
        return octets

    # --- answers

    def respond(self, octets: bytes) -> None:
        """Whole untagged responses, in front of the answer."""
        self._out.append(octets)
        self.waiting_octets += len(octets)

    def answer(self, response: Response) -> None:
        """The tagged response of the command in hand."""
        self.respond(response.line(self._tag))
        self._tag = None

    def tell(self, response: Response) -> None:
        """An untagged status response (RFC 3501 §7.1)."""
        self.respond(response.line(None))

    def end(self, text: str, code: str = "") -> None:
        """BYE: nothing is read any more."""
        self.tell(Bye(text, code))
        self._fatal(text)

    @property
    def is_logged_in(self) -> bool:
        return self.state != "not authenticated"

    def entered(self) -> None:
        """Somebody logged in."""
        self.state = "authenticated"

    def selected(self) -> None:
        self.state = "selected"

    def unselected(self) -> None:
        if self.state == "selected":
            self.state = "authenticated"

    # --- events

    def next_event(self) -> Event | None:
        """The next event, or None when more octets are needed."""
        match self._step:
            case _Step.COMMAND:
                return self._read_command()
            case _Step.LINE:
                return self._read_line()
            case _Step.APPEND_OCTETS | _Step.SKIP_OCTETS:
                return self._read_octets()
            case _Step.APPEND_END | _Step.SKIP_END:
                return self._read_end()
            case _Step.APPEND_DECISION:
                raise RuntimeError("accept_append or refuse_append comes first")
            case _Step.DEAD:
                return None

    def challenge(self, prompt: bytes) -> None:
        """Send `+ prompt` and take the next line as it is (AUTHENTICATE, IDLE)."""
        self.respond(b"+ %b\r\n" % prompt)
        self._step = _Step.LINE

    def accept_append(self) -> None:
        if self._sync:
            self.respond(b"+ Ready for the message\r\n")
        self._problem = None
        self._step = _Step.APPEND_OCTETS if self._left else _Step.APPEND_END

    def refuse_append(self) -> None:
        """The caller answers at once; octets that come anyway are skipped without an event (RFC 7888 §4)."""
        if self._sync:
            self._step = _Step.COMMAND
        else:
            self._step = _Step.SKIP_OCTETS if self._left else _Step.SKIP_END

    def _fatal(self, text: str, code: str = "") -> Fatal:
        self._buffer.clear()
        self._step = _Step.DEAD
        return Fatal(text, code)

    def _malformed(self, tag: bytes | None, text: str) -> Malformed:
        self._tag = tag
        return Malformed.of(tag, text)

    def _take(self, count: int) -> bytes:
        octets = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._line_start = self._scan = 0
        return octets

    def _read_command(self) -> Event | None:
        buffer = self._buffer
        line_cap = MAX_COMMAND if self.is_logged_in else MAX_LINE_BEFORE_LOGIN
        while True:
            newline = buffer.find(b"\n", self._scan)
            end = newline + 1 if newline >= 0 else len(buffer)
            if end - self._line_start > line_cap or end > MAX_COMMAND:
                return self._fatal("The command is too long")
            if newline < 0:
                self._scan = max(self._scan, len(buffer))
                return None
            literal = _LITERAL_AT_END.search(buffer, max(self._line_start, end - 30), end)
            if literal is None:
                return self._finish_command(self._take(end))
            event = self._begin_literal(literal, end)
            if event is not None:
                return event

    def _begin_literal(self, literal: re.Match[bytes], end: int) -> Event | None:
        """A line ended in `{n}`. None: the literal is part of an ordinary command, go on reading."""
        size, sync = int(literal[2]), not literal[3]
        binary, start = bool(literal[1]), literal.start()
        del literal  # it holds on to the buffer, which must be free to shrink
        append = _APPEND.match(bytes(self._buffer[:120]))
        if append and start > append.end():
            return self._begin_append(size, sync, binary, start, end)
        cap = MAX_COMMAND if self.is_logged_in else MAX_LITERAL_BEFORE_LOGIN
        if binary or size > cap or end + size > MAX_COMMAND:
            if not sync:
                return self._fatal("The literal is too long")
            return self._malformed(
                tag_of(self._take(end)), "this literal is too long, or of a kind that is not supported"
            )
        if sync:
            self.respond(b"+ Ready for the literal\r\n")
        self._line_start = self._scan = end + size
        return None

    def _begin_append(self, size: int, sync: bool, binary: bool, start: int, end: int) -> Event | None:
        line = self._take(end)
        self._left, self._sync = size, sync
        tag = tag_of(line)
        if tag is None:
            return self._fatal("The tag is malformed")
        if not sync and size > (self._append_octets if self.is_logged_in else MAX_LITERAL_BEFORE_LOGIN):
            return self._fatal("The message is too large", "TOOBIG")
        try:
            if b"\0" in line:
                raise ParseError("NUL is not allowed")
            if binary:
                raise ParseError("literal8 is not supported")
            check_state(LOGGED_IN, self.state)
            append = parse_append_head(line[:start])
        except ParseError as error:
            self.refuse_append()
            return self._malformed(tag, str(error))
        self._step, self._tag = _Step.APPEND_DECISION, tag
        return AppendBegins(tag, append, size)

    def _finish_command(self, raw: bytes) -> Event:
        if not raw.endswith(b"\r\n"):
            return self._malformed(tag_of(raw), "lines must end in CRLF")
        data = raw[:-2]
        if b"\0" in data:  # THREATS 26
            return self._malformed(tag_of(data), "NUL is not allowed")
        try:
            tag, command = parse_command(data, self.state)
        except ParseError as error:
            return self._malformed(tag_of(data), str(error))
        self._tag = tag
        return Received(tag, command)

    def _read_line(self) -> Event | None:
        newline = self._buffer.find(b"\n", self._scan)
        end = newline + 1 if newline >= 0 else len(self._buffer)
        if end > MAX_CONTINUATION_LINE:
            return self._fatal("The line is too long")
        if newline < 0:
            self._scan = end
            return None
        line = self._take(end)
        self._step = _Step.COMMAND
        if not line.endswith(b"\r\n"):
            return self._fatal("Lines must end in CRLF")
        return ContinuationLine(line[:-2])

    def _read_octets(self) -> Event | None:
        skipping = self._step is _Step.SKIP_OCTETS
        while self._buffer:
            octets = self._take(min(self._left, PIECE_OCTETS, len(self._buffer)))
            self._left -= len(octets)
            if not self._left:
                self._step = _Step.SKIP_END if skipping else _Step.APPEND_END
            if not skipping:
                if b"\0" in octets:  # RFC 3501 §9: CHAR8
                    self._problem = Bad("NUL is not allowed in a message")
                return AppendPiece(octets)
            if not self._left:
                return self._read_end()
        return None

    def _read_end(self) -> Event | None:
        newline = self._buffer.find(b"\n")
        if newline < 0:
            if len(self._buffer) > MAX_LINE_BEFORE_LOGIN:
                return self._fatal("The command is too long")
            return None
        skipping = self._step is _Step.SKIP_END
        line = self._take(newline + 1)
        self._step = _Step.COMMAND
        if skipping:
            return self.next_event()
        if line != b"\r\n":
            return AppendEnds(Bad("Something follows the message"))
        return AppendEnds(self._problem)
