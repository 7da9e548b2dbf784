"""IDLE (RFC 2177): the client waits, we tell.

While it lasts there is no second task: the connection's own coroutine waits for DONE, and a hint starts a
short one that looks.
"""

import asyncio

from sekisho.core.imap.commands import Simple
from sekisho.core.imap.machine import ContinuationLine, Fatal
from sekisho.core.imap.responses import DONE, Bad, Response
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.stream import StreamError
from sekisho.services.access.imap.selected import MailboxGone
from sekisho.services.access.imap.session import CommandFailed, ImapSession, SessionEnds

RECHECK_SECONDS = 30.0  # DESIGN §4 Changes


async def idle(session: ImapSession, command: Simple) -> Response:
    session.machine.challenge(b"idling")
    watcher = _Watcher(session)
    session.on_hint = watcher.wake
    if session.selected is not None:
        watcher.wake()  # what came before IDLE must not wait for the next hint
    try:
        line = await _wait_for_line(session, watcher)
    finally:
        session.on_hint = None
        await watcher.stop()
    if line.upper() != b"DONE":
        raise CommandFailed(Bad("IDLE must end with DONE"))
    return DONE


async def _wait_for_line(session: ImapSession, watcher: "_Watcher") -> bytes:
    clock = session.context.ports.clock
    deadline = clock.monotonic() + session.context.access.idle_timeout_seconds
    while True:
        event = session.machine.next_event()
        await session.flush()
        if isinstance(event, ContinuationLine):
            return event.octets
        if isinstance(event, Fatal):
            raise SessionEnds(event.text, event.code)
        octets = await session.read(RECHECK_SECONDS)
        if octets is None:
            if clock.monotonic() >= deadline:
                raise SessionEnds("Autologout: the connection was idle for too long")
            watcher.wake()
        elif not octets:
            raise SessionEnds("")
        else:
            session.machine.receive_data(octets)


class _Watcher:
    __slots__ = ("_again", "_session", "_task")

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def wake(self) -> None:
        if self._session.selected is None:
            return
        self._again = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._tell())

    async def stop(self) -> None:
        """Wait for a look at the store that is under way."""
        self._again = False
        if self._task is not None:
            await self._task

    async def _tell(self) -> None:
        session = self._session
        try:
            while self._again and session.selected is not None:
                self._again = False
                # Nothing else of this session runs: EXPUNGE is allowed (RFC 2177 §3).
                lines = await session.selected.catch_up(session.context, may_expunge=True)
                session.send_all(lines)
                # Waited for: what happens while the client does not read is told in one piece later, not kept
                # line by line.
                await session.flush()
        except StoreUnavailable:
            self._again = True  # the next recheck tries again
        except MailboxGone:
            session.interrupt("The selected mailbox was deleted")
        except StreamError:
            session.stream.abort()  # ends the read of the connection's own coroutine
        finally:
            self._task = None
