"""What the parts of one worker's queue share."""

from dataclasses import dataclass
from typing import Protocol

from sekisho.config.schema import QueueSettings, RelaySettings
from sekisho.core.message.dsn_text import Language
from sekisho.core.policy.retry import RetrySchedule
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.courier import Courier
from sekisho.ports.guard import Case
from sekisho.ports.journal import Journal
from sekisho.ports.leases import Owner
from sekisho.ports.metrics import Metrics
from sekisho.ports.spool import Spool
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.signing import NO_SIGNING, Signing


class Gate(Protocol):
    """Asked at every claim whether mail of a credential may leave (`ports.guard.Guard`)."""

    async def holding(self, message_id: str) -> Case | None: ...


class OpenGate:
    async def holding(self, message_id: str) -> Case | None:
        return None


OPEN_GATE = OpenGate()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePorts:
    """The world as the queue needs it. `recipients` finds out who is behind the address that a notice goes
    to."""

    spool: Spool
    courier: Courier
    recipients: RecipientProbe
    changes: Changes
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    signing: Signing = NO_SIGNING  # of notices
    gate: Gate = OPEN_GATE


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRules:
    """`routes`, `concurrency` and `per_next_hop` are those of the relay; `owner` is this worker."""

    hostname: str
    language: Language
    owner: Owner
    schedule: RetrySchedule
    routes: dict[str, str]
    concurrency: int
    per_next_hop: int

    @classmethod
    def of(
        cls, hostname: str, language: Language, owner: Owner, queue: QueueSettings, relay: RelaySettings
    ) -> "QueueRules":
        schedule = RetrySchedule.of_seconds(
            queue.retry_seconds,
            jitter=queue.retry_jitter,
            lifetime=queue.lifetime_seconds,
            notice_lifetime=queue.notice_lifetime_seconds,
            delay_notice=queue.delay_notice_seconds,
        )
        return cls(
            hostname=hostname,
            language=language,
            owner=owner,
            schedule=schedule,
            routes=dict(relay.routes),
            concurrency=relay.concurrency,
            per_next_hop=relay.connections_per_next_hop,
        )
