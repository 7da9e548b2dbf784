"""The SQLite store: one object per worker over one data directory."""

import fcntl
import os
import stat
from pathlib import Path

from msgspec import Struct

from sekisho.adapters.stores.sqlite.acceptance import AcceptSteps
from sekisho.adapters.stores.sqlite.alarms import StoreAlarms
from sekisho.adapters.stores.sqlite.bans import SqliteBans
from sekisho.adapters.stores.sqlite.connection import NoRoom, check_version, store_errors
from sekisho.adapters.stores.sqlite.content import ContentFolder
from sekisho.adapters.stores.sqlite.credentials import SqliteCredentials
from sekisho.adapters.stores.sqlite.directory import SqliteDirectory
from sekisho.adapters.stores.sqlite.files import Files
from sekisho.adapters.stores.sqlite.greylist import SqliteGreylist
from sekisho.adapters.stores.sqlite.guard import SqliteGuard
from sekisho.adapters.stores.sqlite.guard_steps import GuardSteps
from sekisho.adapters.stores.sqlite.hints import SqliteCounters, SqliteLeases, Structures
from sekisho.adapters.stores.sqlite.hoptls import SqliteHopSessions, SqliteKnownHosts, SqliteStsPolicies
from sekisho.adapters.stores.sqlite.ids import Ids
from sekisho.adapters.stores.sqlite.judgements import SqliteJudgements
from sekisho.adapters.stores.sqlite.keys import SqliteKeys
from sekisho.adapters.stores.sqlite.lessons import SqliteLessonBook
from sekisho.adapters.stores.sqlite.mailbox_tree import MailboxTree
from sekisho.adapters.stores.sqlite.mailstore import SqliteMailStore
from sekisho.adapters.stores.sqlite.maintenance import Maintenance
from sekisho.adapters.stores.sqlite.migrate import migrate
from sekisho.adapters.stores.sqlite.places import SqlitePlaces
from sekisho.adapters.stores.sqlite.queueing import Queueing
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.reports import SqliteReportBook
from sekisho.adapters.stores.sqlite.reputation import SqliteReputation
from sekisho.adapters.stores.sqlite.reserve import Reserve
from sekisho.adapters.stores.sqlite.scripts import SqliteRemembered, SqliteScripts
from sekisho.adapters.stores.sqlite.shaping import SqliteShapes
from sekisho.adapters.stores.sqlite.spool import SqliteSpool
from sekisho.adapters.stores.sqlite.writer import Writer
from sekisho.adapters.stores.standby import StandbyBans, StandbyCounters
from sekisho.core.policy.reputation import ReputationRules
from sekisho.core.policy.takeover.judge import TakeoverJudge, judge_by
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.metrics import Metrics

MAIL, HINTS, CONTENT = "mail.db", "hints.db", "content"
MAIL_LOCK, HINTS_LOCK = "mail.lock", "hints.lock"


class StoreSettings(Struct, frozen=True, kw_only=True):
    free_disk_octets: int = 268_435_456
    mailboxes_per_account: int = 10_000
    vfs: str | None = None  # SQLite's own; a test names another
    judge: TakeoverJudge = judge_by(GuardRules())
    reputation: ReputationRules = ReputationRules()


def prepare(data_dir: Path, settings: StoreSettings | None = None) -> None:
    """Make or migrate what lies in `data_dir`. Called once before the workers are forked, and harmless at any
    time.

    On a full disk the reserve is given up for it. Raises UnsafeSqlite, SchemaTooNew (both with a sentence for
    the operator), StoreUnavailable.
    """
    try:
        _prepare(data_dir, settings)
    except NoRoom:
        if not Reserve(data_dir).give_up():
            raise
        _prepare(data_dir, settings)


def _prepare(data_dir: Path, settings: StoreSettings | None) -> None:
    check_version()
    vfs = settings.vfs if settings else None
    with store_errors():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / MAIL_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            migrate(data_dir / MAIL, "mail", vfs=vfs)
            migrate(data_dir / HINTS, "hints", vfs=vfs)
            Files().sync_folder(data_dir)
            _close_to_others(data_dir)
        finally:
            os.close(lock)


def _close_to_others(data_dir: Path) -> None:
    """What earlier versions restored could be read by everybody, password hashes and all."""
    for path in (*data_dir.glob("*.db*"), data_dir / CONTENT):
        try:
            state = path.lstat()
            if state.st_uid == os.geteuid() and state.st_mode & 0o007 and not stat.S_ISLNK(state.st_mode):
                path.chmod(state.st_mode & 0o770)
        except FileNotFoundError:
            pass


class SqliteStore:
    """`spool`, `mail`, `directory`, `credentials`, `keys`, `guard`, `leases`, `counters`, `bans`, `places`,
    `judgements`, `lessons`, `scripts`, `remembered`, `reputation`, `sts_policies`, `known_hosts` and
    `hop_sessions` and `reports` of one worker.

    Open it after fork; it belongs to one event loop.

    `maintenance.rounds` come round in one worker at a time.
    """

    def __init__(
        self,
        data_dir: Path,
        clock: Clock,
        dice: Dice,
        changes: Changes,
        settings: StoreSettings | None = None,
        metrics: Metrics | None = None,
        files: Files | None = None,
    ) -> None:
        settings = settings or StoreSettings()
        prepare(data_dir, settings)
        self.data_dir, self.changes = data_dir, changes
        self.folder = ContentFolder(data_dir / CONTENT, dice, files or Files())
        self.folder.prepare()
        reserve = self._reserve = Reserve(data_dir, settings.free_disk_octets)
        ids = Ids(clock, dice)
        self._open(settings, metrics)
        guard = GuardSteps(clock, ids, settings.judge)
        tree = self._tree = MailboxTree(clock, dice, settings.mailboxes_per_account)
        acceptor = AcceptSteps(clock, ids, guard, tree)
        queueing = Queueing(clock, ids, acceptor, guard)
        structures = Structures(self.hints_reader, self.hints_writer, clock)
        self.spool = SqliteSpool(
            reader=self.reader,
            writer=self.writer,
            folder=self.folder,
            reserve=reserve,
            free_disk_octets=settings.free_disk_octets,
            steps=(acceptor, queueing),
        )
        self.mail = SqliteMailStore(
            reader=self.reader,
            writer=self.writer,
            folder=self.folder,
            structures=structures,
            tree=tree,
            clock=clock,
            ids=ids,
        )
        self.directory = SqliteDirectory(self.reader, self.writer, tree, clock, dice)
        self.credentials = SqliteCredentials(self.reader, self.writer, dice)
        self.keys = SqliteKeys(self.reader, self.writer)
        self.scripts = SqliteScripts(self.reader, self.writer, clock)
        self.remembered = SqliteRemembered(self.hints_reader, self.hints_writer)
        self.guard = SqliteGuard(
            reader=self.reader,
            writer=self.writer,
            folder=self.folder,
            steps=guard,
            acceptor=acceptor,
            clock=clock,
        )
        self.leases = SqliteLeases(self.hints_writer, self.writer, queueing, clock)
        mail, hints = (self.reader, self.writer), (self.hints_reader, self.hints_writer)
        self.maintenance = Maintenance(clock, mail, hints, reserve, settings.vfs)
        self._take_hints(clock)
        self.use(settings)

    def _open(self, settings: StoreSettings, metrics: Metrics | None) -> None:
        data_dir, changes = self.data_dir, self.changes
        self.reader = Reader(data_dir / MAIL, settings.vfs)
        self.hints_reader = Reader(data_dir / HINTS, settings.vfs)
        self.writer = Writer(
            data_dir / MAIL,
            data_dir / MAIL_LOCK,
            synchronous="FULL",
            changes=changes,
            folder=self.folder,
            metrics=metrics,
            vfs=settings.vfs,
        )
        self.hints_writer = Writer(
            data_dir / HINTS,
            data_dir / HINTS_LOCK,
            synchronous="NORMAL",
            changes=changes,
            metrics=metrics,
            vfs=settings.vfs,
        )
        self.writer.reserve = self.hints_writer.reserve = self._reserve
        self.alarms = StoreAlarms()
        for part in (self.reader, self.hints_reader, self.writer, self.hints_writer):
            part.alarms = self.alarms

    def _take_hints(self, clock: Clock) -> None:
        """What may be lost: counters, bans, what was learned and heard."""
        self.counters = StandbyCounters(SqliteCounters(self.hints_reader, self.hints_writer, clock), clock)
        self.bans = StandbyBans(SqliteBans(self.hints_reader, self.hints_writer, clock), clock)
        self.lessons = SqliteLessonBook(self.hints_reader, self.hints_writer, clock)
        self.places = SqlitePlaces(self.hints_reader, self.hints_writer)
        self.judgements = SqliteJudgements(self.hints_writer, clock)
        self.reputation = SqliteReputation(self.hints_reader, self.hints_writer, clock)
        self.greylist = SqliteGreylist(self.hints_reader, self.hints_writer)
        self.shapes = SqliteShapes(self.hints_reader, self.hints_writer)
        self.sts_policies = SqliteStsPolicies(self.hints_reader, self.hints_writer)
        self.known_hosts = SqliteKnownHosts(self.hints_reader, self.hints_writer)
        self.reports = SqliteReportBook(self.hints_reader, self.hints_writer)
        self.hop_sessions = SqliteHopSessions(self.hints_reader, self.hints_writer, clock)

    def use(self, settings: StoreSettings) -> None:
        """Other settings from now on; `vfs` stays. The store outlives them: it is open, and others hold its
        parts."""
        self.spool.free_disk_octets = self._reserve.low_water_octets = settings.free_disk_octets
        self._tree.most = settings.mailboxes_per_account
        self.guard.use(settings.judge)
        self.reputation.use(settings.reputation)

    async def close(self) -> None:
        """Finish what is being written, then close everything. Contents opened before stay readable."""
        await self.writer.close()
        await self.hints_writer.close()
        self.reader.close()
        self.hints_reader.close()
        self.folder.close()
