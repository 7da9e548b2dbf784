"""One worker process: its store, its services, its listeners, put together and taken apart."""

import asyncio
import pwd
from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from sekisho.adapters.clock import SystemDice
from sekisho.adapters.dns.resolver import StubResolver
from sekisho.adapters.journal import StructlogJournal, catch_strays
from sekisho.adapters.net.caps import CapRefusals
from sekisho.adapters.net.dialer import AsyncioDialer
from sekisho.adapters.net.listener import Listener, ListenerTools, listener_info
from sekisho.adapters.net.tls import CertificateMaterial, ClientContexts, ServerContexts
from sekisho.adapters.process.changes import DatagramChanges
from sekisho.adapters.process.control import ControlServer
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.adapters.process.exporter import Exporter
from sekisho.adapters.process.metrics import SharedMetrics
from sekisho.adapters.process.plan import WorkerContext
from sekisho.adapters.process.privileges import open_log
from sekisho.adapters.process.rates import SharedRates
from sekisho.adapters.process.recent import SharedRecent
from sekisho.admin import operations
from sekisho.config.schema import Config
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Entry
from sekisho.ports.leases import Owner
from sekisho.ports.stream import ConnectionHandler, Endpoint, ListenerInfo, Stream
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.access.imap.context import ImapPorts
from sekisho.services.access.imap.handler import ImapHandler
from sekisho.services.access.pop3.service import Pop3Service
from sekisho.services.access.pop3.tools import Pop3Settings, Pop3Tools
from sekisho.services.authentication.authenticator import AuthenticationTools, SaslAuthenticator
from sekisho.services.authentication.factor_letter import FactorLetters
from sekisho.services.authentication.outside import AuthSocket
from sekisho.services.queue.queue import Queue
from sekisho.services.queue.surroundings import QueuePorts, QueueRules
from sekisho.services.reception.reception import Reception, ReceptionConfig, ReceptionTools
from sekisho.services.relay.relay import Relay
from sekisho.services.relay.surroundings import RelayPorts
from sekisho.services.signing import KeySigning
from sekisho.services.submission.local import LocalSubmission
from sekisho.services.submission.signer import DomainSigner
from sekisho.services.submission.submission import Submission, SubmissionConfig, SubmissionTools
from sekisho.wiring.clocks import server_clock, sleep_by_clock
from sekisho.wiring.content import ContentLink
from sekisho.wiring.crowd import crowd_rules, make_crowd
from sekisho.wiring.door import DoorLink
from sekisho.wiring.duties import BLOCKLISTS, QUEUE, Workers, duties
from sekisho.wiring.dutykeeper import DutyKeeper, DutyPorts, OneOfAll
from sekisho.wiring.guard import GuardLink
from sekisho.wiring.learning import LearningLink
from sekisho.wiring.ledger import LedgerLink
from sekisho.wiring.letters import factor_rules, letter_writer
from sekisho.wiring.stores import HOST, admin_context, open_store
from sekisho.wiring.tokens import TokenLink
from sekisho.wiring.troubles import StoreTroubles


@dataclass(frozen=True, slots=True)
class Shared:
    """Memory that the supervisor mapped before it forked."""

    counts: SharedConnectionCounts
    metrics: SharedMetrics
    rates: SharedRates
    recent: SharedRecent


class Setup(msgspec.Struct, frozen=True):
    """What a worker runs by: read by the supervisor, as root, at the start and at each SIGHUP."""

    config_json: str
    certificates: list[CertificateMaterial]
    client_authorities: dict[str, bytes] = {}  # PEM, by file

    @property
    def config(self) -> Config:
        return Config.model_validate_json(self.config_json, strict=True)


CONTROL = "control"
METRICS = "metrics"
AUTH = "auth"  # the socket by which other servers let us judge logins
LOCAL = "local"  # the submission socket of sendmail(1)
_DRAIN_SECONDS = 2.5  # of the supervisor's 5: connections say goodbye, then the queue settles


def listener_names(config: Config) -> list[str]:
    """The name of each listener: as configured, else its kind, numbered when that is taken."""
    names: list[str] = []
    for listener in config.listeners:
        name = listener.name or listener.kind
        while name in names:
            name += "+"
        names.append(name)
    return names


async def run_worker(setup: Setup, shared: Shared, context: WorkerContext) -> None:
    async with AsyncExitStack() as stack:
        await Worker(setup, shared, context, stack).run()


class Worker:
    def __init__(self, setup: Setup, shared: Shared, context: WorkerContext, stack: AsyncExitStack) -> None:
        self._config = setup.config
        self._shared = shared
        self._context = context
        self._stack = stack
        self._clock: Clock = server_clock()
        self._dice: Dice = SystemDice()
        self._owner = Owner(HOST, context.slot, context.incarnation)
        shared.counts.take_slot(context.slot)
        shared.metrics.take_slot(context.slot)
        shared.rates.take_slot(context.slot)
        shared.recent.take_slot(context.slot)
        stack.callback(shared.metrics.publish)
        log = self._config.log
        self._log_file = log.file  # a changed setting wants a restart; the same file is opened anew at SIGHUP
        descriptor = None if log.file is None else open_log(log.file)
        self._lines = StructlogJournal(self._clock, form=log.format, descriptor=descriptor, worker=context.slot)
        stack.callback(self._lines.flush)
        self._ledger = LedgerLink(self._lines, self._clock, shared.metrics)
        self._journal = self._ledger.journal
        catch_strays(self._journal, asyncio.get_running_loop())
        self._tls = ServerContexts(setup.certificates)
        self._client_authorities = setup.client_authorities
        self._changes = DatagramChanges(context.changes_socket, context.sibling_sockets)
        self._changes.start()
        stack.callback(self._changes.close)
        self._handlers: dict[str, ConnectionHandler] = {}
        self._listeners: list[Listener] = []
        self._resolver_said = ""

    async def run(self) -> None:
        context = self._context
        self._store = open_store(self._config, self._clock, self._dice, self._changes, self._shared.metrics)
        StoreTroubles(self._journal, self._clock, self._lines.flush).watch(self._store)
        self._stack.push_async_callback(self._store.close)
        self._signing = KeySigning(self._store.keys, self._clock, self._journal)
        self._ledger.use(self._config)
        self._stack.callback(self._ledger.close)
        self._learning = LearningLink(self._store, self._journal, self._shared.metrics)
        self._guard = GuardLink(self._store, self._journal, self._shared.metrics)
        self._content = ContentLink(self._store, self._config, self._journal, self._shared.metrics)
        self._guard.use(self._config, self._content.outgoing)
        self._learning.teacher.learners += (self._content.classifier,)
        self._stack.push_async_callback(self._content.close)
        self._resolver = StubResolver(self._config.resolver, self._clock)
        self._stack.push_async_callback(self._resolver.close)
        self._door = DoorLink(self._store, self._resolver, self._clock, self._journal, self._shared.metrics)
        self._door.use(self._config)
        self._stack.push_async_callback(self._door.close)
        self._learning.teacher.learners += (self._door.experience,)
        self._make_recipients()
        self._make_authenticator()
        self._build_outbound()
        self._build_handlers()
        await self._listen()
        self._make_keeper()
        context.ready()
        self._keeper.start()
        await self._keeper.until_shutdown()
        await asyncio.gather(*(listener.finish(_DRAIN_SECONDS) for listener in self._listeners))
        await self._keeper.finished(QUEUE)
        await self._relay.close()
        await self._keeper.stop()

    def _make_keeper(self) -> None:
        store, context = self._store, self._context
        do = Workers(
            store=store,
            queue=self._queue,
            teacher=self._learning.teacher,
            door=self._door,
            guard=self._guard,
            learning=self._learning,
            content=self._content,
            ledger=self._ledger,
            metrics=self._shared.metrics,
            changes=self._changes,
            shutdown=context.shutdown,
            follow_reloads=self._follow_reloads,
            probe_resolver=self._tell_about_resolver,
        )
        ports = DutyPorts(
            clock=self._clock,
            journal=self._journal,
            metrics=self._shared.metrics,
            sleep=sleep_by_clock,
            is_ours=OneOfAll(store.leases, self._owner, self._clock).is_ours,
            shutdown=context.shutdown,
            worker=str(context.slot),
        )
        self._keeper = DutyKeeper(duties(do, context.slot), ports)
        self._stack.push_async_callback(self._keeper.stop)

    def _make_authenticator(self) -> None:
        store = self._store
        self._tokens = TokenLink(self._clock, self._journal)
        self._tokens.use(self._config)
        self._factor_letters = FactorLetters(store.counters, self._clock, self._journal)
        self._stack.push_async_callback(self._factor_letters.close)
        self._factor_letters.use(factor_rules(self._config), letter_writer(store, self._config, self._journal))
        tools = AuthenticationTools(
            store.directory,
            store.credentials,
            store.counters,
            store.bans,
            store.places,
            self._changes,
            self._clock,
            self._dice,
            self._journal,
            self._shared.metrics,
            self._shared.recent.by(self._clock),
            factor_letters=self._factor_letters,
            tokens=self._tokens,
        )
        self._authenticator = SaslAuthenticator(tools, self._config.login)
        self._stack.callback(self._authenticator.close)

    def _make_recipients(self) -> None:
        self._recipients = RecipientProbe(self._store.directory, self._config.hostname, self._config.roles.model_dump())

    def _build_outbound(self) -> None:
        config = self._config
        own = frozenset(Endpoint(listener.address, listener.port) for listener in config.listeners if listener.kind == "smtp")
        ports = RelayPorts(self._resolver, AsyncioDialer(ClientContexts()), self._clock, self._dice, self._journal, self._shared.metrics)
        self._relay = Relay(config.hostname, config.relay, ports, own_endpoints=own)
        self._queue = Queue(self._queue_rules(), self._queue_ports())

    def _queue_rules(self) -> QueueRules:
        config = self._config
        return QueueRules.of(config.hostname, config.language, self._owner, config.queue, config.relay)

    def _queue_ports(self) -> QueuePorts:
        return QueuePorts(
            self._store.spool, self._relay, self._recipients, self._changes, self._clock, self._dice, self._journal, self._shared.metrics,
            self._signing, self._guard.gate,
        )  # fmt: skip

    def _build_handlers(self) -> None:
        """The services under the present settings; connections that are open keep theirs."""
        config, store, context = self._config, self._store, self._context
        clock, dice, journal, metrics, shutdown = self._clock, self._dice, self._journal, self._shared.metrics, context.shutdown
        authenticator = self._authenticator
        reception = Reception(
            ReceptionTools(
                store.spool,
                self._recipients,
                self._door.inspector(self._content.probe),
                clock,
                dice,
                journal,
                metrics,
                shutdown,
                self._queue.owner_for_new,
                self._queue.take,
                self._signing,
                sleep_by_clock,
                self._door.watch(self._shared.rates),
            ),
            ReceptionConfig(
                config.hostname, config.limits, config.reception, config.queue, dict(config.relay.routes), config.language, config.ledger
            ),
        )
        submission = Submission(
            SubmissionTools(
                store.spool, store.directory, self._recipients, authenticator, self._guard.judge, DomainSigner(self._signing),
                clock, dice, journal, metrics, shutdown, self._queue.owner_for_new, self._queue.take, self._signing,
                self._door.correspondence,
            ),
            SubmissionConfig(
                config.hostname, config.limits, config.submission, config.login, config.queue, config.reception.loose_dot_domains,
                dict(config.relay.routes), config.language, config.ledger,
            ),
        )  # fmt: skip
        local = LocalSubmission(submission, store.directory, journal, config.submission.local_users, _user_name)
        imap_ports = ImapPorts(
            store.mail, store.spool, store.directory, authenticator, self._changes, journal, metrics, clock, shutdown,
            self._learning.teacher,
        )  # fmt: skip
        imap = ImapHandler(imap_ports, config.access, config.login, config.hostname)
        pop3 = Pop3Service(
            Pop3Tools(authenticator, store.mail, store.leases, self._owner, clock, journal, shutdown),
            Pop3Settings(config.hostname, config.access, config.login, config.limits),
        )
        self._handlers = {
            "smtp": reception, "submission": submission, "submissions": submission, "local": local,
            "auth": AuthSocket(authenticator, store.directory, dice, journal, shutdown),
            "imap": imap, "imaps": imap, "pop3": pop3, "pop3s": pop3,
        }  # fmt: skip

    async def _handle(self, stream: Stream, listener: ListenerInfo) -> None:
        await self._handlers[listener.kind](stream, listener)

    async def _listen(self) -> None:
        sockets = self._context.sockets
        refusals = CapRefusals(self._journal, self._clock, self._dice, self._config.ledger.why_url)
        self._crowd = make_crowd(self._config, self._shared.counts, self._journal, self._shared.metrics, self._clock)
        self._stack.callback(self._crowd.close)
        tools = ListenerTools(self._tls, self._crowd, self._journal, self._shared.metrics, self._clock, self._config.hostname, refusals)
        for name, settings in zip(listener_names(self._config), self._config.listeners, strict=True):
            authority = self._client_authorities[str(settings.client_ca)] if settings.client_ca else b""
            listener = Listener(listener_info(name, settings.kind, self._tls), self._handle, tools, settings.proxy_from, authority)
            await listener.start(sockets[name])
            self._listeners.append(listener)
        local = Listener(ListenerInfo(LOCAL, "local", False), self._handle, tools)
        await local.start(sockets[LOCAL])
        self._listeners.append(local)
        if AUTH in sockets:
            outside = Listener(ListenerInfo(AUTH, "auth", False), self._handle, tools)
            await outside.start(sockets[AUTH])
            self._listeners.append(outside)
        control = ControlServer(self._answer, self._journal, operations.BUSY)
        await control.start(sockets[CONTROL])
        self._stack.callback(control.close)
        if METRICS in sockets:
            exporter = Exporter(self._shared.metrics)
            await exporter.start(sockets[METRICS])
            self._stack.callback(exporter.close)

    async def _answer(self, request: bytes, uid: int) -> bytes:
        context = admin_context(
            self._store, self._config, self._journal, f"uid:{uid}", self._ledger.ledger, self._content.classifier,
            self._door.kit(self._learning.teacher),
        )  # fmt: skip
        return await operations.answer(context, request)

    async def _follow_reloads(self) -> None:
        while True:
            setup = msgspec.msgpack.decode(await self._context.reloads.get(), type=Setup)
            self._config = setup.config
            self._tls.replace(setup.certificates)
            limits = self._config.limits
            self._shared.counts.set_caps(limits.connections, limits.connections_per_ip)
            self._crowd.use(crowd_rules(self._config))
            self._shared.rates.set_window(self._config.door.rates.window_seconds)
            self._ledger.use(self._config)
            self._door.use(self._config)
            self._content.use(self._config)
            self._guard.use(self._config, self._content.outgoing)
            self._make_recipients()
            self._authenticator.use(self._config.login)
            self._tokens.use(self._config)
            self._factor_letters.use(factor_rules(self._config), letter_writer(self._store, self._config, self._journal))
            self._relay.use(self._config.hostname, self._config.relay)
            self._queue.use(self._queue_rules(), self._queue_ports())
            self._build_handlers()
            self._keeper.now(BLOCKLISTS)
            self._reopen_log()
            self._journal.record(Entry("worker.reloaded"))

    def _reopen_log(self) -> None:
        """It may have been rotated. One that cannot be opened leaves the old one in use."""
        if self._log_file is None:
            return
        try:
            self._lines.redirect(open_log(self._log_file))
        except OSError as error:
            self._journal.fault("log", error)

    async def _tell_about_resolver(self) -> None:
        """A duty: says so when it is another than before."""
        facts = await self._resolver.probe()
        if facts.sentence != self._resolver_said:
            self._resolver_said = facts.sentence
            self._journal.record(Entry("resolver.probed", fields={"text": facts.sentence}))


def _user_name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
