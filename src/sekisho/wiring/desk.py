"""What an operator's commands work with, beside the server or without one."""

from sekisho.adapters.breached import BreachedFile
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.admin.context import Context
from sekisho.config.schema import Config
from sekisho.ports.classifier import ClassifierDesk
from sekisho.ports.journal import Journal
from sekisho.ports.ledger import Ledger
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.authentication.bandesk import BanDesk
from sekisho.services.doorkeeping import DoorKit
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.services.guard.releasing import GuardKit, Releaser
from sekisho.services.sieve.desk import ScriptDesk
from sekisho.services.signing import KeySigning
from sekisho.wiring.clocks import server_clock


def admin_context(
    store: SqliteStore,
    config: Config,
    journal: Journal,
    actor: str,
    ledger: Ledger | None,
    classifier: ClassifierDesk,
    door: DoorKit,
) -> Context:
    leaked = config.login.breached_passwords
    return Context(
        directory=store.directory,
        spool=store.spool,
        keys=store.keys,
        journal=journal,
        clock=server_clock(),
        roles=config.roles,
        actor=actor,
        ledger=ledger,
        guard_kit=guard_kit(store, config, journal),
        classifier=classifier,
        breached=BreachedFile(leaked) if leaked else None,
        door_kit=door,
        ban_desk=BanDesk(store.bans, store.counters, config.login),
        credentials=store.credentials,
        places=store.places,
        script_desk=ScriptDesk(store.scripts, config.sieve),
        shapes=store.shapes,
        reports=store.reports,
    )


def guard_kit(store: SqliteStore, config: Config, journal: Journal) -> GuardKit:
    clock = server_clock()
    signing = KeySigning(store.keys, clock, journal)
    lifetime_us = int(config.queue.lifetime_seconds * 1_000_000)
    recipients = RecipientProbe(store.directory, config.hostname, config.roles.model_dump())
    releaser = Releaser(
        spool=store.spool,
        guard=store.guard,
        recipients=recipients,
        signing=signing,
        clock=clock,
        lifetime_us=lifetime_us,
    )
    return GuardKit(store.guard, releaser, CredentialFreezer(store.credentials, clock))
