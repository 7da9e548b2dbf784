"""The stores that the conformance suite runs on. A new store is one more line in BACKENDS."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.core.terms.address import Address
from sekisho.ports.clock import Clock
from sekisho.ports.directory import Account, Domain
from sekisho.testing.clock import ManualClock, SeededDice

MAILBOXES = 60  # per account


def open_memory(directory: Path, clock: Clock, seed: int = 1) -> MemoryStore:
    return MemoryStore(clock, SeededDice(seed), mailboxes_per_account=MAILBOXES)


def open_sqlite(directory: Path, clock: Clock, seed: int = 1) -> SqliteStore:
    settings = StoreSettings(free_disk_octets=1, mailboxes_per_account=MAILBOXES)
    return SqliteStore(directory / "data", clock, SeededDice(seed), LocalChanges(), settings)


BACKENDS: dict[str, Callable[..., Any]] = {"memory": open_memory, "sqlite": open_sqlite}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Any]:
    store = BACKENDS[request.param](tmp_path, clock)
    yield store
    if hasattr(store, "close"):
        await store.close()


@pytest.fixture
async def alice(store: Any) -> Account:
    await store.directory.add_domain(Domain("example.test", 0))
    account: Account = await store.directory.add_account(Address("alice", "example.test"), "argon2", "scram")
    return account


@pytest.fixture
async def bob(store: Any, alice: Account) -> Account:
    account: Account = await store.directory.add_account(Address("bob", "example.test"), "argon2", "scram")
    return account
