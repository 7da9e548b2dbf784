"""What reception and submission do alike with each connection: a session of it, until it is over or the
service goes down."""

import asyncio
from dataclasses import replace

from sekisho.core.smtp.session import ServerSettings
from sekisho.ports.stream import Shutdown, Stream, StreamError
from sekisho.services.smtp.connection import Connection, Role, SessionTools
from sekisho.services.smtp.entries import of_connection
from sekisho.services.smtp.refusal import Refusals
from sekisho.services.smtp.session import Decider, SmtpSession, Timeouts
from sekisho.services.smtp.tools import ServiceConfig, ServiceTools
from sekisho.services.smtp.transaction import Acceptances


class SmtpService:
    """One per service and worker."""

    def __init__(
        self, tools: ServiceTools, config: ServiceConfig, timeouts: Timeouts, settings: ServerSettings
    ) -> None:
        self._role: Role = settings.role
        self._timeouts = timeouts
        self._settings = {True: replace(settings, starttls=True), False: replace(settings, starttls=False)}
        self._tools = SessionTools(
            clock=tools.clock,
            dice=tools.dice,
            journal=tools.journal,
            metrics=tools.metrics,
            shutdown=tools.shutdown,
            why_url=config.ledger.why_url,
            subjects=config.ledger.subjects,
        )
        self._sessions = OpenSessions(tools.shutdown)
        self.acceptances = Acceptances(tools, config)

    def refusals(self, stream: Stream) -> Refusals:
        """Of a new connection, which is in it."""
        return Refusals(Connection(self._role, stream, self._tools.dice), self._tools)

    async def serve(self, refusals: Refusals, decider: Decider, *, can_starttls: bool) -> None:
        """Until the connection is over; how it ended is written down. Raises StreamError."""
        connection = refusals.connection
        session = SmtpSession(self._settings[can_starttls], decider, self._timeouts, self._tools, refusals)
        reason = "lost"
        try:
            reason = await self._sessions.run(session)
        except StreamError as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            connection.errors = session.machine.errors
            if not connection.is_told:
                self._tools.journal.record(of_connection(connection, reason))


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


def server_settings(role: Role, config: ServiceConfig) -> ServerSettings:
    """How the machine behaves with both; what differs is replaced."""
    limits = config.limits
    return ServerSettings(
        role=role,
        hostname=config.hostname,
        message_octets=limits.message_octets,
        recipients=limits.recipients,
        transactions=limits.transactions_per_session,
        errors=limits.errors_per_session,
        refused_recipients=10 * limits.errors_per_session,
    )
