"""One IMAP connection: its state, its output, and the loop over the reader's events."""

import asyncio
from collections.abc import Callable

from sekisho.core.imap.machine import ContinuationLine, Event, Fatal, ImapMachine
from sekisho.core.imap.responses import Response
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel
from sekisho.ports.stream import ListenerInfo, Stream, StreamTimeout
from sekisho.services.access.imap.context import ImapContext
from sekisho.services.access.imap.selected import Selected

SLICE_SECONDS = 0.005
FLUSH_OCTETS = 32768
WRITE_TIMEOUT_SECONDS = 300.0

# Before login only what is needed to get there (RFC 3501 §6.1.1 allows to announce less).
_ALWAYS = b"IMAP4rev1 SASL-IR ID ENABLE"
_LOGGED_IN = (
    b" LITERAL+ IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN LIST-EXTENDED LIST-STATUS "
    b"SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE"
)


class CommandFailed(Exception):
    """The tagged answer is this NO or BAD."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.text)
        self.response = response


class SessionEnds(Exception):
    """Say BYE with this text and response code, and close; "" says nothing."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


class ImapSession:
    """One machine and its stream, and who is logged in. Commands live in the modules beside this one."""

    __slots__ = (
        "_end_reason",
        "_last_yield",
        "_reading_task",
        "bad_commands",
        "commands",
        "context",
        "deadline",
        "failures",
        "identity",
        "listener",
        "machine",
        "on_hint",
        "selected",
        "stream",
        "unsubscribe",
    )

    def __init__(self, context: ImapContext, stream: Stream, listener: ListenerInfo) -> None:
        self.context = context
        self.stream = stream
        self.listener = listener
        self.machine = ImapMachine(context.access.append_octets)
        self.identity: Identity | None = None
        self.selected: Selected | None = None
        self.failures = 0
        self.commands = 0
        self.bad_commands = 0
        self.deadline = context.ports.clock.monotonic() + context.access.login_timeout_seconds  # of login
        self.unsubscribe: Callable[[], None] | None = None
        self.on_hint: Callable[[], None] | None = None  # set while IDLE
        self._last_yield = 0.0
        self._end_reason: str | None = None
        self._reading_task: asyncio.Task[object] | None = None

    # --- output

    def send(self, octets: bytes) -> None:
        """Queue whole untagged responses; they leave at the next flush."""
        self.machine.respond(octets)

    def send_all(self, lines: list[bytes]) -> None:
        if lines:
            self.send(b"".join(lines))

    def write_out(self) -> None:
        """Hand what is queued to the stream, without waiting."""
        if self.machine.waiting_octets:
            self.stream.write(self.machine.data_to_send())

    async def flush(self) -> None:
        """Hand what is queued to the stream and wait until the peer takes it."""
        if self.machine.waiting_octets:
            self.write_out()
            await self.stream.drain(WRITE_TIMEOUT_SECONDS)

    async def breathe(self) -> None:
        """Between portions of long work: flush when much is waiting, let others run every few ms."""
        if self.machine.waiting_octets > FLUSH_OCTETS:
            await self.flush()
        now = self.context.ports.clock.monotonic()
        if now - self._last_yield > SLICE_SECONDS:
            await asyncio.sleep(0)
            self._last_yield = self.context.ports.clock.monotonic()

    # --- input

    async def next_event(self) -> Event | None:
        """The next event, reading as needed; None at the end of the connection. Raises SessionEnds,
        StreamError."""
        while True:
            event = self.machine.next_event()
            if event is not None:
                return event
            await self.flush()
            octets = await self.read(self._patience())
            if octets is None:
                raise SessionEnds("Autologout: the connection was idle for too long")
            if not octets:
                return None
            self.machine.receive_data(octets)

    async def next_line(self) -> bytes | None:
        """The line that `machine.challenge` asked for; None at the end of the connection."""
        event = await self.next_event()
        if isinstance(event, Fatal):
            raise SessionEnds(event.text, event.code)
        return event.octets if isinstance(event, ContinuationLine) else None

    async def read(self, timeout_seconds: float) -> bytes | None:
        """Octets from the peer, b"" at the end, None when the time is up; raises SessionEnds after
        `interrupt`."""
        self._end_if_asked()
        self._reading_task = asyncio.current_task()
        try:
            return await self.stream.read(timeout_seconds)
        except StreamTimeout:
            return None
        except asyncio.CancelledError:
            # `interrupt` cancelled this read; any other cancellation goes on its way.
            task = self._reading_task
            if self._end_reason is None or task is None or task.uncancel() > 0:
                raise
            raise SessionEnds(self._end_reason) from None
        finally:
            self._reading_task = None

    def interrupt(self, reason: str) -> None:
        """End the session: at once if it waits for the client, else after the command in hand."""
        if self._end_reason is None:
            self._end_reason = reason
            if self._reading_task is not None:
                self._reading_task.cancel()

    def _end_if_asked(self) -> None:
        if self._end_reason is not None:
            raise SessionEnds(self._end_reason)

    def _patience(self) -> float:
        if self.identity is None:
            return max(0.001, self.deadline - self.context.ports.clock.monotonic())
        return self.context.access.idle_timeout_seconds

    # --- state

    @property
    def capabilities(self) -> bytes:
        if self.identity is not None:
            return _ALWAYS + _LOGGED_IN
        if self.stream.tls is not None:
            mechanisms = self.context.ports.authenticator.mechanisms(self.channel)
            return _ALWAYS + b" LITERAL-" + "".join(f" AUTH={name}" for name in mechanisms).encode()
        # RFC 3501 §6.2.3: LOGINDISABLED until TLS protects the password.
        return (
            _ALWAYS + b" LITERAL-" + (b" STARTTLS" if self.listener.can_starttls else b"") + b" LOGINDISABLED"
        )

    @property
    def channel(self) -> Channel:
        return Channel("imap", self.stream.peer.address, self.stream.tls)

    @property
    def account_id(self) -> int:
        assert self.identity is not None  # the machine lets no such command through before the login
        return self.identity.account_id

    def take_selected(self) -> Selected:
        assert self.selected is not None  # the machine lets no such command through before SELECT
        return self.selected

    def select(self, selected: Selected) -> None:
        self.deselect()
        self.selected = selected
        self.machine.selected()
        self.context.views.enter(selected.mailbox_id)

    def deselect(self) -> None:
        if self.selected is not None:
            self.context.views.leave(self.selected.mailbox_id)
            self.selected = None
            self.machine.unselected()

    def hint(self) -> None:
        """The account changed (from `Changes`)."""
        if self.selected is not None:
            self.selected.is_stale = True
        if self.on_hint is not None:
            self.on_hint()

    def dropped(self) -> None:
        """The connection is over: let go of everything."""
        self.deselect()
        if self.unsubscribe is not None:
            self.unsubscribe()
            self.unsubscribe = None
