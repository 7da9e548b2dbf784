"""Opening the store, for workers and for commands."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sekisho.adapters.clock import SystemDice
from sekisho.adapters.process.privileges import foreign_file
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.connection import UnsafeSqlite
from sekisho.adapters.stores.sqlite.migrate import SchemaTooNew
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.adapters.stores.sqlite.wording import DatabaseError, reason_of
from sekisho.config.door import reputation_rules
from sekisho.config.schema import Config
from sekisho.core.policy.takeover.judge import judge_by
from sekisho.ports.changes import Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.metrics import Metrics
from sekisho.wiring.clocks import server_clock

HOST = os.uname().nodename


class StoreProblem(Exception):
    """The store cannot be opened; the message is a sentence for the operator."""


def store_settings(config: Config) -> StoreSettings:
    limits = config.limits
    return StoreSettings(
        free_disk_octets=limits.free_disk_octets,
        mailboxes_per_account=limits.mailboxes_per_account,
        judge=judge_by(config.guard.rules()),
        reputation=reputation_rules(config),
    )


def open_store(
    config: Config, clock: Clock, dice: Dice, changes: Changes, metrics: Metrics | None = None
) -> SqliteStore:
    """After the fork, inside the loop that uses it."""
    return SqliteStore(
        data_dir=config.data_dir,
        clock=clock,
        dice=dice,
        changes=changes,
        settings=store_settings(config),
        metrics=metrics,
    )


@asynccontextmanager
async def opened_store(config: Config, changes: Changes | None = None) -> AsyncIterator[SqliteStore]:
    """For a short piece of work outside a worker; raises StoreProblem."""
    try:
        store = open_store(config, server_clock(), SystemDice(), changes or LocalChanges())
    except (UnsafeSqlite, SchemaTooNew, StoreUnavailable, OSError) as problem:
        raise StoreProblem(f"data_dir: {foreign_file(config.data_dir) or problem}") from problem
    except DatabaseError as error:
        raise StoreProblem(
            f"data_dir: {config.data_dir}: {foreign_file(config.data_dir) or reason_of(error)}"
        ) from error
    try:
        yield store
    finally:
        await store.close()
