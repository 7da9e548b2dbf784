"""What submission is built with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sekisho.config.ledger import LedgerSettings
from sekisho.config.schema import Limits, LoginSettings, QueueSettings, SubmissionSettings
from sekisho.core.message.dsn_text import Language
from sekisho.ports.authentication import Authenticator
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.directory import Directory
from sekisho.ports.journal import Journal
from sekisho.ports.leases import Owner
from sekisho.ports.metrics import Metrics
from sekisho.ports.spool import QueueJob, Spool
from sekisho.ports.stream import Shutdown
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.experience import Correspondence, NoCorrespondence
from sekisho.services.sieve.service import NO_SIEVE, Sieving
from sekisho.services.signing import NO_SIGNING, Signing
from sekisho.services.submission.seams import OutboundJudge, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionTools:
    """`started` gets the queue work that was claimed with the acceptance; `owner` claims it, or gives None:
    whoever has time then."""

    spool: Spool
    directory: Directory
    recipients: RecipientProbe
    authenticator: Authenticator
    judge: OutboundJudge
    signer: Signer
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    shutdown: Shutdown
    owner: Callable[[], Owner | None] = lambda: None
    started: Callable[[tuple[QueueJob, ...]], None] = lambda jobs: None
    signing: Signing = NO_SIGNING  # of notices
    correspondence: Correspondence = field(default_factory=NoCorrespondence)
    sieve: Sieving = NO_SIEVE


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionConfig:
    hostname: str
    limits: Limits
    submission: SubmissionSettings
    login: LoginSettings
    queue: QueueSettings
    loose_dot_domains: tuple[str, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)  # config: relay.routes
    language: Language = "en"  # of notices
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
