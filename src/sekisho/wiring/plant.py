"""What lives as long as the worker: its store, memory, journal, sockets to the DNS, and what is remembered
from one message to the next.

Nothing here judges or answers anybody: that is done by services, which are built over the plant from a
configuration, and built again at a reload (`wiring.services`).
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from sekisho.adapters.clock import SystemDice
from sekisho.adapters.dns.resolver import StubResolver
from sekisho.adapters.dns.seat import ResolverSeat
from sekisho.adapters.journal import StructlogJournal, catch_strays
from sekisho.adapters.net.caps import CapRefusals
from sekisho.adapters.net.crowd import Crowd
from sekisho.adapters.net.dialer import AsyncioDialer
from sekisho.adapters.net.tls import ClientContexts, ServerContexts
from sekisho.adapters.process.changes import DatagramChanges
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.adapters.process.metrics import SharedMetrics
from sekisho.adapters.process.plan import WorkerContext
from sekisho.adapters.process.privileges import open_log
from sekisho.adapters.process.rates import SharedRates
from sekisho.adapters.process.recent import SharedRecent
from sekisho.adapters.process.versions import SharedVersion
from sekisho.adapters.remembering import (
    RememberedCredentials,
    RememberedKeys,
    RememberedNames,
    RememberedScripts,
)
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.core.policy.dnsbl import Health
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.leases import Owner
from sekisho.ports.stream import Shutdown
from sekisho.probes.impersonation import ImpersonationProbe
from sekisho.probes.reputation import Organizations
from sekisho.services.authentication.authenticator import AuthenticationTools, SaslAuthenticator
from sekisho.services.authentication.standing import LoginStanding
from sekisho.services.classifier import LiveClassifier
from sekisho.services.queue.queue import Queue
from sekisho.services.queue.surroundings import QueuePorts
from sekisho.services.reception.tidying import GreylistTidier
from sekisho.services.relay.pool import Pool
from sekisho.services.relay.stsdesk import StsDesk
from sekisho.services.relay.surroundings import RelayPorts
from sekisho.services.shaping.surroundings import ShapingMemory
from sekisho.services.signing import KeySigning
from sekisho.services.teaching import Teacher, TeacherPorts
from sekisho.wiring.clocks import server_clock
from sekisho.wiring.crowd import make_crowd
from sekisho.wiring.experience import write_down_the_last
from sekisho.wiring.hop import open_hop
from sekisho.wiring.ledger import LedgerKeeper
from sekisho.wiring.outbound import make_relay, queue_rules, recipient_probe
from sekisho.wiring.setup import Setup
from sekisho.wiring.stores import HOST, open_store
from sekisho.wiring.troubles import StoreTroubles


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Memory that the supervisor mapped before it forked."""

    counts: SharedConnectionCounts
    metrics: SharedMetrics
    rates: SharedRates
    recent: SharedRecent
    directory: SharedVersion
    scripts: SharedVersion

    def take_slot(self, slot: int) -> None:
        self.counts.take_slot(slot)
        self.metrics.take_slot(slot)
        self.rates.take_slot(slot)
        self.recent.take_slot(slot)
        self.directory.take_slot(slot)
        self.scripts.take_slot(slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """Most of it remembers something. `relay_ports`, `queue_ports` and `login_tools` lack what depends on the
    settings; `queue` and `authenticator` get that by `wiring.services.adopt`, before they are used."""

    owner: Owner
    shutdown: Shutdown
    clock: Clock
    dice: Dice
    shared: Shared
    log: StructlogJournal
    journal: Journal
    ledger: LedgerKeeper
    changes: DatagramChanges
    store: SqliteStore
    own_names: RememberedNames
    active_scripts: RememberedScripts
    resolver: ResolverSeat
    tls: ServerContexts
    signing: KeySigning
    refusals: CapRefusals
    crowd: Crowd
    organizations: Organizations
    names: ImpersonationProbe
    greylist: GreylistTidier
    classifier: LiveClassifier
    teacher: Teacher
    pool: Pool
    sts_desk: StsDesk
    relay_ports: RelayPorts
    queue_ports: QueuePorts
    login_tools: AuthenticationTools
    queue: Queue
    authenticator: SaslAuthenticator
    shaping: ShapingMemory = field(default_factory=ShapingMemory)
    blocklist_health: dict[str, Health] = field(default_factory=dict)  # by zone
    letters_under_way: "set[asyncio.Task[None]]" = field(default_factory=set)


def open_plant(setup: Setup, shared: Shared, context: WorkerContext, stack: AsyncExitStack) -> Plant:
    """Opens it; `stack` closes it again. Raises what the store or the log file says when they cannot be
    opened."""
    config, clock, dice = setup.config, server_clock(), SystemDice()
    shared.take_slot(context.slot)
    stack.callback(shared.metrics.publish)
    log = _open_log(config, clock, context.slot, stack)
    ledger = LedgerKeeper(log, clock, shared.metrics)
    stack.callback(ledger.close)
    catch_strays(ledger.journal, asyncio.get_running_loop())
    changes = _open_changes(context, shared, stack)
    store = _open_store(config, (clock, dice), changes, shared.metrics, stack)
    _look_after(store, ledger.journal, clock, log, stack)
    resolver = ResolverSeat(StubResolver(config.resolver, clock))
    stack.push_async_callback(resolver.close)
    owner = Owner(HOST, context.slot, context.incarnation)
    own_names = RememberedNames(store.directory, shared.directory.now, clock)
    keys = RememberedKeys(store.keys, shared.directory.now, clock)
    pool, signing = Pool(), KeySigning(keys, clock, ledger.journal)
    relay_ports, sts_desk = _relay_ports(store, resolver, ledger.journal, shared.metrics, stack)
    login_tools = _login_tools(store, changes, (clock, dice), ledger.journal, shared)
    login_tools = replace(login_tools, standing=_standing(store, own_names, shared, clock))
    queue_ports = _queue_ports(
        ports=relay_ports, pool=pool, signing=signing, store=store, changes=changes, config=config
    )
    authenticator = SaslAuthenticator(login_tools, config.login)
    stack.callback(authenticator.close)
    return Plant(
        owner=owner,
        shutdown=context.shutdown,
        clock=clock,
        dice=dice,
        shared=shared,
        log=log,
        journal=ledger.journal,
        ledger=ledger,
        changes=changes,
        store=store,
        own_names=own_names,
        active_scripts=RememberedScripts(store.scripts, shared.scripts.now, clock),
        resolver=resolver,
        tls=ServerContexts(),
        signing=signing,
        refusals=CapRefusals(ledger.journal, clock, dice, config.ledger.why_url),
        crowd=_open_crowd(config, shared, ledger.journal, clock, stack),
        organizations=Organizations(clock),
        names=ImpersonationProbe(store.directory, clock),
        greylist=GreylistTidier(store.greylist, clock, shared.metrics),
        classifier=_open_classifier(store, clock, ledger.journal, shared.metrics, stack),
        teacher=Teacher(TeacherPorts(store.mail, store.judgements, ledger.journal, shared.metrics)),
        pool=pool,
        sts_desk=sts_desk,
        relay_ports=relay_ports,
        queue_ports=queue_ports,
        login_tools=login_tools,
        queue=Queue(queue_rules(owner, config), queue_ports),
        authenticator=authenticator,
    )


def _queue_ports(
    ports: RelayPorts, pool: Pool, signing: KeySigning, store: SqliteStore, changes: Changes, config: Config
) -> QueuePorts:
    return QueuePorts(
        spool=store.spool,
        courier=make_relay(ports, pool, config),
        recipients=recipient_probe(store.directory, config),
        changes=changes,
        clock=ports.clock,
        dice=ports.dice,
        journal=ports.journal,
        metrics=ports.metrics,
        signing=signing,
    )


def _relay_ports(
    store: SqliteStore,
    resolver: ResolverSeat,
    journal: Journal,
    metrics: SharedMetrics,
    stack: AsyncExitStack,
) -> tuple[RelayPorts, StsDesk]:
    clock, tls = server_clock(), ClientContexts()
    hop, sts_desk = open_hop(store, resolver, tls, (clock, journal), stack)
    ports = RelayPorts(
        resolver=resolver,
        dialer=AsyncioDialer(tls),
        clock=clock,
        dice=SystemDice(),
        journal=journal,
        metrics=metrics,
        hop=hop,
    )
    return ports, sts_desk


def _open_log(config: Config, clock: Clock, slot: int, stack: AsyncExitStack) -> StructlogJournal:
    descriptor = None if config.log.file is None else open_log(config.log.file)
    log = StructlogJournal(clock, form=config.log.format, descriptor=descriptor, worker=slot)
    stack.callback(log.flush)
    return log


def _open_crowd(
    config: Config, shared: Shared, journal: Journal, clock: Clock, stack: AsyncExitStack
) -> Crowd:
    crowd = make_crowd(config, shared.counts, journal, shared.metrics, clock)
    stack.callback(crowd.close)
    return crowd


def _open_store(
    config: Config,
    chance: tuple[Clock, Dice],
    changes: Changes,
    metrics: SharedMetrics,
    stack: AsyncExitStack,
) -> SqliteStore:
    store = open_store(config, *chance, changes, metrics)
    stack.push_async_callback(store.close)
    return store


def _look_after(
    store: SqliteStore, journal: Journal, clock: Clock, log: StructlogJournal, stack: AsyncExitStack
) -> None:
    StoreTroubles(journal, clock, log.flush).watch(store)
    stack.push_async_callback(write_down_the_last, store.reputation, journal)
    stack.push_async_callback(_write_down_counts, store, journal)


async def _write_down_counts(store: SqliteStore, journal: Journal) -> None:
    try:
        await store.reports.flush()
    except StoreUnavailable as error:
        journal.record(Entry("report.counts_lost", fields={"error": str(error)}))


def _open_classifier(
    store: SqliteStore, clock: Clock, journal: Journal, metrics: SharedMetrics, stack: AsyncExitStack
) -> LiveClassifier:
    classifier = LiveClassifier(store.lessons, clock, journal, metrics)
    stack.push_async_callback(classifier.close)
    return classifier


def _open_changes(context: WorkerContext, shared: Shared, stack: AsyncExitStack) -> DatagramChanges:
    changes = DatagramChanges(
        context.changes_socket,
        context.sibling_sockets,
        directory_changed=shared.directory.raise_,
        scripts_changed=shared.scripts.raise_,
    )
    changes.start()
    stack.callback(changes.close)
    return changes


def _standing(store: SqliteStore, names: RememberedNames, shared: Shared, clock: Clock) -> LoginStanding:
    credentials = RememberedCredentials(store.credentials, shared.directory.now, clock)
    return LoginStanding(names, credentials, clock)


def _login_tools(
    store: SqliteStore, changes: Changes, chance: tuple[Clock, Dice], journal: Journal, shared: Shared
) -> AuthenticationTools:
    clock, dice = chance
    return AuthenticationTools(
        directory=store.directory,
        credentials=store.credentials,
        counters=store.counters,
        bans=store.bans,
        places=store.places,
        changes=changes,
        clock=clock,
        dice=dice,
        journal=journal,
        metrics=shared.metrics,
        recent=shared.recent.by(clock),
    )
