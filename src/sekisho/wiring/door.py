"""The door of one worker: who is asked about a message, by which rules it is judged, and what is learned from it."""

from sekisho.adapters.dns.resolver import StubResolver
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.door import blocklists, door_rules, reputation_rules
from sekisho.config.schema import Config
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.counters import Rates
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.learning import JunkWatch
from sekisho.ports.metrics import Metrics
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.content import ContentProbe
from sekisho.probes.greylist import GreylistProbe
from sekisho.probes.impersonation import ImpersonationProbe
from sekisho.probes.rate import RateProbe
from sekisho.probes.recipient import RecipientProbe
from sekisho.probes.reputation import Organizations, ReputationProbe
from sekisho.probes.table import Probes
from sekisho.services.doorkeeping import DoorKit
from sekisho.services.experience import Correspondence, Experience, NoCorrespondence
from sekisho.services.reception.blocklists import BlocklistWatch
from sekisho.services.reception.greylisting import Greylisting, GreylistPorts
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.services.reception.watch import DoorWatch, WatchTools
from sekisho.wiring.clocks import sleep_by_clock

_GREETING_SECONDS = 3.0  # that the DNS may take before the greeting


class DoorLink:
    """`use` gives it the present settings."""

    def __init__(self, store: SqliteStore, resolver: StubResolver, clock: Clock, journal: Journal, metrics: Metrics) -> None:
        self._store, self._resolver, self._clock, self._journal, self._metrics = store, resolver, clock, journal, metrics
        self._organizations = Organizations(clock)
        self.experience = Experience(store.reputation, store.judgements, self._organizations, lambda: BudgetedResolver(resolver), clock)
        self._names = ImpersonationProbe(store.directory, clock)
        self._counted_us = 0  # of first tries on the greylist: those before this were counted

    def use(self, config: Config) -> None:
        """Raises nothing: what can be wrong in it was found when it was read."""
        self._config = config
        self._rules = reputation_rules(config)
        self._store.reputation.use(self._rules)
        self.experience.rules, self.experience.hostname = self._rules, config.hostname
        self._watch = BlocklistWatch(blocklists(config), self._resolver, self._journal, self._metrics)

    def kit(self, junk: JunkWatch) -> DoorKit:
        """For an operator's commands."""
        config, store = self._config, self._store
        recipients = RecipientProbe(store.directory, config.hostname, config.roles.model_dump())
        return DoorKit(
            store.reputation, self._rules, recipients, store.mail, junk, self.experience, store.greylist, config.greylist.rules()
        )  # fmt: skip

    @property
    def correspondence(self) -> Correspondence:
        return self.experience if self._config.reputation.enabled else NoCorrespondence()

    def inspector(self, content: ContentProbe | None = None) -> DoorInspector:
        rules, config, watch, is_learning = door_rules(self._config), self._config, self._watch, self._config.reputation.enabled
        store, journal = self._store, self._journal
        probes = Probes(
            ReputationProbe(store.reputation, self._organizations, self._rules) if is_learning else None,
            content,
            GreylistProbe(store.greylist, self._rules) if rules.greylist != "off" else None,
            rules.sender != "off",
            self._names if rules.impersonation != "off" else None,
        )
        ports = GreylistPorts(store.greylist, self._clock, journal, self._metrics)
        greylisting = Greylisting(rules.waiting, config.greylist.tarpit_connections, ports)
        tools = DoorTools(
            store.directory, lambda: BudgetedResolver(self._resolver), self._clock, journal, probes,
            self.experience if is_learning else None, lambda: watch.fit, greylisting,
        )  # fmt: skip
        return DoorInspector(config.hostname, rules, config.door.unchecked_networks, tools)

    def watch(self, rates: Rates) -> DoorWatch:
        config, clock = self._config, self._clock
        rules = door_rules(config)
        reputation = self._store.reputation if config.reputation.enabled else None
        tools = WatchTools(
            rates, RateProbe(rates, rules.limits, clock, reputation, self._rules), self._store.directory,
            lambda: BudgetedResolver(self._resolver, seconds=_GREETING_SECONDS), clock, self._journal, self._metrics, sleep_by_clock,
        )  # fmt: skip
        return DoorWatch(config.hostname, rules, config.door.unchecked_networks, tools, config.door.greet_delay_seconds)

    # Duties

    async def look_at_blocklists(self) -> None:
        await self._watch.look()

    def blocklist_pause(self) -> float:
        return self._watch.pause_seconds

    async def flush(self) -> None:
        """Write down what was learned; raises StoreUnavailable, and what could not be written is kept for the next time."""
        await self._store.reputation.flush()

    async def close(self) -> None:
        """Write down what was learned for the last time."""
        try:
            await self.flush()
        except StoreUnavailable as error:
            self._journal.record(Entry("reputation.lost", fields={"error": str(error)}))

    async def trim_experience(self) -> None:
        """Raises StoreUnavailable."""
        await self._store.reputation.trim(self._config.reputation.entries)

    async def tidy_greylist(self) -> None:
        """Count those whose time to come back is over, and forget whom nobody needs to know any more. Raises StoreUnavailable."""
        greylist, rules, now_us = self._store.greylist, self._config.greylist.rules(), self._clock.now_us()
        over_us = now_us - rules.until_us
        if self._counted_us:
            never = await greylist.never_came(self._counted_us, over_us)
            self._metrics.count("sekisho_greylist_total", never, result="never_came_back")
        self._counted_us = max(self._counted_us, over_us)
        await greylist.trim(now_us - rules.remember_us, self._config.greylist.entries)
