"""Opening the store, for workers and for commands."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sekisho.adapters.breached import BreachedFile
from sekisho.adapters.clock import SystemDice
from sekisho.adapters.process.privileges import foreign_file
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.connection import UnsafeSqlite
from sekisho.adapters.stores.sqlite.migrate import SchemaTooNew
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.adapters.stores.sqlite.wording import DatabaseError, reason_of
from sekisho.admin.context import Context
from sekisho.config.schema import Config
from sekisho.ports.changes import Changes
from sekisho.ports.classifier import ClassifierDesk
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Journal
from sekisho.ports.ledger import Ledger
from sekisho.ports.metrics import Metrics
from sekisho.services.authentication.bandesk import BanDesk
from sekisho.services.doorkeeping import DoorKit
from sekisho.wiring.clocks import server_clock
from sekisho.wiring.guard import guard_kit

HOST = os.uname().nodename


class StoreProblem(Exception):
    """The store cannot be opened; the message is a sentence for the operator."""


def open_store(config: Config, clock: Clock, dice: Dice, changes: Changes, metrics: Metrics | None = None) -> SqliteStore:
    """After the fork, inside the loop that uses it."""
    settings = StoreSettings(config.limits.free_disk_octets, config.limits.mailboxes_per_account)
    return SqliteStore(config.data_dir, clock, dice, changes, settings, metrics)


@asynccontextmanager
async def opened_store(config: Config, changes: Changes | None = None) -> AsyncIterator[SqliteStore]:
    """For a short piece of work outside a worker; raises StoreProblem."""
    try:
        store = open_store(config, server_clock(), SystemDice(), changes or LocalChanges())
    except (UnsafeSqlite, SchemaTooNew, StoreUnavailable, OSError) as problem:
        raise StoreProblem(f"data_dir: {foreign_file(config.data_dir) or problem}") from problem
    except DatabaseError as error:
        raise StoreProblem(f"data_dir: {config.data_dir}: {foreign_file(config.data_dir) or reason_of(error)}") from error
    try:
        yield store
    finally:
        await store.close()


def admin_context(
    store: SqliteStore, config: Config, journal: Journal, actor: str, ledger: Ledger | None, classifier: ClassifierDesk, door: DoorKit
) -> Context:
    leaked = config.login.breached_passwords
    return Context(
        store.directory, store.spool, store.keys, journal, server_clock(), config.roles, actor, ledger, guard_kit(store, config, journal),
        classifier=classifier,
        breached=BreachedFile(leaked) if leaked else None,
        door_kit=door,
        ban_desk=BanDesk(store.bans, store.counters, config.login),
        credentials=store.credentials,
        places=store.places,
    )  # fmt: skip
