"""The memory store: the reference that every other store is held against."""

from sekisho.adapters.stores.memory.bans import MemoryBans
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.memory.credentials import MemoryCredentials
from sekisho.adapters.stores.memory.directory import MemoryDirectory
from sekisho.adapters.stores.memory.greylist import MemoryGreylist
from sekisho.adapters.stores.memory.guard import MemoryGuardSteps
from sekisho.adapters.stores.memory.guard_queue import MemoryGuard
from sekisho.adapters.stores.memory.hoptls import MemoryHopSessions, MemoryKnownHosts, MemoryStsPolicies
from sekisho.adapters.stores.memory.judgements import MemoryJudgements
from sekisho.adapters.stores.memory.keys import MemoryKeys
from sekisho.adapters.stores.memory.lessons import MemoryLessonBook
from sekisho.adapters.stores.memory.mailstore import MemoryMailStore
from sekisho.adapters.stores.memory.places import MemoryPlaces
from sekisho.adapters.stores.memory.reports import MemoryReportBook
from sekisho.adapters.stores.memory.reputation import MemoryReputation
from sekisho.adapters.stores.memory.scripts import MemoryRemembered, MemoryScripts
from sekisho.adapters.stores.memory.shaping import MemoryShapes
from sekisho.adapters.stores.memory.small import MemoryCounters, MemoryLeases
from sekisho.adapters.stores.memory.spool import MemorySpool
from sekisho.adapters.stores.memory.state import MemoryState
from sekisho.core.policy.takeover.judge import judge_by
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice


class MemoryStore:
    """`spool`, `mail`, `directory`, `credentials`, `keys`, `guard`, `leases`, `counters`, `bans`, `places`,
    `judgements`, `lessons`, `scripts`, `remembered`, `reputation`, `sts_policies`, `known_hosts` and
    `hop_sessions` and `reports` over one state in this process.

    `changes` None: a `LocalChanges` of its own. Tests may set `state.has_room = False` (the disk is nearly
    full) and `state.unavailable = "why"` (every write raises StoreUnavailable).
    """

    def __init__(
        self, clock: Clock, dice: Dice, changes: Changes | None = None, mailboxes_per_account: int = 10_000
    ) -> None:
        self.changes: Changes = changes or LocalChanges()
        self.state = MemoryState(clock, dice, self.changes, mailboxes_per_account)
        guard = MemoryGuardSteps(self.state, judge_by(GuardRules()))
        self.spool = MemorySpool(self.state, guard)
        self.guard = MemoryGuard(self.state, guard, self.spool)
        self.mail = MemoryMailStore(self.state)
        self.directory = MemoryDirectory(self.state)
        self.credentials = MemoryCredentials(self.state)
        self.keys = MemoryKeys(self.state)
        self.scripts = MemoryScripts(self.state)
        self.remembered = MemoryRemembered()
        self.leases = MemoryLeases(clock, self.spool)
        self.counters = MemoryCounters(clock)
        self.bans = MemoryBans(clock)
        self.lessons = MemoryLessonBook(clock)
        self.places = MemoryPlaces()
        self.judgements = MemoryJudgements()
        self.reputation = MemoryReputation(clock)
        self.greylist = MemoryGreylist()
        self.shapes = MemoryShapes()
        self.sts_policies = MemoryStsPolicies()
        self.known_hosts = MemoryKnownHosts()
        self.reports = MemoryReportBook()
        self.hop_sessions = MemoryHopSessions(clock)
