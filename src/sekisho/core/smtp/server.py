"""The SMTP server as a machine: octets in, events out, replies collected (RFC 5321, RFC 2920).

    machine.receive_data(octets)
    while True:
        event = machine.next_event()    # NEED_DATA: send data_to_send(), read more; PAUSED: answer first
        …
        machine.answer(reply)

The same octets give the same events and replies, however they are cut. Only STARTTLS looks at what stands
behind it: it must be nothing.
"""

from sekisho.core.smtp.commands import COMMANDS, add_recipient, decode_response, obstacle
from sekisho.core.smtp.content import ContentCheck, ContentFault
from sekisho.core.smtp.events import (
    NEED_DATA,
    PAUSED,
    Connected,
    ContentBegins,
    ContentChunk,
    ContentEnds,
    ContentRefused,
    Ended,
    Event,
    Hello,
    LimitReached,
    MailFrom,
    Need,
    RcptTo,
    SaslBegins,
    SaslDropped,
    SaslResponse,
    TlsBegins,
)
from sekisho.core.smtp.paths import SyntaxRefused, TooLarge, decode_line
from sekisho.core.smtp.session import Chunk, EndReason, Phase, ServerSettings, Session, Transaction
from sekisho.core.terms.reference import Reference
from sekisho.core.terms.reply import Reply

_CR = 0x0D
_PIECE_OCTETS = 65_532  # with what a decoder held back, a chunk stays within 64 KB
_ANSWERED = frozenset(
    {Connected, Hello, MailFrom, RcptTo, ContentBegins, ContentEnds, SaslBegins, SaslResponse, TlsBegins}
)

_GO_AHEAD = b"354 End data with <CRLF>.<CRLF>\r\n"
_UNKNOWN = Reply.of(500, "5.5.2", "Unknown command")
_LINE_TOO_LONG = Reply.of(500, "5.5.2", "The line is too long")  # RFC 5321 §4.5.3.1.9
_CONTROL = Reply.of(500, "5.5.2", "Commands must not contain CR or NUL")
_BARE_LF = Reply.of(500, "5.5.2", "Lines must end in CRLF; bare LF received")
_PIPELINED = Reply.of(554, "5.5.1", "No command may follow STARTTLS before the handshake")
_CANCELLED = Reply.of(501, "5.7.0", "Authentication cancelled")  # RFC 4954 §4
_TOO_MANY_REFUSED = Reply.of(421, "4.7.0", "Too many refused recipients, closing the connection")
_CHUNK_TAKEN = Reply.of(250, "2.0.0", "Chunk received")
_FAULTS = {
    ContentFault.BARE: Reply.of(550, "5.5.2", "Bare CR or LF received; lines must end in CRLF"),
    ContentFault.NUL: Reply.of(550, "5.6.0", "NUL received"),
    ContentFault.TOO_LARGE: Reply.of(552, "5.3.4", "The message is too large"),  # RFC 1870 §6.3
    ContentFault.LINE_TOO_LONG: Reply.of(554, "5.6.0", "A line of the message is too long"),
}


class ServerMachine:
    """One SMTP session. Bounded: it keeps one line, or a few octets of content, and the replies not fetched
    yet."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        tls: bool = False,
        authenticated: bool = False,
        reference: Reference | None = None,
    ) -> None:
        """`authenticated`: who is there is known from elsewhere (peer credentials of a Unix socket).

        `reference` stands in refusals that follow from our limits; the driver puts its own into the answers.
        """
        self._session = Session(
            settings=settings,
            tls=tls,
            reference=reference,
            mechanisms=settings.mechanisms,
            authenticated=authenticated,
            events=[Connected()],
        )
        self._buffer = b""
        self._position = 0
        self._overlong = False

    # --- the four calls of the driver ---

    def receive_data(self, octets: bytes) -> None:
        if self._session.phase is Phase.ENDED:
            return
        if self._position < len(self._buffer):
            self._buffer = self._buffer[self._position :] + octets
        else:
            self._buffer = octets
        self._position = 0

    def receive_eof(self) -> None:
        """The client is gone: whatever was under way is over (THREATS 4)."""
        if self._session.phase is not Phase.ENDED:
            self._session.pending = None
            self._session.events.clear()
            self._session.end("lost")

    def next_event(self) -> Event | Need:
        """The next event; NEED_DATA or PAUSED as their names say. `Ended` comes again and again."""
        session = self._session
        if session.pending is not None:
            return PAUSED
        while True:
            if session.events:
                event = session.events.pop(0)
                kind = type(event)
                if kind in _ANSWERED:
                    session.pending = event
                elif kind is Ended:
                    session.events[:] = [event]
                return event
            phase = session.phase
            if phase is Phase.DATA:
                progress = self._advance_data()
            elif phase is Phase.CHUNK:
                progress = self._advance_chunk()
            else:
                progress = self._advance_line()
            if not progress:
                return NEED_DATA

    def answer(self, reply: Reply | None = None) -> None:
        """Answer the event told last. A 421 ends the session."""
        session, event = self._session, self._session.pending
        session.pending = None
        if isinstance(event, RcptTo):
            assert reply is not None
            self._answer_rcpt(event, reply)
        elif isinstance(event, MailFrom):
            assert reply is not None
            session.say(reply)
            if reply.is_positive:
                session.transaction = Transaction(event.envelope)
        elif isinstance(event, ContentEnds):
            assert reply is not None
            session.transaction = None
            session.say(reply)
        elif isinstance(event, ContentBegins):
            self._answer_begin(event, reply)
        elif isinstance(event, Hello):
            self._answer_hello(event, reply)
        elif isinstance(event, Connected):
            if reply is None:
                session.output.append(f"220 {session.settings.hostname} ESMTP\r\n".encode())
            else:
                session.say(reply)
                if session.phase is not Phase.ENDED and not reply.is_positive:
                    session.end("refused")
        elif isinstance(event, SaslBegins | SaslResponse):
            self._answer_sasl(reply)
        else:
            raise RuntimeError(f"nothing to answer: {event!r}")

    def data_to_send(self) -> bytes:
        """Everything said since the last call."""
        output = self._session.output
        if not output:
            return b""
        octets = b"".join(output)
        output.clear()
        return octets

    # --- what else a driver may say ---

    def offer(self, mechanisms: tuple[str, ...]) -> None:
        """From now on AUTH is offered with these, in upper case; without any, it is not."""
        self._session.mechanisms = mechanisms

    def challenge(self, octets_base64: bytes) -> None:
        """Answer a SASL event with 334 and an already encoded challenge; the next line is its response."""
        self._session.pending = None
        self._session.output.append(b"334 " + octets_base64 + b"\r\n")

    def tls_started(self) -> None:
        """The handshake is done: nothing from before it counts (RFC 3207 §4.2)."""
        session = self._session
        session.pending = None
        session.forget()
        session.tls = True
        self._buffer, self._position = b"", 0

    def end(self, reply: Reply, reason: EndReason = "service") -> None:
        """Say a last reply, asked or not (RFC 5321 §3.8), and end."""
        session = self._session
        if session.phase is not Phase.ENDED:
            session.pending = None
            session.events.clear()
            session.output.append(reply.to_wire())
            session.end(reason)

    @property
    def has_more(self) -> bool:
        """Are there octets behind what was told last?"""
        return self._position < len(self._buffer)

    @property
    def errors(self) -> int:
        """Of the client, so far."""
        return self._session.errors

    @property
    def in_transaction(self) -> bool:
        return self._session.transaction is not None

    @property
    def in_content(self) -> bool:
        return self._session.phase in (Phase.DATA, Phase.CHUNK)

    @property
    def hello(self) -> str | None:
        return self._session.hello

    @property
    def is_extended(self) -> bool:
        return self._session.extended

    # --- answers ---

    def _answer_rcpt(self, event: RcptTo, reply: Reply) -> None:
        session = self._session
        session.say(reply)
        if reply.is_positive:
            add_recipient(session, event.recipient)
            return
        session.refused_recipients += 1
        if (
            session.refused_recipients >= session.settings.refused_recipients
            and session.phase is not Phase.ENDED
        ):
            session.say(session.referring(_TOO_MANY_REFUSED))

    def _answer_begin(self, event: ContentBegins, reply: Reply | None) -> None:
        session = self._session
        if reply is None:
            if not event.chunking:
                session.phase = Phase.DATA
                session.output.append(_GO_AHEAD)
        elif event.chunking:
            assert session.chunk is not None
            session.chunk = session.chunk._replace(refusal=reply)
            session.transaction = None
        else:
            session.say(reply)

    def _answer_hello(self, event: Hello, reply: Reply | None) -> None:
        session = self._session
        if reply is not None:
            session.say(reply)
            return
        session.hello = event.name
        session.extended = event.extended
        if event.extended:
            session.output.append(
                session.settings.hello_wire(session.tls, session.authenticated, session.mechanisms)
            )
        else:
            session.output.append(f"250 {session.settings.hostname}\r\n".encode())

    def _answer_sasl(self, reply: Reply | None) -> None:
        session = self._session
        assert reply is not None
        session.phase = Phase.COMMAND
        session.say(reply)
        if reply.code == 235:
            session.authenticated = True

    # --- lines ---

    def _advance_line(self) -> bool:
        """One command or SASL line; False when none is complete."""
        session, buffer, start = self._session, self._buffer, self._position
        line_end = buffer.find(b"\n", start)
        if line_end < 0:
            waiting = len(buffer) - start
            if waiting > session.settings.command_line_octets and waiting > self._line_cap(buffer, start):
                self._overlong = True
                self._buffer, self._position = b"", 0
            elif self._overlong:
                self._buffer, self._position = b"", 0
            return False
        self._position = line_end + 1
        length = line_end + 1 - start
        if self._overlong or (
            length > session.settings.command_line_octets and length > self._line_cap(buffer, start)
        ):
            self._overlong = False
            self._leave_sasl()
            session.refuse(_LINE_TOO_LONG)
            return True
        line = buffer[start : line_end - 1]
        if length < 2 or buffer[line_end - 1] != _CR:  # RFC 5321 §2.3.8
            session.say(_BARE_LF)
            session.end("syntax")
            return True
        if b"\r" in line or b"\0" in line:
            self._leave_sasl()
            session.refuse(_CONTROL)
        elif session.phase is Phase.SASL:
            self._take_sasl_line(line)
        else:
            self._take_command(line)
        return True

    def _line_cap(self, buffer: bytes, start: int) -> int:
        session = self._session
        if session.phase is Phase.SASL or buffer[start : start + 5].upper() == b"AUTH ":
            return session.settings.sasl_line_octets
        return session.settings.command_line_octets

    def _leave_sasl(self) -> None:
        if self._session.phase is Phase.SASL:
            self._session.phase = Phase.COMMAND
            self._session.events.append(SaslDropped())

    def _take_sasl_line(self, line: bytes) -> None:
        session = self._session
        if line == b"*":
            self._leave_sasl()
            session.refuse(_CANCELLED)
            return
        try:
            session.events.append(SaslResponse(decode_response(line)))
        except SyntaxRefused as error:
            self._leave_sasl()
            session.refuse(error.reply)

    def _take_command(self, line: bytes) -> None:
        session = self._session
        verb, _, argument = line.partition(b" ")
        command = COMMANDS.get(verb.upper())
        if command is None:
            session.refuse(_UNKNOWN)
            return
        # Inside TLS it is refused anyway, and octets behind it do no harm, whether they come with it or
        # later.
        if not command.may_be_pipelined and not session.tls and self._position < len(self._buffer):
            session.say(_PIPELINED)
            session.end("syntax")
            return
        refusal = obstacle(command, session)
        try:
            if refusal is not None:
                if command.verb == "BDAT":
                    self._swallow_chunk(argument, refusal)
                else:
                    session.refuse(refusal)
                return
            command.act(session, command.check(session, decode_line(argument).rstrip(" ")))
        except TooLarge as error:
            session.events.append(LimitReached(command.verb, error.reply))
            session.refuse(session.referring(error.reply))
        except SyntaxRefused as error:
            session.refuse(error.reply)
            if command.verb == "BDAT" and session.phase is not Phase.ENDED:
                session.end("syntax")  # what follows cannot be told from commands

    def _swallow_chunk(self, argument: bytes, refusal: Reply) -> None:
        octets, last = COMMANDS[b"BDAT"].check(self._session, decode_line(argument))
        self._session.chunk = Chunk(octets, last, refusal)
        self._session.phase = Phase.CHUNK

    # --- content ---

    def _piece(self) -> bytes:
        start = self._position
        if start == 0 and len(self._buffer) <= _PIECE_OCTETS:
            return self._buffer
        return self._buffer[start : start + _PIECE_OCTETS]

    def _advance_data(self) -> bool:
        session, decoder = self._session, self._session.data
        piece = self._piece()
        if not piece or decoder is None:
            return False
        content, rest = decoder.feed(piece)
        self._position += len(piece) - (len(rest) if rest is not None else 0)
        if content:
            session.events.append(ContentChunk(content))
        if rest is not None:
            session.data = None
            session.phase = Phase.COMMAND
            self._finish_content(decoder.check)
        return True

    def _advance_chunk(self) -> bool:
        session, chunk = self._session, self._session.chunk
        assert chunk is not None
        if chunk.refusal is not None:
            return self._advance_refused_chunk(chunk, chunk.refusal)
        transaction = session.transaction
        assert transaction is not None and transaction.chunks is not None
        decoder = transaction.chunks
        if decoder.remaining:
            piece = self._piece()
            if not piece:
                return False
            content, rest = decoder.feed(piece)
            self._position += len(piece) - len(rest)
            if content:
                session.events.append(ContentChunk(content))
            if decoder.remaining:
                return True
        session.phase = Phase.COMMAND
        if chunk.last:
            held = decoder.finish()
            if held:
                session.events.append(ContentChunk(held))
        if chunk.last or decoder.check.fault is not None:
            self._finish_content(decoder.check)
        else:
            session.say(_CHUNK_TAKEN)
        return True

    def _advance_refused_chunk(self, chunk: Chunk, refusal: Reply) -> bool:
        session = self._session
        available = len(self._buffer) - self._position
        taken = min(available, chunk.octets)
        self._position += taken
        if taken < chunk.octets:
            session.chunk = chunk._replace(octets=chunk.octets - taken)
            return False
        session.phase = Phase.COMMAND
        session.refuse(refusal)
        return True

    def _finish_content(self, check: ContentCheck) -> None:
        session, transaction = self._session, self._session.transaction
        assert transaction is not None
        fault = check.fault
        if fault is None:
            session.events.append(ContentEnds(transaction.envelope, check.size_octets))
            return
        session.transaction = None
        session.events.append(ContentRefused(transaction.envelope, fault, _FAULTS[fault], check.size_octets))
        session.refuse(session.referring(_FAULTS[fault]))
        # STANDARDS S-04: a stranger who sent what may be smuggling is not heard further.
        if (
            fault in (ContentFault.BARE, ContentFault.NUL)
            and not session.authenticated
            and session.phase is not Phase.ENDED
        ):
            session.end("content")
