"""What all IMAP sessions of a worker share."""

from dataclasses import dataclass, field

from sekisho.config.schema import AccessSettings, LoginSettings
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.authentication import Authenticator
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock
from sekisho.ports.directory import Directory
from sekisho.ports.journal import Journal
from sekisho.ports.learning import JunkWatch
from sekisho.ports.mailstore import MailStore, SpecialUse
from sekisho.ports.metrics import Metrics
from sekisho.ports.spool import Spool
from sekisho.ports.stream import Shutdown


class NobodyWatches:
    """`ports.learning.JunkWatch` where nothing learns."""

    def moved(self, account_id: int, source: SpecialUse | None, target: str, uids: UidSet) -> None:
        pass

    def marked(self, account_id: int, mailbox_id: int, uids: UidSet, *, is_junk: bool) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapPorts:
    """The ports that IMAP stands on."""

    store: MailStore
    spool: Spool
    directory: Directory
    authenticator: Authenticator
    changes: Changes
    journal: Journal
    metrics: Metrics
    clock: Clock
    shutdown: Shutdown
    junk: JunkWatch = field(default_factory=NobodyWatches)


class SharedViews:
    """One `UidSet` per mailbox for all sessions that see the same (DESIGN §4). They are immutable: a change
    replaces them."""

    def __init__(self) -> None:
        self._views: dict[int, UidSet] = {}
        self._sessions: dict[int, int] = {}

    def enter(self, mailbox_id: int) -> None:
        self._sessions[mailbox_id] = self._sessions.get(mailbox_id, 0) + 1

    def leave(self, mailbox_id: int) -> None:
        left = self._sessions.get(mailbox_id, 0) - 1
        if left > 0:
            self._sessions[mailbox_id] = left
        else:
            self._sessions.pop(mailbox_id, None)
            self._views.pop(mailbox_id, None)

    def share(self, mailbox_id: int, uids: UidSet) -> UidSet:
        """An equal set that other sessions hold too, if there is one."""
        known = self._views.get(mailbox_id)
        if known is not None and known == uids:
            return known
        self._views[mailbox_id] = uids
        return uids


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapContext:
    ports: ImapPorts
    access: AccessSettings
    login: LoginSettings
    hostname: str
    views: SharedViews = field(default_factory=SharedViews)
