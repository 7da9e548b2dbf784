"""What reception is built with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sekisho.config.ledger import LedgerSettings
from sekisho.config.schema import Limits, QueueSettings, ReceptionSettings
from sekisho.core.message.dsn_text import Language
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Journal
from sekisho.ports.leases import Owner
from sekisho.ports.metrics import Metrics
from sekisho.ports.spool import QueueJob, Spool
from sekisho.ports.stream import Shutdown
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.reception.inspection import Inspector
from sekisho.services.reception.watch import DoorWatch
from sekisho.services.sieve.service import NO_SIEVE, Sieving
from sekisho.services.signing import NO_SIGNING, Signing


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionTools:
    """`started` gets the queue work that was claimed with the acceptance; `owner` claims it, or gives None:
    whoever has time then."""

    spool: Spool
    recipients: RecipientProbe
    inspector: Inspector
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    shutdown: Shutdown
    owner: Callable[[], Owner | None] = lambda: None
    started: Callable[[tuple[QueueJob, ...]], None] = lambda jobs: None
    signing: Signing = NO_SIGNING  # of notices
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    watch: DoorWatch | None = None
    sieve: Sieving = NO_SIEVE


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionConfig:
    hostname: str
    limits: Limits
    reception: ReceptionSettings
    queue: QueueSettings
    routes: Mapping[str, str] = field(default_factory=dict)  # config: relay.routes
    language: Language = "en"  # of notices
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
