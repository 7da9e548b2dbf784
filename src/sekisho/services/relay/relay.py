"""The relay: carries queued messages to other servers (MTA out)."""

import asyncio

from sekisho.config.schema import RelaySettings
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import MessageOctets
from sekisho.ports.spool import Outcome, QueueJob
from sekisho.ports.stream import Endpoint
from sekisho.services.relay.attempt import DeliveryAttempt
from sekisho.services.relay.pool import Pool
from sekisho.services.relay.surroundings import RelayPorts, RelaySurroundings


class Relay:
    """`ports.courier.Courier` over SMTP."""

    def __init__(
        self,
        hostname: str,
        settings: RelaySettings,
        ports: RelayPorts,
        *,
        own_endpoints: frozenset[Endpoint] = frozenset(),
        pool: Pool | None = None,
    ) -> None:
        """`own_endpoints`: where this server takes mail on port 25, to see loops. `pool` outlives this one
        and its settings."""
        self._slots = settings.connections_per_next_hop
        self._pool = pool or Pool()
        self._around = RelaySurroundings(hostname, settings, ports, own_endpoints, self._pool)

    async def carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        """One attempt. Cancelled, it gives the outcomes known so far and marks the rest as interrupted."""
        attempt = DeliveryAttempt(job, octets, self._around)
        try:
            await self._pool.enter(job.next_hop, self._slots)
            try:
                await attempt.run()
            finally:
                self._pool.leave(job.next_hop)
        except asyncio.CancelledError:
            attempt.interrupt()
        except Exception as error:
            # An own bug: what is known of some recipients counts, the others wait (law 8). Telling of it may
            # be what failed.
            try:
                attempt.break_off(
                    Reply.of(
                        451, "4.3.0", f"Internal error {self._around.journal.fault('relay.carry', error)}"
                    )
                )
            except Exception:
                attempt.forget_rest(Reply.of(451, "4.3.0", "Internal error"))
        return attempt.outcomes()

    async def close(self) -> None:
        """Say goodbye on idle connections; within a few seconds."""
        await self._pool.close()
