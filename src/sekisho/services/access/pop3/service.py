"""POP3 for mail clients: the machine of core/pop3 between a stream, the authenticator and the store.

One session sees its INBOX as it was at login, holds the maildrop's lock while its connection lives, and
removes what it marked in one transaction at QUIT, or nothing.
"""

import asyncio

from sekisho.core.pop3.machine import Pop3Machine
from sekisho.ports.stream import ListenerInfo, Stream
from sekisho.services.access.pop3.session import Pop3Session, channel_of
from sekisho.services.access.pop3.tools import Pop3Settings, Pop3Tools


class Pop3Service:
    """A `ports.stream.ConnectionHandler` for the listener kinds pop3 and pop3s."""

    def __init__(self, tools: Pop3Tools, settings: Pop3Settings) -> None:
        self._tools = tools
        self._settings = settings

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        settings = self._settings
        machine = Pop3Machine(
            settings.hostname,
            self._tools.authenticator.mechanisms(channel_of(stream)),
            is_tls=stream.tls is not None,
            can_stls=listener.can_starttls,
            max_errors=settings.limits.errors_per_session,
            max_login_failures=settings.login.failures_per_connection,
        )
        stopping = asyncio.ensure_future(self._tools.shutdown.wait())
        try:
            await Pop3Session(self._tools, settings, stream, machine, stopping).run(listener)
        finally:
            stopping.cancel()
