"""What reception and submission are both built with."""

from collections.abc import Callable, Mapping
from typing import Protocol

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
from sekisho.services.signing import Signing


class ServiceTools(Protocol):
    """`started` gets the queue work that was claimed with the acceptance; `owner` claims it, or gives
    None: whoever has time then. `signing`: of notices."""

    @property
    def spool(self) -> Spool: ...
    @property
    def recipients(self) -> RecipientProbe: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def dice(self) -> Dice: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def shutdown(self) -> Shutdown: ...
    @property
    def owner(self) -> Callable[[], Owner | None]: ...
    @property
    def started(self) -> Callable[[tuple[QueueJob, ...]], None]: ...
    @property
    def signing(self) -> Signing: ...


class ServiceConfig(Protocol):
    """`routes`: config: relay.routes. `language`: of notices."""

    @property
    def hostname(self) -> str: ...
    @property
    def limits(self) -> Limits: ...
    @property
    def queue(self) -> QueueSettings: ...
    @property
    def routes(self) -> Mapping[str, str]: ...
    @property
    def language(self) -> Language: ...
    @property
    def ledger(self) -> LedgerSettings: ...
