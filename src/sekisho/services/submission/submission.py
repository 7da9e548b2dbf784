"""Submission (MSA): ports 465 and 587. Takes mail from accounts of this server only, and only in their own
names."""

from dataclasses import replace

from sekisho.core.terms.identity import Identity
from sekisho.ports.stream import ListenerInfo, Stream
from sekisho.services.smtp.refusal import Refusals
from sekisho.services.smtp.service import SmtpService, server_settings
from sekisho.services.smtp.session import Timeouts
from sekisho.services.submission.login import SubmissionLogin
from sekisho.services.submission.sender import SenderRights
from sekisho.services.submission.submitter import Submitter
from sekisho.services.submission.tools import SubmissionConfig, SubmissionTools


class Submission:
    """Implements `ports.stream.ConnectionHandler`. One per worker."""

    def __init__(self, tools: SubmissionTools, config: SubmissionConfig) -> None:
        self._tools, self._config = tools, config
        settings = config.submission
        timeouts = Timeouts(
            command_seconds=settings.command_timeout_seconds,
            data_seconds=settings.data_timeout_seconds,
            session_seconds=settings.session_timeout_seconds,
            login_seconds=settings.login_timeout_seconds,
            data_octets_per_second=settings.data_octets_per_second,
        )
        machine = replace(
            server_settings("submission", config),
            mechanisms=(),  # they depend on the connection
            any_hello_name=True,
            loose_dot_domains=frozenset(config.loose_dot_domains),
        )
        self._service = SmtpService(tools, config, timeouts, machine)
        self._rights = SenderRights(tools.directory)

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        await self.serve(self.refusals(stream), listener)

    def refusals(self, stream: Stream) -> Refusals:
        """Of a new connection."""
        return self._service.refusals(stream)

    async def serve(
        self, refusals: Refusals, listener: ListenerInfo, identity: Identity | None = None
    ) -> None:
        """`identity`: who is there is known from the operating system; there is no login."""
        connection = refusals.connection
        if identity is not None:
            connection.account = str(identity.address)
        login = SubmissionLogin(
            self._tools.authenticator, connection, self._config.login.failures_per_connection, identity
        )
        decider = Submitter(self._tools, self._config, self._service.acceptances, login, self._rights)
        await self._service.serve(refusals, decider, can_starttls=listener.can_starttls)
