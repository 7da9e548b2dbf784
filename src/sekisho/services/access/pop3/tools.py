"""What a POP3 session works with, and by which settings."""

from dataclasses import dataclass

from sekisho.config.schema import AccessSettings, Limits, LoginSettings
from sekisho.ports.authentication import Authenticator
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Journal
from sekisho.ports.leases import Leases, Owner
from sekisho.ports.mailstore import MailStore
from sekisho.ports.stream import Shutdown


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop3Tools:
    """What the service works with."""

    authenticator: Authenticator
    store: MailStore
    leases: Leases
    owner: Owner
    clock: Clock
    journal: Journal
    shutdown: Shutdown


@dataclass(frozen=True, slots=True)
class Pop3Settings:
    """The sections of the configuration that matter here."""

    hostname: str
    access: AccessSettings
    login: LoginSettings
    limits: Limits
