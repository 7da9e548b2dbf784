"""The reserve of the disk: who gets it, and when it comes back."""

import os
from pathlib import Path
from types import SimpleNamespace

import apsw
import pytest
from tests.stores.conftest import open_sqlite
from tests.stores.making import acceptance, appended, delivery

from sekisho.adapters.stores.sqlite.connection import NoRoom, connect
from sekisho.adapters.stores.sqlite.reserve import OCTETS, Reserve
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Domain
from sekisho.ports.mailstore import DELETED
from sekisho.testing.clock import ManualClock

MIB = 1_048_576
LONG = "a long name " * 80


def disk(monkeypatch: pytest.MonkeyPatch, free: int, total: int = 1000 * MIB) -> None:
    found = SimpleNamespace(
        f_blocks=total // 4096, f_frsize=4096, f_bavail=free // 4096, f_files=0, f_favail=0
    )
    monkeypatch.setattr(os, "statvfs", lambda _path: found)


def size(folder: Path) -> int | None:
    path = folder / "reserve"
    return path.stat().st_size if path.exists() else None


def test_it_is_made_where_there_is_ample_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = Reserve(tmp_path, 100 * MIB)
    disk(monkeypatch, 131 * MIB)
    reserve.renew()
    assert size(tmp_path) is None
    assert not reserve.is_given_up
    assert not reserve.give_up()
    disk(monkeypatch, 132 * MIB)
    reserve.renew()
    assert size(tmp_path) == OCTETS
    assert (tmp_path / "reserve").stat().st_mode & 0o777 == 0o600
    assert reserve.give_up()
    assert (size(tmp_path), reserve.is_given_up) == (0, True)
    assert reserve.give_up()  # a sibling came first: is there room?
    disk(monkeypatch, 100_000)
    assert not reserve.give_up()
    disk(monkeypatch, 132 * MIB, total=32 * MIB)
    reserve.renew()
    assert (size(tmp_path), reserve.is_given_up) == (4 * MIB, False)


def test_it_is_never_seen_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty one would say that mail must wait."""
    reserve = Reserve(tmp_path)
    disk(monkeypatch, 500 * MIB)
    seen: list[bool] = []

    def allocate(descriptor: int, offset: int, octets: int) -> None:
        seen.append(reserve.is_given_up)
        if len(seen) == 1:
            raise OSError(28, "No space left on device")
        os.ftruncate(descriptor, octets)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    with pytest.raises(OSError, match="No space"):
        reserve.renew()
    assert list(tmp_path.iterdir()) == []
    reserve.renew()
    assert seen == [False, False]
    assert [path.name for path in tmp_path.iterdir()] == ["reserve"]


@pytest.fixture
async def opened(tmp_path: Path) -> tuple[SqliteStore, int]:
    store = open_sqlite(tmp_path, ManualClock())
    await store.directory.add_domain(Domain("example.test", 0))
    account = await store.directory.add_account(Address("alice", "example.test"), "", "")
    await store.mail.append(account.id, "INBOX", [appended(store, b"x" * 15_000) for _ in range(3)])
    return store, account.id


def fill(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """No page more for the database until the reserve is given up."""
    connection = store.writer._connection
    connection.pragma("max_page_count", int(str(connection.pragma("page_count"))))
    assert store.writer.reserve is not None
    give_up = store.writer.reserve.give_up

    def make_room() -> bool:
        connection.pragma("max_page_count", 1_000_000)
        return give_up()

    monkeypatch.setattr(store.writer.reserve, "give_up", make_room)


async def test_what_brings_no_content_gets_it(
    opened: tuple[SqliteStore, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, account_id = opened
    await store.maintenance.renew_reserve()
    assert size(tmp_path / "data") == OCTETS
    assert await store.spool.has_room()
    fill(store, monkeypatch)
    with pytest.raises(NoRoom):
        await store.mail.append(account_id, "INBOX", [appended(store, b"x" * 15_000)])
    assert size(tmp_path / "data") == OCTETS
    for number in range(20):
        await store.mail.create_mailbox(account_id, f"{number} {LONG}")
    assert size(tmp_path / "data") == 0
    assert not await store.spool.has_room()
    info = await store.mail.mailbox(account_id, "INBOX")
    await store.mail.store_flags(
        info.id, (await store.mail.view(account_id, "INBOX", claim_recent=True)).uids, "add", DELETED, ()
    )
    assert len((await store.mail.expunge(info.id))[0]) == 3
    await store.maintenance.renew_reserve()
    assert size(tmp_path / "data") == OCTETS
    assert await store.spool.has_room()
    await store.close()


async def test_without_a_reserve_it_fails_once_and_for_all(
    opened: tuple[SqliteStore, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, account_id = opened
    await store.maintenance.renew_reserve()
    connection = store.writer._connection
    connection.pragma("max_page_count", int(str(connection.pragma("page_count"))))

    async def fill_up() -> None:
        for number in range(20):
            await store.mail.create_mailbox(account_id, f"{number} {LONG}")

    with pytest.raises(NoRoom):
        await fill_up()
    assert size(tmp_path / "data") == 0
    # A mailbox can be looked at all the same.
    view = await store.mail.view(account_id, "INBOX", claim_recent=True)
    assert view.info.messages == 3
    connection.pragma("max_page_count", 1_000_000)
    await store.spool.accept(
        acceptance(store, b"small", deliveries=(delivery(await store.directory.account(account_id)),))
    )
    await store.close()


async def test_a_checkpoint_gets_it_too(
    opened: tuple[SqliteStore, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = opened
    await store.maintenance.renew_reserve()
    checkpoint, calls = store.maintenance._checkpointers[0].run, []

    def full_at_first(*, truncate: bool) -> None:
        calls.append(size(tmp_path / "data"))
        if len(calls) == 1:
            raise NoRoom("full")
        checkpoint(truncate=truncate)

    monkeypatch.setattr(store.maintenance._checkpointers[0], "run", full_at_first)
    monkeypatch.setattr("sekisho.adapters.stores.sqlite.maintenance.CHECKPOINT_OCTETS", 0)
    await store.maintenance.checkpoint_what_grew()
    assert calls == [OCTETS, 0]
    await store.close()


def test_a_log_that_finds_no_room_for_its_index_is_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite calls it an I/O error of the -shm file."""

    def refuse(*_: object, **__: object) -> None:
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr(apsw, "Connection", refuse)
    disk(monkeypatch, 10_000)
    with pytest.raises(NoRoom):
        connect(tmp_path / "mail.db")
