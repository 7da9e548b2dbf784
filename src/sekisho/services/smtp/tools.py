"""What reception and submission are both built with; each adds what is its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sekisho.config.ledger import LedgerSettings
from sekisho.config.schema import Limits, QueueSettings
from sekisho.core.message.dsn_text import Language
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Journal
from sekisho.ports.leases import Owner
from sekisho.ports.metrics import Metrics
from sekisho.ports.spool import QueueJob, Spool
from sekisho.ports.stream import Shutdown
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.signing import NO_SIGNING, Signing


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceTools:
    """`started` gets the queue work that was claimed with the acceptance; `owner` claims it, or gives
    None: whoever has time then."""

    spool: Spool
    recipients: RecipientProbe
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    shutdown: Shutdown
    owner: Callable[[], Owner | None] = lambda: None
    started: Callable[[tuple[QueueJob, ...]], None] = lambda jobs: None
    signing: Signing = NO_SIGNING  # of notices


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    hostname: str
    limits: Limits
    queue: QueueSettings
    routes: Mapping[str, str] = field(default_factory=dict)  # config: relay.routes
    language: Language = "en"  # of notices
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
