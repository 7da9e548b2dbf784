"""Reception (MTA in): port 25. Takes mail for local recipients from anyone, and nothing else from anybody."""

from dataclasses import replace

from sekisho.ports.stream import ListenerInfo, Stream
from sekisho.services.reception.connection_policy import ConnectionPolicy
from sekisho.services.reception.stranger import Stranger
from sekisho.services.reception.tools import ReceptionConfig, ReceptionTools
from sekisho.services.smtp.service import SmtpService, server_settings
from sekisho.services.smtp.session import Timeouts


class Reception:
    """Implements `ports.stream.ConnectionHandler`. One per worker."""

    def __init__(self, tools: ReceptionTools, config: ReceptionConfig) -> None:
        self._tools, self._config = tools, config
        settings = config.reception
        timeouts = Timeouts(
            command_seconds=settings.command_timeout_seconds,
            data_seconds=settings.data_timeout_seconds,
            session_seconds=settings.session_timeout_seconds,
            data_octets_per_second=settings.data_octets_per_second,
        )
        machine = replace(
            server_settings("reception", config),
            text_line_octets=settings.text_line_octets,
            loose_dot_domains=frozenset(settings.loose_dot_domains),
        )
        self._service = SmtpService(tools, config, timeouts, machine)

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        tools, service = self._tools, self._service
        refusals = service.refusals(stream)
        is_watched = tools.watch is not None and tools.watch.watches(stream.peer.address)
        policy = ConnectionPolicy(tools.watch, refusals) if tools.watch is not None and is_watched else None
        decider = Stranger(tools, self._config, service.acceptances, refusals.connection, policy)
        try:
            await service.serve(refusals, decider, can_starttls=listener.can_starttls)
        finally:
            if policy is not None:
                policy.ended()
