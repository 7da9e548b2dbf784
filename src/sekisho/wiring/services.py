"""The services under one configuration, built over the plant. A reload is: build again, and exchange once.

`build` changes nothing and opens nothing; whatever can be wrong with a configuration shows there, and then
the services before it stay. `adopt` is the one exchange: nobody waits in it and nothing of it fails, so no
connection sees half of it. Connections that are open keep the services that they began with.
"""

import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING

from sekisho.adapters.dns.resolver import StubResolver
from sekisho.adapters.net.listener import ListenerTools
from sekisho.adapters.net.tls import PreparedContexts
from sekisho.admin.context import Context
from sekisho.config.schema import Config
from sekisho.ports.learning import Learner
from sekisho.ports.stream import ConnectionHandler
from sekisho.probes.content import ContentProbe
from sekisho.probes.kept import KeptFindings
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.access.imap.context import ImapPorts
from sekisho.services.access.imap.handler import ImapHandler
from sekisho.services.access.managesieve.service import ManageSieveService, ManageSieveTools
from sekisho.services.access.pop3.service import Pop3Service
from sekisho.services.access.pop3.tools import Pop3Settings, Pop3Tools
from sekisho.services.authentication.authenticator import AuthenticationTools
from sekisho.services.authentication.factor_letter import FactorLetters, FactorPorts
from sekisho.services.authentication.outside import AuthSocket
from sekisho.services.experience import Experience, NoCorrespondence
from sekisho.services.guard.cases import CaseKeeper
from sekisho.services.guard.logins import LoginNotices
from sekisho.services.queue.surroundings import QueuePorts, QueueRules
from sekisho.services.reception.blocklists import BlocklistWatch
from sekisho.services.reception.inspector import DoorInspector
from sekisho.services.reception.reception import Reception
from sekisho.services.reception.tools import ReceptionConfig, ReceptionTools
from sekisho.services.reception.watch import DoorWatch
from sekisho.services.reports.intake import ReportIntake
from sekisho.services.reports.sending import ReportSender
from sekisho.services.reports.tlssending import TlsReportSender
from sekisho.services.sieve.desk import ScriptDesk
from sekisho.services.sieve.service import Sieving
from sekisho.services.submission.local import LocalSubmission
from sekisho.services.submission.signer import DomainSigner
from sekisho.services.submission.submission import Submission
from sekisho.services.submission.tools import SubmissionConfig, SubmissionTools
from sekisho.wiring.clocks import sleep_by_clock
from sekisho.wiring.content import classifier_rules, content_probe, outgoing_content
from sekisho.wiring.crowd import crowd_rules
from sekisho.wiring.desk import admin_context
from sekisho.wiring.door import blocklist_watch, connection_watch, inspector
from sekisho.wiring.experience import door_kit, make_experience
from sekisho.wiring.guard import case_keeper, gate, login_notices, takeover_watch
from sekisho.wiring.letters import factor_rules, letter_writer
from sekisho.wiring.outbound import make_courier, make_relay, queue_rules, recipient_probe, shaping_ports
from sekisho.wiring.plant import Plant
from sekisho.wiring.reports import report_intake, report_sender, tls_report_sender
from sekisho.wiring.setup import AUTH, LOCAL, Setup, listener_names
from sekisho.wiring.sieve import sieve_service
from sekisho.wiring.stores import store_settings
from sekisho.wiring.tokens import token_verifier

if TYPE_CHECKING:
    from sekisho.adapters.oidc.verifier import OidcVerifier

Networks = Sequence[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerUse:
    """By what a listener takes its next connections."""

    tools: ListenerTools
    proxy_from: Networks = ()
    client_ca: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """`handlers` by kind of listener, `listeners` by name. What follows them is for duties and operators,
    then for what outlives settings (`adopt`). `complaints`: what could not be used, for the log: where, what
    is wrong."""

    config: Config
    handlers: Mapping[str, ConnectionHandler]
    listeners: Mapping[str, ListenerUse]
    blocklists: BlocklistWatch
    cases: CaseKeeper
    reports: ReportSender
    tls_reports: TlsReportSender
    notices: LoginNotices
    admin: Callable[[str], Context]
    learners: tuple[Learner, ...]
    queue: tuple[QueueRules, QueuePorts]
    logins: AuthenticationTools
    resolver: StubResolver
    chains: PreparedContexts
    tokens: "OidcVerifier | None"
    complaints: tuple[tuple[str, Exception], ...]


def build(plant: Plant, setup: Setup, before: Services | None = None) -> Services:
    """Raises what is wrong with the configuration. `before`: whose keys of token issuers are taken over."""
    config = setup.config
    store = plant.store
    complaints: list[tuple[str, Exception]] = []
    tokens = before.tokens if before is not None else None
    try:
        tokens = token_verifier(config, plant.clock, tokens)
    except OSError as error:  # an authority's file that cannot be read any more: the issuers stay as they are
        complaints.append(("login.issuers", error))
    experience = make_experience(config, store, plant.organizations, plant.resolver, plant.clock)
    blocklists = blocklist_watch(plant, config)
    ports = _queue_ports(plant, config)
    return Services(
        config=config,
        handlers=_handlers(plant, config, experience, blocklists, ports.recipients),
        listeners=_listeners(plant, setup, config),
        blocklists=blocklists,
        cases=case_keeper(plant, config),
        reports=report_sender(plant, config),
        tls_reports=tls_report_sender(plant, config),
        notices=login_notices(plant, config),
        admin=_admin(plant, config, experience),
        learners=(plant.classifier, experience),
        queue=(queue_rules(plant.owner, config), ports),
        logins=_login_tools(plant, config, tokens),
        resolver=plant.resolver.now
        if plant.resolver.now.fits(config.resolver)
        else StubResolver(config.resolver, plant.clock),
        chains=PreparedContexts(setup.certificates, setup.client_authorities.values()),
        tokens=tokens,
        complaints=tuple(complaints),
    )


def adopt(plant: Plant, services: Services) -> None:
    """Give what outlives the settings the new ones, each for the reason that its `use` says: what it
    remembers, holds open or has under way must not be lost, or the limits bind those who are connected
    already."""
    config, shared = services.config, plant.shared
    plant.log.use(config.log.format)
    plant.ledger.use(config)
    plant.refusals.why_url = config.ledger.why_url
    shared.counts.set_caps(config.limits.connections, config.limits.connections_per_ip)
    plant.crowd.use(crowd_rules(config))
    shared.rates.set_window(config.door.rates.window_seconds)
    plant.store.use(store_settings(config))
    plant.resolver.use(services.resolver)
    plant.tls.use(services.chains)
    plant.classifier.rules = classifier_rules(config)
    plant.teacher.learners = services.learners
    plant.authenticator.use(config.login, services.logins)
    plant.queue.use(*services.queue)
    for where, error in services.complaints:
        plant.journal.fault(where, error)


def _queue_ports(plant: Plant, config: Config) -> QueuePorts:
    relay = make_relay(plant.relay_ports, plant.pool, config)
    shaping = shaping_ports(plant.store, plant.relay_ports)
    return replace(
        plant.queue_ports,
        courier=make_courier(relay, shaping, plant.shaping, config, plant.shared.counts.workers),
        recipients=recipient_probe(plant.own_names, config),
        gate=gate(plant.store, config),
    )


def _login_tools(plant: Plant, config: Config, tokens: "OidcVerifier | None") -> AuthenticationTools:
    ports = FactorPorts(plant.store.counters, plant.clock, plant.journal)
    letters = letter_writer(plant.store, config, plant.journal)
    return replace(
        plant.login_tools,
        factor_letters=FactorLetters(factor_rules(config), letters, ports, plant.letters_under_way),
        tokens=tokens,
    )


def _admin(plant: Plant, config: Config, experience: Experience) -> Callable[[str], Context]:
    kit = door_kit(config, plant.store, experience, plant.teacher)

    def context(actor: str) -> Context:
        return admin_context(
            store=plant.store,
            config=config,
            journal=plant.journal,
            actor=actor,
            ledger=plant.ledger.ledger,
            classifier=plant.classifier,
            door=kit,
        )

    return context


def _listeners(plant: Plant, setup: Setup, config: Config) -> dict[str, ListenerUse]:
    shared = plant.shared
    tools = ListenerTools(
        tls=plant.tls,
        crowd=plant.crowd,
        journal=plant.journal,
        metrics=shared.metrics,
        clock=plant.clock,
        hostname=config.hostname,
        refusals=plant.refusals,
    )
    uses = {name: ListenerUse(tools=tools) for name in (LOCAL, AUTH)}
    for name, settings in zip(listener_names(config), config.listeners, strict=True):
        uses[name] = ListenerUse(
            tools=tools,
            proxy_from=settings.proxy_from,
            client_ca=setup.client_authorities[str(settings.client_ca)] if settings.client_ca else b"",
        )
    return uses


def _handlers(
    plant: Plant,
    config: Config,
    experience: Experience,
    blocklists: BlocklistWatch,
    recipients: RecipientProbe,
) -> dict[str, ConnectionHandler]:
    content = content_probe(config, plant.classifier)
    sieve = sieve_service(plant, config, recipients)
    kept = KeptFindings(plant.clock.monotonic)
    intake = report_intake(plant, config)
    door = inspector(plant, config, experience, content, blocklists, kept=kept, intake=intake)
    watch = connection_watch(plant, config, experience, kept)
    reception = _reception(
        plant=plant, config=config, recipients=recipients, door=door, watch=watch, sieve=sieve, intake=intake
    )
    submission = _submission(
        plant=plant, config=config, recipients=recipients, content=content, experience=experience, sieve=sieve
    )
    store, authenticator = plant.store, plant.authenticator
    imap_ports = ImapPorts(
        store=store.mail,
        spool=store.spool,
        directory=store.directory,
        authenticator=authenticator,
        changes=plant.changes,
        journal=plant.journal,
        metrics=plant.shared.metrics,
        clock=plant.clock,
        shutdown=plant.shutdown,
        junk=plant.teacher,
    )
    imap = ImapHandler(imap_ports, config.access, config.login, config.hostname)
    pop3 = Pop3Service(
        Pop3Tools(
            authenticator=authenticator,
            store=store.mail,
            leases=store.leases,
            owner=plant.owner,
            clock=plant.clock,
            journal=plant.journal,
            shutdown=plant.shutdown,
        ),
        Pop3Settings(config.hostname, config.access, config.login, config.limits),
    )
    return {
        "smtp": reception,
        "submission": submission,
        "submissions": submission,
        "local": LocalSubmission(submission, store.directory, config.submission.local_users, _user_name),
        "auth": AuthSocket(authenticator, store.directory, plant.dice, plant.journal, plant.shutdown),
        "imap": imap,
        "imaps": imap,
        "pop3": pop3,
        "pop3s": pop3,
        "sieve": _managesieve(plant, config),
    }


def _managesieve(plant: Plant, config: Config) -> ManageSieveService:
    return ManageSieveService(
        ManageSieveTools(
            authenticator=plant.authenticator,
            desk=ScriptDesk(plant.store.scripts, config.sieve),
            clock=plant.clock,
            journal=plant.journal,
            shutdown=plant.shutdown,
            access=config.access,
            login=config.login,
            errors_per_session=config.limits.errors_per_session,
        )
    )


def _reception(
    plant: Plant,
    config: Config,
    recipients: RecipientProbe,
    door: DoorInspector,
    watch: DoorWatch,
    sieve: Sieving,
    intake: ReportIntake,
) -> Reception:
    tools = ReceptionTools(
        spool=plant.store.spool,
        recipients=recipients,
        inspector=door,
        clock=plant.clock,
        dice=plant.dice,
        journal=plant.journal,
        metrics=plant.shared.metrics,
        shutdown=plant.shutdown,
        owner=plant.queue.owner_for_new,
        started=plant.queue.take,
        signing=plant.signing,
        sleep=sleep_by_clock,
        watch=watch,
        sieve=sieve,
        intake=intake,
    )
    settings = ReceptionConfig(
        hostname=config.hostname,
        limits=config.limits,
        reception=config.reception,
        queue=config.queue,
        routes=dict(config.relay.routes),
        language=config.language,
        ledger=config.ledger,
    )
    return Reception(tools, settings)


def _submission(
    plant: Plant,
    config: Config,
    recipients: RecipientProbe,
    content: ContentProbe,
    experience: Experience,
    sieve: Sieving,
) -> Submission:
    store = plant.store
    tools = SubmissionTools(
        spool=store.spool,
        directory=plant.own_names,
        recipients=recipients,
        authenticator=plant.authenticator,
        judge=takeover_watch(plant, config, outgoing_content(config, content, plant.journal)),
        signer=DomainSigner(plant.signing),
        clock=plant.clock,
        dice=plant.dice,
        journal=plant.journal,
        metrics=plant.shared.metrics,
        shutdown=plant.shutdown,
        owner=plant.queue.owner_for_new,
        started=plant.queue.take,
        signing=plant.signing,
        correspondence=experience if config.reputation.enabled else NoCorrespondence(),
        sieve=sieve,
    )
    settings = SubmissionConfig(
        hostname=config.hostname,
        limits=config.limits,
        submission=config.submission,
        login=config.login,
        queue=config.queue,
        loose_dot_domains=config.reception.loose_dot_domains,
        routes=dict(config.relay.routes),
        language=config.language,
        ledger=config.ledger,
    )
    return Submission(tools, settings)


def _user_name(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
