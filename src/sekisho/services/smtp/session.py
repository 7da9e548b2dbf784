"""Runs one SMTP session: octets between stream and machine, events to whoever decides. Shared by reception
and submission."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sekisho.core.smtp.events import (
    NEED_DATA,
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
    TransactionDropped,
)
from sekisho.core.smtp.server import ServerMachine
from sekisho.core.smtp.session import EndReason, ServerSettings
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.stream import StreamError, StreamTimeout
from sekisho.services.smtp.acceptance import Destination
from sekisho.services.smtp.connection import NO_HELLO, SessionTools
from sekisho.services.smtp.content import STORE_TROUBLE, IncomingContent
from sekisho.services.smtp.headway import CONTENT, HELLO, SECURE_HELLO, SENDER, Headway
from sekisho.services.smtp.refusal import CONTENT_RULE, Refusal, Refusals
from sekisho.services.smtp.transaction import MailTransaction

_TIMEOUT = Reply.of(421, "4.4.2", "Timeout, closing the connection")  # RFC 5321 §4.5.3.2.7
_SHUTDOWN = Reply.of(421, "4.3.2", "The service is shutting down; try again soon")  # RFC 5321 §3.8
_STOPPING = Refusal(reply=_SHUTDOWN)
_NO_LOGIN_NOW = Refusal.of(454, "4.7.0", "Temporary authentication failure")  # RFC 4954 §6
_SENDER_OK = Reply.of(250, "2.1.0", "Sender OK")
_RECIPIENT_OK = Reply.of(250, "2.1.5", "Recipient OK")
_TURN_SECONDS = 0.005
# What a client did not do in time: send a whole command, more of a message, enough of it, log in, read our
# replies, come to an end.
Limit = Literal["command", "silence", "progress", "login", "replies", "session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds. `login_seconds` 0: there is no login. `data_octets_per_second`: slower than that, on the
    whole, no content may come."""

    command_seconds: float
    data_seconds: float
    session_seconds: float
    login_seconds: float = 0.0
    data_octets_per_second: float = 0.0


class Decider(Protocol):
    """What reception and submission decide: seven questions, each answered by a refusal or by what goes on.
    Each may await; a StoreUnavailable from it becomes a 452, a bug a 451."""

    async def connected(self) -> Refusal | None:
        """Somebody is there and was told nothing yet: None greets."""
        ...

    async def hello(self, event: Hello, *, is_early: bool) -> Refusal | tuple[str, ...]:
        """The SASL mechanisms that are offered on the connection as it is now. `is_early`: more octets came
        with it, before our answer."""
        ...

    async def mail(self, envelope: Envelope) -> Refusal | None: ...

    async def rcpt(self, transaction: MailTransaction, recipient: Recipient) -> Refusal | Destination: ...

    async def begin(self, transaction: MailTransaction) -> Refusal | IncomingContent: ...

    async def message(self, transaction: MailTransaction, content: IncomingContent) -> Refusal | Reply:
        """The content is whole and nothing speaks against it so far. Of what is refused the session lets
        go."""
        ...

    async def sasl(self, event: SaslBegins | SaslResponse | SaslDropped) -> Refusal | Reply | bytes:
        """A reply to who is let in, or a challenge in base64. Nobody waits for what is answered to
        SaslDropped."""
        ...


class SmtpSession:
    """One connection. `run` returns when it is over, or raises StreamError."""

    def __init__(
        self,
        settings: ServerSettings,
        decider: Decider,
        timeouts: Timeouts,
        tools: SessionTools,
        refusals: Refusals,
    ) -> None:
        self._connection = connection = refusals.connection
        self.stream = connection.stream
        self._refusals = refusals
        self.machine = ServerMachine(
            settings,
            tls=self.stream.tls is not None,
            authenticated=bool(connection.account),
            reference=refusals.reference,
        )
        self._decider = decider
        self._timeouts = timeouts
        self._tools = tools
        self._transaction: MailTransaction | None = None
        self._content: IncomingContent | None = None
        self._headway = Headway(self.stream.place)
        now = tools.clock.monotonic()
        self._deadline = now + timeouts.session_seconds
        self._login_deadline = now + timeouts.login_seconds if timeouts.login_seconds else self._deadline
        self._turn_began = now
        # Since our last reply: when the client began to be waited for (None: not yet), and what came from it.
        self._step_began: float | None = None
        self._step_octets = 0
        self._limit: Limit = "silence"  # that the client comes to if it goes on like this
        self._task: asyncio.Task[object] | None = None
        self._is_reading = False
        self._stopping = False

    async def run(self) -> str:
        """The reason why the session ended."""
        machine = self.machine
        self._task = asyncio.current_task()
        try:
            while True:
                event = machine.next_event()
                if event is NEED_DATA:
                    await self._flush()
                    await self._read()
                elif isinstance(event, Ended):
                    self.stream.write(machine.data_to_send())  # goes out with the end of the connection
                    return event.reason
                elif isinstance(event, ContentChunk):
                    assert self._content is not None
                    self._content.write(event.octets)
                    self._headway.content(len(event.octets))
                else:
                    assert not isinstance(event, Need)
                    try:
                        await self._decide(event)
                    except StreamError:
                        raise
                    except StoreUnavailable:
                        self._recover(event, STORE_TROUBLE)
                    except Exception as error:  # an own bug must never cost the sender the message (law 8)
                        self._recover(event, self._own_bug(error))
                    await self._breathe()
        except StreamTimeout:
            self._tools.metrics.count(
                "sekisho_deadlines_total", service=self._connection.role, deadline=self._limit
            )
            self._end(_TIMEOUT, "service")
            await self._flush()
            return f"timeout: {self._limit}"
        finally:
            self._drop()

    def stop(self) -> None:
        """The service goes down: end now if the session is idle, else after the transaction in hand."""
        self._stopping = True
        if self._is_reading and self._task is not None and not self.machine.in_transaction:
            self._task.cancel()

    async def _breathe(self) -> None:
        """A batch of commands may cost much (a thousand recipients behind aliases): others get their turn
        every few ms."""
        if self._tools.clock.monotonic() - self._turn_began > _TURN_SECONDS:
            await asyncio.sleep(0)
            self._turn_began = self._tools.clock.monotonic()

    async def _flush(self) -> None:
        octets = self.machine.data_to_send()
        if octets:
            self._step_began, self._step_octets = None, 0
            try:
                await self.stream.send(octets, self._timeouts.command_seconds)
            except StreamTimeout:
                self._limit = "replies"
                raise

    async def _read(self) -> None:
        machine = self.machine
        if self._stopping and not machine.in_transaction:
            self._end(_SHUTDOWN, "shutdown")
            return
        self._is_reading = True
        try:
            octets = await self.stream.read(self._patience())
        except asyncio.CancelledError:
            # Ours (from `stop`) or somebody else's: only the latter leaves a request behind once ours is
            # taken back.
            if not self._stopping or self._task is None or self._task.uncancel() > 0:
                raise
            self._end(_SHUTDOWN, "shutdown")
            return
        finally:
            self._is_reading = False
            self._turn_began = self._tools.clock.monotonic()
        if octets:
            self._step_octets += len(octets)
            machine.receive_data(octets)
        else:
            machine.receive_eof()

    def _patience(self) -> float:
        """How long to wait for the next octets. A line must be whole within the time of a command, and
        content must make progress: one octet a minute wins no time (THREATS 45)."""
        now, timeouts = self._tools.clock.monotonic(), self._timeouts
        began = self._step_began = now if self._step_began is None else self._step_began
        if self.machine.in_content:
            left, self._limit = timeouts.data_seconds, "silence"
            if timeouts.data_octets_per_second:
                progress = (
                    began + timeouts.data_seconds + self._step_octets / timeouts.data_octets_per_second - now
                )
                if progress < left:
                    left, self._limit = progress, "progress"
        else:
            left, self._limit = began + timeouts.command_seconds - now, "command"
        if self._deadline - now < left:
            left, self._limit = self._deadline - now, "session"
        if self._login_deadline - now < left and not self._connection.account:
            left, self._limit = self._login_deadline - now, "login"
        if left <= 0:
            raise StreamTimeout(f"deadline: {self._limit}")
        return left

    # --- one step ---

    async def _decide(self, event: Event) -> None:
        began = self._tools.clock.monotonic()
        try:
            await _HANDLERS[type(event)](self, event)
        finally:
            self._headway.worked(self._tools.clock.monotonic() - began)

    def _own_bug(self, error: Exception) -> Refusal:
        role = self._connection.role
        fault = self._tools.journal.fault(role, error)
        self._tools.metrics.count("sekisho_faults_total", where=role)
        return Refusal.of(451, "4.3.0", f"Internal error {fault}; try again later")

    def _recover(self, event: Event, refusal: Refusal) -> None:
        """Nobody decided: the record is kept here, whatever the event."""
        if isinstance(event, ContentEnds):
            self._drop()
            self._refuse("DATA", "", refusal)
        elif isinstance(event, MailFrom):
            self._refuse("MAIL", str(event.envelope.reverse_path), refusal)
        elif isinstance(
            event, RcptTo
        ):  # the transaction stays as it was: recipients that were told 250 still count
            self._refuse("RCPT", str(event.recipient.address), refusal)
        elif isinstance(event, ContentBegins):
            self._refuse("DATA", "", refusal)
        elif isinstance(event, SaslBegins | SaslResponse):
            self._refuse("AUTH", "", _NO_LOGIN_NOW)
        else:
            self._end(Reply.of(421, "4.3.0", refusal.reply.text))

    def _refuse(self, command: str, argument: str, refusal: Refusal) -> None:
        self.machine.answer(self._refusals.command(command, argument, refusal))

    def _end(self, reply: Reply, reason: EndReason = "service") -> None:
        self.machine.end(self._refusals.parting(reply), reason)

    def _drop(self) -> None:
        """No transaction is open any more."""
        content, self._content, self._transaction = self._content, None, None
        if content is not None:
            content.writer.discard()

    async def _connected(self, _event: Connected) -> None:
        refusal = _STOPPING if self._stopping else await self._decider.connected()
        self.machine.answer(self._refusals.greeting(refusal) if refusal is not None else None)

    async def _hello(self, event: Hello) -> None:
        answer = await self._decider.hello(event, is_early=self.machine.has_more)
        if isinstance(answer, Refusal):
            self._refuse("EHLO", "", answer)
            return
        self._connection.hello = event
        self.machine.offer(answer)
        self._headway.reached(HELLO if self.stream.tls is None else SECURE_HELLO)
        self.machine.answer(None)

    async def _mail(self, event: MailFrom) -> None:
        refusal = await self._decider.mail(event.envelope)
        if refusal is not None:
            self.machine.answer(self._refusals.sender(event.envelope, refusal))
            return
        self._transaction = MailTransaction(event.envelope)
        self._headway.reached(SENDER)
        self.machine.answer(_SENDER_OK)

    async def _rcpt(self, event: RcptTo) -> None:
        transaction = self._transaction
        assert transaction is not None
        answer = await self._decider.rcpt(transaction, event.recipient)
        if isinstance(answer, Refusal):
            self.machine.answer(self._refusals.recipient(transaction.opened, event.recipient, answer))
            return
        transaction.destinations.append(answer)
        self._headway.recipient()
        self.machine.answer(_RECIPIENT_OK)

    async def _begin(self, _event: ContentBegins) -> None:
        assert self._transaction is not None
        begun = await self._decider.begin(self._transaction)
        if isinstance(begun, Refusal):
            self._refuse("DATA", "", begun)
            return
        self._content = begun
        self._headway.reached(CONTENT)
        self.machine.answer(None)

    async def _content_refused(self, event: ContentRefused) -> None:
        """The machine has said it, with the id of the connection."""
        refusal = Refusal(reply=event.reply, rule=CONTENT_RULE, id=self._connection.session)
        self._refusals.message(event.envelope, refusal, None)
        self._drop()

    async def _message(self, _event: ContentEnds) -> None:
        content, transaction = self._content, self._transaction
        assert content is not None and transaction is not None
        self._headway.message()
        content.finish()
        if content.refusal is not None:
            answer = self._refusals.message(transaction.envelope, content.refusal, None)
        else:
            answer = await self._say(transaction, content)
        self._content = self._transaction = None
        self.machine.answer(answer)

    async def _say(self, transaction: MailTransaction, content: IncomingContent) -> Reply:
        answer = await self._decider.message(transaction, content)
        if not isinstance(answer, Refusal):
            return answer
        content.writer.discard()
        return self._refusals.message(transaction.envelope, answer, content.stored_header())

    async def _sasl(self, event: SaslBegins | SaslResponse) -> None:
        answer = await self._decider.sasl(event)
        if isinstance(answer, bytes):
            self.machine.challenge(answer)
        elif isinstance(answer, Refusal):
            self._refuse("AUTH", "", answer)
            if answer.parting is not None:
                self._end(answer.parting, "errors")
        else:
            self.stream.place.vouch()
            self.machine.answer(answer)

    async def _sasl_dropped(self, event: SaslDropped) -> None:
        await self._decider.sasl(event)

    async def _start_tls(self, _event: TlsBegins) -> None:
        await self._flush()
        await self.stream.start_tls_server()
        self._connection.hello = NO_HELLO  # RFC 3207 §4.2
        self.machine.tls_started()

    async def _transaction_dropped(self, _event: TransactionDropped) -> None:
        self._drop()

    async def _limit_reached(self, event: LimitReached) -> None:
        """The machine has said it, with the id of the connection."""
        self._refusals.command(event.command, "", Refusal(reply=event.reply, id=self._connection.session))


# What becomes of each event but ContentChunk and Ended. A new one of the machine needs its row.
_HANDLERS: Mapping[type[Any], Callable[[SmtpSession, Any], Awaitable[None]]] = {
    Connected: SmtpSession._connected,
    Hello: SmtpSession._hello,
    MailFrom: SmtpSession._mail,
    RcptTo: SmtpSession._rcpt,
    ContentBegins: SmtpSession._begin,
    ContentRefused: SmtpSession._content_refused,
    ContentEnds: SmtpSession._message,
    SaslBegins: SmtpSession._sasl,
    SaslResponse: SmtpSession._sasl,
    SaslDropped: SmtpSession._sasl_dropped,
    TlsBegins: SmtpSession._start_tls,
    TransactionDropped: SmtpSession._transaction_dropped,
    LimitReached: SmtpSession._limit_reached,
}
