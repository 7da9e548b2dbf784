"""Profiles that were written here are not decoded again, and never believed when the database has others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.stores.conftest import open_sqlite
from tests.stores.sending import Sender

from sekisho.adapters.stores.sqlite import guard_steps
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.policy.takeover.state import State
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Account, Domain
from sekisho.testing.clock import ManualClock


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was decoded."""
    found: list[bytes] = []
    read_state = guard_steps.read_state

    def watched(octets: bytes) -> State:
        if octets:
            found.append(octets)
        return read_state(octets)

    monkeypatch.setattr(guard_steps, "read_state", watched)
    return found


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000_000_000)


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = open_sqlite(tmp_path, clock)
    yield store
    await store.close()


@pytest.fixture
async def alice(store: SqliteStore) -> Account:
    await store.directory.add_domain(Domain("example.test", 0))
    return await store.directory.add_account(Address("alice", "example.test"), "", "")


async def sent(store: SqliteStore, account: Account) -> int:
    return (await store.guard.watched(account.id)).state.messages


async def test_what_was_written_here_is_not_decoded(
    store: SqliteStore, alice: Account, clock: ManualClock, decoded: list[bytes]
) -> None:
    sender = Sender(store, clock, alice)
    for _ in range(5):
        await sender.send("bob@there.test")
    assert decoded == []
    assert await sent(store, alice) == 5


async def test_what_another_worker_wrote_counts(
    store: SqliteStore, alice: Account, clock: ManualClock, tmp_path: Path, decoded: list[bytes]
) -> None:
    other = open_sqlite(tmp_path, clock, 2)
    try:
        here, there = Sender(store, clock, alice), Sender(other, clock, alice, "app:2")
        for _ in range(3):
            await here.send("bob@there.test")
            await there.send("bob@there.test")
        assert len(decoded) == 5
        assert await sent(store, alice) == 6
    finally:
        await other.close()


async def test_what_was_rolled_back_is_forgotten(
    store: SqliteStore, alice: Account, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(store, clock, alice)
    await sender.send("bob@there.test")
    guard, submit = store.guard._steps, store.guard._steps.submit

    def fails_afterwards(*arguments: object) -> object:
        submit(*arguments)  # type: ignore[arg-type]  # as it is called
        raise ValueError

    monkeypatch.setattr(guard, "submit", fails_afterwards)
    with pytest.raises(ValueError):
        await sender.send("bob@there.test")
    monkeypatch.setattr(guard, "submit", submit)
    await sender.send("bob@there.test")
    assert await sent(store, alice) == 2


async def test_only_so_many_are_kept(
    store: SqliteStore,
    alice: Account,
    clock: ManualClock,
    decoded: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard_steps, "MOST_STATES", 1)
    bob = await store.directory.add_account(Address("bob", "example.test"), "", "")
    senders = [Sender(store, clock, alice), Sender(store, clock, bob)]
    for _ in range(2):
        for sender in senders:
            await sender.send("carol@there.test")
    assert len(decoded) == 2
