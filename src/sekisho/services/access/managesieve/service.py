"""ManageSieve for mail programs (RFC 5804): owners bring and choose their scripts."""

import asyncio
from dataclasses import dataclass

from sekisho.config.schema import AccessSettings, LoginSettings
from sekisho.core.managesieve.machine import ManageSieveMachine, ManageSieveRules
from sekisho.ports.authentication import Authenticator, Channel
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Journal
from sekisho.ports.stream import ListenerInfo, Shutdown, Stream
from sekisho.services.access.managesieve.session import ManageSieveSession
from sekisho.services.sieve.desk import ScriptDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageSieveTools:
    authenticator: Authenticator
    desk: ScriptDesk
    clock: Clock
    journal: Journal
    shutdown: Shutdown
    access: AccessSettings
    login: LoginSettings
    errors_per_session: int


class ManageSieveService:
    """A `ports.stream.ConnectionHandler` for the listener kind sieve."""

    def __init__(self, tools: ManageSieveTools) -> None:
        self._tools = tools

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        tools = self._tools
        rules = ManageSieveRules(
            implementation="sekisho",
            capabilities=tools.desk.capabilities,
            script_octets=tools.desk.script_octets,
            redirects=tools.desk.redirects,
            max_errors=tools.errors_per_session,
            max_login_failures=tools.login.failures_per_connection,
        )
        channel = Channel("sieve", stream.peer.address, stream.tls)
        machine = ManageSieveMachine(
            rules,
            tools.authenticator.mechanisms(channel),
            is_tls=stream.tls is not None,
            can_starttls=listener.can_starttls,
        )
        stopping = asyncio.ensure_future(tools.shutdown.wait())
        session = ManageSieveSession(
            stream=stream,
            machine=machine,
            authenticator=tools.authenticator,
            desk=tools.desk,
            clock=tools.clock,
            journal=tools.journal,
            access=tools.access,
            stopping=stopping,
        )
        try:
            await session.run(listener)
        finally:
            stopping.cancel()
