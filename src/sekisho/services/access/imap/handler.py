"""The entry of IMAP: one call per connection."""

import asyncio

from sekisho.config.schema import AccessSettings, LoginSettings
from sekisho.core.imap.machine import AppendBegins, Event, Fatal, Malformed, Received
from sekisho.ports.journal import Entry
from sekisho.ports.stream import ListenerInfo, Stream, StreamError
from sekisho.services.access.imap import login
from sekisho.services.access.imap.context import ImapContext, ImapPorts
from sekisho.services.access.imap.dispatch import log_out, run_append, run_command
from sekisho.services.access.imap.idle import RECHECK_SECONDS
from sekisho.services.access.imap.session import ImapSession, SessionEnds

_SHUTDOWN = "The server is shutting down, connect again soon"
_NOT_WELCOME = "This account can no longer be used"
_EXPIRED = "The login has ended, log in again"
_MAX_BAD_BEFORE_LOGIN = 10


class ImapHandler:
    """`ports.stream.ConnectionHandler` for the listeners "imap" and "imaps"."""

    def __init__(
        self, ports: ImapPorts, access: AccessSettings, login_settings: LoginSettings, hostname: str
    ) -> None:
        self._context = ImapContext(ports=ports, access=access, login=login_settings, hostname=hostname)
        self._sessions: set[ImapSession] = set()
        self._watch: asyncio.Task[None] | None = None
        self._checks: asyncio.Task[None] | None = None
        self._check_again = False
        self._subscribed = False

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        if self._context.ports.shutdown.is_set:
            stream.write(f"* BYE {_SHUTDOWN}\r\n".encode())
            return
        self._start_watching()
        session = ImapSession(self._context, stream, listener)
        self._sessions.add(session)
        end = "closed"
        try:
            await _serve(session)
        except SessionEnds as reason:
            end = str(reason)
            if end and not stream.is_closing:
                session.machine.end(end, reason.code)
                session.write_out()
        except StreamError as error:
            end = type(error).__name__
            raise
        except Exception:
            end = "fault"  # the caller writes the traceback down
            session.machine.end("Internal error; it was logged")
            session.write_out()
            raise
        finally:
            self._sessions.discard(session)
            session.dropped()
            self._record(session, end)

    def _record(self, session: ImapSession, end: str) -> None:
        identity = session.identity
        fields = {
            "client": str(session.stream.peer.address),
            "account": str(identity.address) if identity else None,
            "tls": session.stream.tls.version if session.stream.tls else None,
            "commands": session.commands,
            "login_failures": session.failures,
            "end": end,
        }
        self._context.ports.journal.record(Entry("access.imap", fields=fields))

    def _start_watching(self) -> None:
        """With the first connection, because only then a loop runs for sure."""
        if not self._subscribed:
            self._subscribed = True
            self._context.ports.changes.subscribe_directory(self._directory_changed)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._end_at_shutdown())

    async def _end_at_shutdown(self) -> None:
        shutdown = self._context.ports.shutdown
        while not shutdown.is_set:
            try:
                await asyncio.wait_for(shutdown.wait(), RECHECK_SECONDS)
            except TimeoutError:
                self.end_expired()
        for session in list(self._sessions):
            session.interrupt(_SHUTDOWN)

    def end_expired(self) -> None:
        """Sessions end with the token or the credential that opened them."""
        now_us = self._context.ports.clock.now_us()
        for session in list(self._sessions):
            if session.identity is not None and 0 < session.identity.valid_until_us <= now_us:
                session.interrupt(_EXPIRED)

    def _directory_changed(self) -> None:
        self._check_again = True
        if self._checks is None or self._checks.done():
            self._checks = asyncio.create_task(self._end_unwelcome())

    async def _end_unwelcome(self) -> None:
        """An open session of an account that was disabled or deleted ends (THREATS 15)."""
        while self._check_again:
            self._check_again = False
            for session in list(self._sessions):
                if not await login.is_still_welcome(session):
                    session.interrupt(_NOT_WELCOME)


async def _serve(session: ImapSession) -> None:
    session.send(
        b"* OK [CAPABILITY %b] %b is ready\r\n" % (session.capabilities, session.context.hostname.encode())
    )
    while (event := await session.next_event()) is not None:
        session.commands += 1
        if not await _answer(session, event):
            return
        await session.breathe()


async def _answer(session: ImapSession, event: Event) -> bool:
    """False after LOGOUT. Raises SessionEnds."""
    match event:
        case Received():
            if not await run_command(session, event.command):
                await log_out(session)
                return False
        case AppendBegins():
            await run_append(session, event)
        case Malformed():
            session.machine.answer(event.response)
            if session.identity is None:
                session.bad_commands += 1
                if session.bad_commands >= _MAX_BAD_BEFORE_LOGIN:
                    raise SessionEnds("Too many errors")
        case Fatal():
            raise SessionEnds(event.text, event.code)
        case _:
            raise SessionEnds("No items were requested")
    return True
