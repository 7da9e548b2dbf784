"""Guesses are counted and networks banned although nothing can be written."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from tests.stores.conftest import open_sqlite

from sekisho.adapters.stores import standby
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.ports.bans import Ban
from sekisho.ports.content import StoreUnavailable
from sekisho.testing.clock import ManualClock

HOST = ip_network("192.0.2.7/32")


def ban(network: str, clock: ManualClock, **fields: str) -> Ban:
    now_us = clock.now_us()
    return Ban(
        network=network,
        account=fields.pop("account", ""),
        reason="guesses",
        since_us=now_us,
        until_us=now_us + 60_000_000,
        **fields,
    )  # type: ignore[arg-type]  # texts


def stop_writing(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("full")

    monkeypatch.setattr(store.hints_writer, "write", fail)


async def test_counts_go_on_above_what_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    store = open_sqlite(tmp_path, clock)
    counters = store.counters
    assert await counters.add("login:a", 3, 600) == 3
    stop_writing(store, monkeypatch)
    assert [await counters.add("login:a", 1, 600) for _ in range(3)] == [4, 5, 6]
    assert await counters.total("login:a", 600) == 6
    assert await counters.total("login:a", 60) == 0
    await counters.clear("login:a")
    assert await counters.total("login:a", 600) == 3  # what is stored cannot be forgotten now
    monkeypatch.undo()
    assert await counters.add("login:a", 1, 600) == 4
    clock.advance(1200)
    assert await counters.total("login:a", 600) == 0
    await store.close()


async def test_what_is_kept_in_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    store = open_sqlite(tmp_path, clock)
    stop_writing(store, monkeypatch)
    monkeypatch.setattr(standby, "MOST_KEYS", 5)
    monkeypatch.setattr(standby, "MOST_BANS", 5)
    for number in range(10):
        await store.counters.add(f"key{number}", 1, 600)
        await store.bans.put(ban(f"198.51.100.{number}/32", clock))
    assert [await store.counters.total(f"key{number}", 600) for number in range(10)] == [0] * 5 + [1] * 5
    assert len(await store.bans.listing()) == 5
    await store.close()


async def test_bans_hold_although_they_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    store = open_sqlite(tmp_path, clock)
    stop_writing(store, monkeypatch)
    wide, other, about_alice = (
        ban("192.0.2.0/24", clock),
        ban("2001:db8::/64", clock),
        ban("192.0.0.0/16", clock, account="alice"),
    )
    for one in (wide, other, about_alice):
        await store.bans.put(one)
    assert await store.bans.banning(HOST, "bob") == [wide]
    assert await store.bans.banning(HOST, "alice") == [wide, about_alice]
    assert set(await store.bans.listing()) == {wide, other, about_alice}
    with pytest.raises(StoreUnavailable):
        await store.bans.put(ban("203.0.113.0/24", clock, by="uid:0"))
    monkeypatch.undo()
    await store.bans.lift([wide])
    assert await store.bans.banning(HOST, "alice") == [about_alice]
    clock.advance(61)
    assert await store.bans.listing() == []
    await store.close()
