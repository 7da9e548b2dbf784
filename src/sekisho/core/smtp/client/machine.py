"""The SMTP client as a machine: octets in, events out, commands in, octets out (RFC 5321 §3; DESIGN law 2).

    machine = ClientMachine("mail.example")
    machine.receive_data(…)            until next_event() gives Ready
    machine.start_tls()                → TlsReady: shake hands, tls_started() → Ready; or TlsRefused
    machine.send_envelope(envelope)    → ContentWanted: send_content(chunk)…, end_content() → TransactionDone;
                                         or TransactionDone at once
    machine.quit()                     → Closed

What `data_to_send()` gives must be written before more is read, and all that came must be handed in before a
method is called that says something: a reply that is here before its command was given is no reply to it (RFC
5321 §4.2.1 pairs them in order), and ends the session. After `Closed` nothing is sent any more.
"""

import enum
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from sekisho.core.smtp.client.commands import Extensions, mail_command, parse_extensions, rcpt_command
from sekisho.core.smtp.client.content import ContentEncoder
from sekisho.core.smtp.client.replies import ReplyError, ReplyParser
from sekisho.core.terms.envelope import Envelope
from sekisho.core.terms.reply import Reply


@dataclass(frozen=True, slots=True)
class Ready:
    """A transaction may begin."""

    extensions: Extensions


@dataclass(frozen=True, slots=True)
class TlsReady:
    """The server said 220 and nothing behind it: shake hands now."""


@dataclass(frozen=True, slots=True)
class TlsRefused:
    """Anything but 220 (RFC 3207 §4): the session goes on as it was."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class ContentWanted:
    """354: somebody will get the content."""


@dataclass(frozen=True, slots=True)
class TransactionDone:
    """How it ended, parallel to the envelope's recipients.

    `replies`: the last word about each, None where the connection ended before one came. `postponed`: those
    that the server took as too many for one transaction (RFC 5321 §4.5.3.1.10). `refused_at_mail`: nothing
    was said about recipients. `may_be_delivered`: everything was sent, the answer is missing.
    """

    replies: tuple[Reply | None, ...]
    postponed: frozenset[int] = frozenset()
    refused_at_mail: bool = False
    may_be_delivered: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over. `reply`: what the server said about it, if anything; `reason`: why, for the
    journal."""

    reply: Reply | None
    reason: str
    violation: bool = False


Event = Ready | TlsReady | TlsRefused | ContentWanted | TransactionDone | Closed


class Awaited(enum.Enum):
    """Which reply comes next."""

    GREETING = "greeting"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    RSET = "rset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    END = "end of data"
    LONE_DOT = "lone dot"
    QUIT = "quit"


class _Command(NamedTuple):
    octets: bytes
    awaited: Awaited
    recipient: int = -1


class ClientMachine:
    """One session. Methods called at the wrong moment raise `RuntimeError`: that is the caller's bug."""

    def __init__(self, ehlo_name: str) -> None:
        """`ehlo_name`: our host name or address literal (RFC 5321 §4.1.4)."""
        self._ehlo_name = ehlo_name
        self._parser = ReplyParser()
        self._awaited: deque[tuple[Awaited, int]] = deque([(Awaited.GREETING, -1)])
        self._commands: deque[_Command] = deque()
        self._events: deque[Event] = deque()
        self._output: list[bytes] = []
        self._at_end = False
        self._tls = False
        self._needs_rset = False
        self._transaction: _Transaction | None = None
        self._encoder: ContentEncoder | None = None
        self.extensions: Extensions = {}
        self.is_closed = False
        self.replies_heard = 0

    # Octets

    def receive_data(self, octets: bytes) -> None:
        """Octets of the server; b"" is the end of the connection."""
        if octets:
            self._parser.receive_data(octets)
        else:
            self._at_end = True

    def connection_lost(self, reason: str) -> None:
        """The connection cannot be used any more; what was received before is still read."""
        if not self.is_closed:
            self._read_replies()
        self._close(None, reason)

    def data_to_send(self) -> bytes:
        output = self._output
        if not output:
            return b""
        octets = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return octets

    def next_event(self) -> Event | None:
        """The next event, or None: write what is to be sent, then read."""
        if not self._events and not self.is_closed:
            self._read_replies()
            if self._at_end and not self._events:
                self._close(None, "the server closed the connection")
        return self._events.popleft() if self._events else None

    # Commands

    def start_tls(self) -> None:
        """Ask for TLS (RFC 3207 §4); only when it was offered."""
        self._require_idle()
        if self._tls or "STARTTLS" not in self.extensions:
            raise RuntimeError("STARTTLS was not offered")
        self._hear_unasked()
        self._command(_Command(b"STARTTLS\r\n", Awaited.STARTTLS))

    def tls_started(self) -> None:
        """The handshake is done: everything learned before it is forgotten (RFC 3207 §4.2)."""
        self._hear_unasked()
        if self.is_closed:
            return
        self._parser = ReplyParser()
        self.extensions = {}
        self._tls = True
        self._say_ehlo()

    def send_envelope(self, envelope: Envelope) -> None:
        """Begin a transaction: MAIL, RCPT and DATA in one go where PIPELINING allows it (RFC 2920 §3.1)."""
        self._require_idle()
        if not envelope.recipients:
            raise RuntimeError("a transaction needs recipients")
        self._transaction = _Transaction(len(envelope.recipients))
        self._hear_unasked()
        commands = self._commands
        if self._needs_rset:
            commands.append(_Command(b"RSET\r\n", Awaited.RSET))
            self._needs_rset = False
        commands.append(_Command(mail_command(envelope, self.extensions), Awaited.MAIL))
        for number, recipient in enumerate(envelope.recipients):
            commands.append(_Command(rcpt_command(recipient, self.extensions), Awaited.RCPT, number))
        commands.append(_Command(b"DATA\r\n", Awaited.DATA))
        if "PIPELINING" in self.extensions:
            while commands:
                self._command(commands.popleft())
        else:
            self._command(commands.popleft())

    def send_content(self, chunk: bytes) -> None:
        """More of the content; raises `ContentError`, and then the connection must be aborted."""
        if self._encoder is None:
            raise RuntimeError("no content is wanted")
        self._output.append(self._encoder.encode(chunk))

    def end_content(self) -> None:
        """That was all of it; raises `ContentError` like `send_content`.

        What the server said before is no answer to the final dot: it ends the session, and of what it only
        began to say the rest is waited for. Then the dot is not sent.
        """
        if self._encoder is None or self._transaction is None:
            raise RuntimeError("no content is wanted")
        end = self._encoder.finish()
        self._read_replies()
        if self.is_closed or self._parser.has_octets:
            return
        self._output.append(end)
        self._encoder = None
        self._transaction.is_sent = True
        self._awaited.append((Awaited.END, -1))

    def quit(self) -> None:
        self._require_idle()
        self._hear_unasked()
        self._command(_Command(b"QUIT\r\n", Awaited.QUIT))

    @property
    def is_idle(self) -> bool:
        """May a command be given, and has the server said nothing unasked?"""
        return not (self._is_busy or self._parser.has_octets)

    @property
    def awaits_final_reply(self) -> bool:
        """Is the content sent and its reply missing? Breaking off now leaves it open whether it was
        delivered."""
        return self._transaction is not None and self._transaction.is_sent

    # Inside

    @property
    def _is_busy(self) -> bool:
        return bool(self.is_closed or self._awaited or self._transaction or self._events)

    def _require_idle(self) -> None:
        if self._is_busy:
            raise RuntimeError("the session is not idle")

    def _hear_unasked(self) -> None:
        """Before a command: octets that are here already cannot be its reply."""
        if self.is_closed or not self._parser.has_octets:
            return
        try:
            reply = self._parser.next_reply()
        except ReplyError as error:
            self._close(None, str(error), violation=True)
            return
        if reply is None:
            self._close(None, "the server sent a reply before a command", violation=True)
        else:
            self._on_unasked(reply)

    def _command(self, command: _Command) -> None:
        self._hear_unasked()
        if not self.is_closed:
            self._output.append(command.octets)
            self._awaited.append((command.awaited, command.recipient))

    def _say_ehlo(self) -> None:
        self._command(_Command(f"EHLO {self._ehlo_name}\r\n".encode(), Awaited.EHLO))

    def _read_replies(self) -> None:
        while not self._events and not self.is_closed:
            try:
                reply = self._parser.next_reply()
            except ReplyError as error:
                self._close(None, str(error), violation=True)
                return
            if reply is None:
                return
            self.replies_heard += 1
            self._on_reply(reply)

    def _on_reply(self, reply: Reply) -> None:
        if reply.code == 421 or not self._awaited:
            self._on_unasked(reply)
        else:
            awaited, recipient = self._awaited.popleft()
            if reply.code // 100 == 3 and awaited is not Awaited.DATA:
                self._close(None, f"the server answered {awaited.value} with: {reply}", violation=True)
            elif self._transaction is None:
                self._on_session_reply(awaited, reply)
            else:
                self._on_transaction_reply(self._transaction, awaited, recipient, reply)

    def _on_unasked(self, reply: Reply) -> None:
        """A refusal in the middle of the content ends it: DATA cannot be broken off otherwise."""
        if reply.code == 421:  # RFC 5321 §3.8: whatever was asked, the server is going
            self._close(reply, "the server said 421")
        elif self._encoder is not None and self._transaction is not None and reply.code >= 400:
            self._transaction.end(reply)
            self._close(reply, "the server refused the content before its end")
        else:
            self._close(None, f"the server sent a reply before a command: {reply}", violation=True)

    def _on_session_reply(self, awaited: Awaited, reply: Reply) -> None:
        if awaited is Awaited.QUIT:
            self._close(reply, "quit")
        elif awaited is Awaited.STARTTLS:
            if reply.code != 220:
                self._events.append(TlsRefused(reply))
            elif self._parser.has_octets:
                # RFC 3207 §6; THREATS 3: whoever spoke behind the 220 did so in the clear.
                self._close(None, "octets followed the 220 to STARTTLS", violation=True)
            else:
                self._events.append(TlsReady())
        elif awaited is Awaited.GREETING:
            if reply.is_positive:
                self._say_ehlo()
            else:
                self._close(reply, "the server refused the connection")
        elif reply.is_positive:
            self.extensions = parse_extensions(reply) if awaited is Awaited.EHLO else {}
            if self._tls:
                self.extensions.pop("STARTTLS", None)  # RFC 3207 §4.2: must not be offered again
            self._events.append(Ready(self.extensions))
        elif awaited is Awaited.EHLO and reply.is_permanent:
            # RFC 5321 §3.2: an old server knows only HELO.
            self._command(_Command(f"HELO {self._ehlo_name}\r\n".encode(), Awaited.HELO))
        else:
            self._close(reply, f"the server refused {awaited.value.upper()}")

    def _on_transaction_reply(
        self, transaction: "_Transaction", awaited: Awaited, recipient: int, reply: Reply
    ) -> None:
        if awaited is Awaited.MAIL:
            self._needs_rset = reply.is_positive
            if not reply.is_positive:
                transaction.refuse_all(reply)
        elif awaited is Awaited.RCPT:
            transaction.on_rcpt(recipient, reply)
        elif awaited is Awaited.DATA:
            self._on_data_reply(transaction, reply)
            return
        elif awaited is Awaited.END:
            transaction.end(reply)
        if awaited in (Awaited.END, Awaited.LONE_DOT):
            self._needs_rset = awaited is Awaited.LONE_DOT
            self._finish(transaction)
            return
        if not self._awaited:
            self._next_command(transaction)

    def _next_command(self, transaction: "_Transaction") -> None:
        """Without PIPELINING: one command at a time, and none that cannot succeed."""
        command = self._commands.popleft()
        if transaction.refused_at_mail or (command.awaited is Awaited.DATA and not transaction.accepted):
            self._commands.clear()
            self._finish(transaction)
        else:
            self._command(command)

    def _on_data_reply(self, transaction: "_Transaction", reply: Reply) -> None:
        if reply.code // 100 == 2:
            self._close(None, f"the server answered data with: {reply}", violation=True)
        elif reply.code // 100 != 3:
            transaction.end(reply)
            self._finish(transaction)
        elif transaction.accepted:
            self._encoder = ContentEncoder()
            self._events.append(ContentWanted())
        else:
            # RFC 2920 §3.1: 354 although no recipient was valid; nothing may follow but the end.
            self._command(_Command(b".\r\n", Awaited.LONE_DOT))

    def _finish(self, transaction: "_Transaction") -> None:
        self._transaction = None
        self._encoder = None
        self._events.append(transaction.done())

    def _close(self, reply: Reply | None, reason: str, *, violation: bool = False) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        if self._transaction is not None:
            if reply is not None:
                self._transaction.end_all(reply)
            self._finish(self._transaction)
        self._awaited.clear()
        self._commands.clear()
        self._output.clear()
        self._events.append(Closed(reply, reason, violation))


class _Transaction:
    """What was said about each recipient so far."""

    __slots__ = ("accepted", "is_sent", "postponed", "refused_at_mail", "replies")

    def __init__(self, recipients: int) -> None:
        self.replies: list[Reply | None] = [None] * recipients
        self.accepted: list[int] = []
        self.postponed: set[int] = set()
        self.refused_at_mail = False
        self.is_sent = False

    def refuse_all(self, reply: Reply) -> None:
        self.replies = [reply] * len(self.replies)
        self.refused_at_mail = True

    def on_rcpt(self, number: int, reply: Reply) -> None:
        if self.refused_at_mail:
            return
        if reply.is_positive:
            self.accepted.append(number)
            return
        self.replies[number] = reply
        # RFC 5321 §4.5.3.1.10: 452, or 552 from old servers, is "too many" and temporary, unless its status
        # says that it is about something else (RFC 3463 §3.6: X.5.3 is too many recipients).
        if (
            reply.code in (452, 552)
            and self.accepted
            and (reply.enhanced is None or (reply.enhanced.subject, reply.enhanced.detail) == (5, 3))
        ):
            self.postponed.add(number)

    def end(self, reply: Reply) -> None:
        """The word about everybody who was accepted."""
        for number in self.accepted:
            self.replies[number] = reply
        self.accepted = []
        self.is_sent = False

    def end_all(self, reply: Reply) -> None:
        """The word about everybody who has none yet."""
        self.replies = [reply if known is None else known for known in self.replies]
        self.accepted = []
        self.is_sent = False

    def done(self) -> TransactionDone:
        return TransactionDone(
            tuple(self.replies),
            frozenset(self.postponed),
            self.refused_at_mail,
            may_be_delivered=self.is_sent and bool(self.accepted),
        )
