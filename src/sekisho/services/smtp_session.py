"""Runs one SMTP session: octets between stream and machine, events to whoever decides. Shared by reception and submission."""

import asyncio
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
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import Shutdown, Stream, StreamError, StreamTimeout
from sekisho.services.headway import CONTENT, HELLO, SECURE_HELLO, SENDER, Headway
from sekisho.services.references import References
from sekisho.services.smtp_content import STORE_TROUBLE, IncomingContent

_TIMEOUT = Reply.of(421, "4.4.2", "Timeout, closing the connection")  # RFC 5321 §4.5.3.2.7
_SHUTDOWN = Reply.of(421, "4.3.2", "The service is shutting down; come back soon")  # RFC 5321 §3.8
_COMMANDS: dict[type[Any], str] = {
    Connected: "connect",
    Hello: "EHLO",
    ContentBegins: "DATA",
    ContentEnds: "DATA",
    SaslBegins: "AUTH",
    SaslResponse: "AUTH",
}
_TURN_SECONDS = 0.005
# What a client did not do in time: send a whole command, more of a message, enough of it, log in, read our replies, come to an end.
Limit = Literal["command", "silence", "progress", "login", "replies", "session"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `login_seconds` 0: there is no login. `data_octets_per_second`: slower than that, on the whole, no content may come."""

    command_seconds: float
    data_seconds: float
    session_seconds: float
    login_seconds: float = 0.0
    data_octets_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionTools:
    clock: Clock
    journal: Journal
    metrics: Metrics
    shutdown: Shutdown


class Decider(Protocol):
    """What reception and submission decide. Each call may await; a StoreUnavailable from it becomes a 452, a bug a 451."""

    @property
    def is_authenticated(self) -> bool: ...

    async def connected(self) -> Reply | None:
        """Somebody is there and was told nothing yet: None greets."""
        ...

    async def hello(self, event: Hello, *, is_early: bool) -> Reply | None:
        """`is_early`: more octets came with it, before our answer."""
        ...

    async def mail(self, envelope: Envelope) -> Reply: ...

    async def rcpt(self, recipient: Recipient) -> Reply: ...

    async def begin(self, envelope: Envelope) -> IncomingContent | Reply: ...

    async def message(self, envelope: Envelope, content: IncomingContent) -> Reply:
        """The content is whole and nothing speaks against it so far."""
        ...

    @property
    def references(self) -> References:
        """The ids of this connection's refusals: whoever writes one down takes an id from there."""
        ...

    @property
    def client(self) -> str: ...

    @property
    def about_client(self) -> tuple[str, ...]: ...

    def refused(self, envelope: Envelope, reply: Reply, id_: str) -> None:
        """The message was refused for its content or header section, before anybody was asked; the client was told `id_`."""
        ...

    def dropped(self) -> None:
        """No transaction is open any more."""
        ...

    async def sasl(self, event: SaslBegins | SaslResponse) -> Reply | bytes:
        """A reply, or a challenge in base64."""
        ...

    def sasl_dropped(self) -> None: ...

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Of SASL, that are offered on the connection as it is now."""
        ...

    @property
    def last_words(self) -> Reply | None:
        """A 421 if the session must end behind the reply just given to a SASL event."""
        ...

    def tls_started(self) -> None: ...


class SmtpSession:
    """One connection. `run` returns when it is over, or raises StreamError."""

    def __init__(self, stream: Stream, settings: ServerSettings, decider: Decider, timeouts: Timeouts, tools: SessionTools) -> None:
        self.stream = stream
        self._references = decider.references
        self.machine = ServerMachine(
            settings, tls=stream.tls is not None, authenticated=decider.is_authenticated, reference=self._references.of_session
        )
        self.machine.offer(decider.mechanisms)
        self._role = settings.role
        self._decider = decider
        self._timeouts = timeouts
        self._tools = tools
        self._content: IncomingContent | None = None
        self._headway = Headway(stream.place)
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
            self._tools.metrics.count("sekisho_deadlines_total", service=self._role, deadline=self._limit)
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
        """A batch of commands may cost much (a thousand recipients behind aliases): others get their turn every few ms."""
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
            # Ours (from `stop`) or somebody else's: only the latter leaves a request behind once ours is taken back.
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
        """How long to wait for the next octets. A line must be whole within the time of a command, and content must make progress: one
        octet a minute wins no time (THREATS 45)."""
        now, timeouts = self._tools.clock.monotonic(), self._timeouts
        began = self._step_began = now if self._step_began is None else self._step_began
        if self.machine.in_content:
            left, self._limit = timeouts.data_seconds, "silence"
            if timeouts.data_octets_per_second:
                progress = began + timeouts.data_seconds + self._step_octets / timeouts.data_octets_per_second - now
                if progress < left:
                    left, self._limit = progress, "progress"
        else:
            left, self._limit = began + timeouts.command_seconds - now, "command"
        if self._deadline - now < left:
            left, self._limit = self._deadline - now, "session"
        if self._login_deadline - now < left and not self._decider.is_authenticated:
            left, self._limit = self._login_deadline - now, "login"
        if left <= 0:
            raise StreamTimeout(f"deadline: {self._limit}")
        return left

    def _own_bug(self, error: Exception) -> Reply:
        fault = self._tools.journal.fault(self._role, error)
        self._tools.metrics.count("sekisho_faults_total", where=self._role)
        return Reply.of(451, "4.3.0", f"Internal error {fault}; try again later")

    def _recover(self, event: Event, reply: Reply) -> None:
        if isinstance(event, ContentEnds):
            self._drop()
            self._answer(event, reply)
        elif isinstance(event, MailFrom | RcptTo | ContentBegins):
            self._answer(event, reply)  # the transaction stays as it was: recipients that were told 250 still count
        elif isinstance(event, SaslBegins | SaslResponse):
            self._answer(event, Reply.of(454, "4.7.0", "Temporary authentication failure"))  # RFC 4954 §6
        else:
            self._end(Reply.of(421, "4.3.0", reply.text))

    async def _decide(self, event: Event) -> None:
        began = self._tools.clock.monotonic()
        try:
            await self._judge(event)
        finally:
            self._headway.worked(self._tools.clock.monotonic() - began)

    async def _judge(self, event: Event) -> None:
        machine, decider = self.machine, self._decider
        if isinstance(event, RcptTo):
            self._answer(event, await decider.rcpt(event.recipient))
        elif isinstance(event, MailFrom):
            self._answer(event, await decider.mail(event.envelope))
        elif isinstance(event, ContentBegins):
            begun = await decider.begin(event.envelope)
            if isinstance(begun, Reply):
                self._answer(event, begun)
            else:
                self._content = begun
                self._headway.reached(CONTENT)
                machine.answer(None)
        elif isinstance(event, ContentEnds):
            await self._finish(event)
        elif isinstance(event, ContentRefused):
            decider.refused(event.envelope, event.reply, self._references.session)
            self._references.taken()  # the machine has told it
            self._drop()
        elif isinstance(event, Hello):
            self._answer(event, await decider.hello(event, is_early=machine.has_more))
        elif isinstance(event, Connected):
            self._answer(event, _SHUTDOWN if self._stopping else await decider.connected())
        elif isinstance(event, SaslBegins | SaslResponse):
            await self._decide_login(event)
        elif isinstance(event, TlsBegins):
            await self._start_tls()
        elif isinstance(event, TransactionDropped):
            self._drop()
        elif isinstance(event, SaslDropped):
            decider.sasl_dropped()
        elif isinstance(event, LimitReached):
            self._write_down(event.command, "", event.reply, self._references.session)

    async def _decide_login(self, event: SaslBegins | SaslResponse) -> None:
        answer = await self._decider.sasl(event)
        if not isinstance(answer, Reply):
            self.machine.challenge(answer)
            return
        self._answer(event, answer)
        if self._decider.last_words is not None:
            self._end(self._decider.last_words, "errors")

    def _answer(self, event: Event, reply: Reply | None) -> None:
        """A refusal goes out with the id that the decider wrote it down under; if it did not, that is done here."""
        if reply is not None and reply.code >= 400:
            id_ = self._references.taken()
            if not id_:
                command, argument = _command(event)
                id_ = self._references.new()
                self._write_down(command, argument, reply, id_)
            reply = self._references.refer(reply, id_)
        else:
            self._note_headway(event)
        self.machine.answer(reply)

    def _note_headway(self, event: Event) -> None:
        """Of a step that we said yes to."""
        if isinstance(event, Hello):
            self._headway.reached(HELLO if self.stream.tls is None else SECURE_HELLO)
        elif isinstance(event, MailFrom):
            self._headway.reached(SENDER)
        elif isinstance(event, RcptTo):
            self._headway.recipient()
        elif isinstance(event, SaslBegins | SaslResponse) and self._decider.is_authenticated:
            self.stream.place.vouch()

    def _write_down(self, command: str, argument: str, reply: Reply, id_: str) -> None:
        references, client = self._references, self._decider.client
        fields = {"client": client, "command": command, "argument": argument, "reply": str(reply), "session": references.session}
        self._tools.journal.record(
            Entry(f"{self._role}.command_refused", id_, fields, (*self._decider.about_client, references.session, argument))
        )

    def _end(self, reply: Reply, reason: EndReason = "service") -> None:
        """Say a last reply, which the connection's own entry explains."""
        self.machine.end(self._references.refer(reply, self._references.session), reason)

    async def _finish(self, event: ContentEnds) -> None:
        content = self._content
        assert content is not None
        self._headway.message()
        content.finish()
        if content.refusal is not None:
            reply = content.refusal
            self._decider.refused(event.envelope, reply, self._references.new())
            self._drop()
        else:
            reply = await self._decider.message(event.envelope, content)
            self._content = None
            if reply.code >= 400:
                content.writer.discard()
        self._answer(event, reply)

    async def _start_tls(self) -> None:
        await self._flush()
        await self.stream.start_tls_server()
        self._decider.tls_started()
        self.machine.tls_started()
        self.machine.offer(self._decider.mechanisms)

    def _drop(self) -> None:
        content, self._content = self._content, None
        if content is not None:
            content.writer.discard()
        self._decider.dropped()


def _command(event: Event) -> tuple[str, str]:
    """What was refused: a verb and its argument, as people know them."""
    if isinstance(event, RcptTo):
        return "RCPT", str(event.recipient.address)
    if isinstance(event, MailFrom):
        return "MAIL", str(event.envelope.reverse_path)
    return _COMMANDS.get(type(event), ""), ""


class OpenSessions:
    """The sessions of one service in this worker, told when it goes down."""

    def __init__(self, shutdown: Shutdown) -> None:
        self._shutdown = shutdown
        self._sessions: set[SmtpSession] = set()
        self._watcher: asyncio.Task[None] | None = None

    async def run(self, session: SmtpSession) -> str:
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        self._sessions.add(session)
        if self._shutdown.is_set:
            session.stop()
        try:
            return await session.run()
        finally:
            self._sessions.discard(session)

    async def _watch(self) -> None:
        await self._shutdown.wait()
        for session in tuple(self._sessions):
            session.stop()
