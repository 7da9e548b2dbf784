"""The watch over hijacked accounts, as the settings want it."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.guard.cases import CaseKeeper, CasePorts
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.services.guard.logins import LoginNotices, NoticePorts
from sekisho.services.guard.releasing import GuardKit, Releaser
from sekisho.services.queue.surroundings import OPEN_GATE, Gate
from sekisho.services.signing import KeySigning
from sekisho.services.submission.seams import ContentCheck
from sekisho.services.submission.takeover import TakeoverWatch
from sekisho.wiring.clocks import server_clock
from sekisho.wiring.letters import letter_rules, letter_writer


def guard_kit(store: SqliteStore, config: Config, journal: Journal) -> GuardKit:
    """For an operator's commands, with the server or without."""
    clock = server_clock()
    signing = KeySigning(store.keys, clock, journal)
    lifetime_us = int(config.queue.lifetime_seconds * 1_000_000)
    releaser = Releaser(store.spool, store.guard, _recipients(store, config), signing, clock, lifetime_us)
    return GuardKit(store.guard, releaser, CredentialFreezer(store.credentials, clock))


class GuardLink:
    """The guard of one worker. `keep_cases` and `keep_notices` are duties; `judge` and `gate` follow the present settings."""

    def __init__(self, store: SqliteStore, journal: Journal, metrics: Metrics) -> None:
        self._store, self._journal, self._metrics = store, journal, metrics
        self._keeper: CaseKeeper | None = None
        self._notices: LoginNotices | None = None
        self.gate: Gate = OPEN_GATE

    def use(self, config: Config, check: ContentCheck | None = None) -> None:
        store, clock = self._store, server_clock()
        rules = config.guard.rules()
        store.guard.use(rules)
        # Observing holds nothing back, nor does it while it is off; cases that are open then wait for an operator.
        self.gate = store.guard if rules.mode == "enforce" else OPEN_GATE
        self.judge = TakeoverWatch(rules, clock, self._journal, self._metrics, check, store.places)
        letters = letter_writer(store, config, self._journal)
        freezer = CredentialFreezer(store.credentials, clock)
        ports = CasePorts(store.guard, store.directory, freezer, letters, clock, self._journal, self._metrics)
        self._keeper = CaseKeeper(ports, letter_rules(config), config.roles.postmaster)
        notice_ports = NoticePorts(
            store.places, store.directory, store.credentials, store.guard, store.counters, letters, clock, self._journal
        )  # fmt: skip
        self._notices = LoginNotices(notice_ports, letter_rules(config), config.roles.postmaster, config.login.notices_per_day)

    async def keep_cases(self) -> None:
        """A duty; raises StoreUnavailable."""
        if self._keeper is not None:
            await self._keeper.keep()

    async def keep_notices(self) -> None:
        """A duty; raises StoreUnavailable."""
        if self._notices is not None:
            await self._notices.keep()


def _recipients(store: SqliteStore, config: Config) -> RecipientProbe:
    return RecipientProbe(store.directory, config.hostname, config.roles.model_dump())
