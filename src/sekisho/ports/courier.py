"""How the queue hands one job to whoever can carry it."""

from typing import Protocol

from sekisho.ports.content import MessageOctets
from sekisho.ports.spool import Outcome, QueueJob


class Courier(Protocol):
    async def carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        """Try once: one Outcome per recipient, in their order (retry_at_us is left 0: the queue's policy
        fills it).

        Never raises for what the network did. Cancellation means shutdown.
        """
        ...
