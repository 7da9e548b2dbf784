"""What submission is built with."""

from dataclasses import dataclass, field

from sekisho.config.schema import LoginSettings, SubmissionSettings
from sekisho.ports.authentication import Authenticator
from sekisho.ports.names import Senders
from sekisho.services.experience import Correspondence, NoCorrespondence
from sekisho.services.sieve.service import NO_SIEVE, Sieving
from sekisho.services.smtp.tools import ServiceConfig, ServiceTools
from sekisho.services.submission.seams import OutboundJudge, Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionTools(ServiceTools):
    directory: Senders
    authenticator: Authenticator
    judge: OutboundJudge
    signer: Signer
    correspondence: Correspondence = field(default_factory=NoCorrespondence)
    sieve: Sieving = NO_SIEVE


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionConfig(ServiceConfig):
    submission: SubmissionSettings
    login: LoginSettings
    loose_dot_domains: tuple[str, ...] = ()
