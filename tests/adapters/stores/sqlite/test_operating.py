"""Versions, migrations, maintenance, and what a failing disk does."""

import asyncio
import fcntl
import os
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from tests.stores.conftest import open_sqlite
from tests.stores.making import acceptance, appended, content, delivery, relay

from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite import maintenance, migrate, writer
from sekisho.adapters.stores.sqlite.backup_mark import backup_mark
from sekisho.adapters.stores.sqlite.connection import StoreDamaged, UnsafeSqlite, check_version, connect
from sekisho.adapters.stores.sqlite.files import Files
from sekisho.adapters.stores.sqlite.migrate import SchemaTooNew
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.adapters.stores.sqlite.verify import verify
from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Account, Domain
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import NoSuchMailbox, OverQuota
from sekisho.ports.spool import Outcome
from sekisho.testing.clock import ManualClock, SeededDice

BIG = b"B" * 50_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    store = open_sqlite(tmp_path, clock)
    await store.directory.add_domain(Domain("example.test", 0))
    await store.directory.add_account(Address("alice", "example.test"), "", "")
    yield store
    await store.close()


@pytest.fixture
async def alice(store: SqliteStore) -> Account:
    account = await store.directory.account_by_address(Address("alice", "example.test"))
    assert account
    return account


@pytest.mark.parametrize("version", ["3.40.1", "3.44.5", "3.45.3", "3.50.6", "3.51.0", "3.51.2"])
def test_a_sqlite_that_loses_commits_is_refused(version: str) -> None:
    with pytest.raises(UnsafeSqlite, match=r"3\.51\.3 or newer"):
        check_version(version)


@pytest.mark.parametrize("version", ["3.44.6", "3.50.7", "3.51.3", "3.52.0", "3.54.1", "4.0.0"])
def test_a_mended_sqlite_is_taken(version: str) -> None:
    check_version(version)


def stamp(path: Path) -> int:
    connection = apsw.Connection(str(path))
    try:
        return int(str(connection.pragma("user_version")))
    finally:
        connection.close()


def test_migrations_run_in_order_once_and_with_a_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    first = {1: "CREATE TABLE a (x); INSERT INTO a VALUES (1);"}
    second = first | {2: "UPDATE a SET x = x + 1; CREATE TABLE b (y);"}
    for known, number in ((first, 1), (first, 1), (second, 2), (second, 2)):
        migrate.migrate(path, "mail", known=known)
        assert stamp(path) == number
    connection = connect(path)
    assert connection.execute("SELECT x FROM a").fetchall() == [(2,)]
    connection.close()
    assert stamp(tmp_path / "mail.db.schema-1") == 1


def test_a_failing_migration_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    migrate.migrate(path, "mail", known={1: "CREATE TABLE a (x)"})
    with pytest.raises(apsw.SQLError):
        migrate.migrate(path, "mail", known={1: "", 2: "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"})
    assert stamp(path) == 1
    connection = connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("a",)]
    connection.close()
    migrate.migrate(path, "mail", known={1: "", 2: "CREATE TABLE b (x)"})
    assert stamp(path) == 2


async def test_a_newer_schema_is_refused(tmp_path: Path, store: SqliteStore, clock: ManualClock) -> None:
    await store.close()
    connection = apsw.Connection(str(tmp_path / "data/mail.db"))
    connection.pragma("user_version", 999)
    connection.close()
    with pytest.raises(SchemaTooNew, match="written by a newer version"):
        open_sqlite(tmp_path, clock)
    with pytest.raises(SchemaTooNew):
        verify(tmp_path / "data")


def test_every_shipped_migration_has_a_number() -> None:
    for database in ("mail", "hints", "ledger"):
        numbers = list(migrate.steps(database))
        assert numbers == list(range(1, len(numbers) + 1))


async def test_has_room_looks_at_the_disk(tmp_path: Path, clock: ManualClock, store: SqliteStore) -> None:
    assert await store.spool.has_room()
    full = SqliteStore(
        tmp_path / "data", clock, SeededDice(5), LocalChanges(), StoreSettings(free_disk_octets=1 << 60)
    )
    assert not await full.spool.has_room()
    await full.close()


async def test_checkpoints_move_the_wal(tmp_path: Path, store: SqliteStore, alice: Account) -> None:
    await store.mail.append(alice.id, "INBOX", [appended(store, b"x" * 16_000) for _ in range(20)])
    wal = tmp_path / "data/mail.db-wal"
    size = (tmp_path / "data/mail.db").stat().st_size
    assert wal.stat().st_size > 300_000
    await store.maintenance.checkpoint()
    assert (tmp_path / "data/mail.db").stat().st_size > size
    await store.maintenance.checkpoint(truncate=True)
    assert wal.stat().st_size == 0
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 20


async def test_the_sweep_forgets_and_removes_orphans(
    tmp_path: Path, store: SqliteStore, alice: Account, clock: ManualClock
) -> None:
    for number in range(3):
        item = delivery(alice, delivery_id=f"d{number}")
        await store.spool.accept(
            acceptance(store, BIG, deliveries=(item,), delivery_memory_seconds=10 + number)
        )
    folder = tmp_path / "data/content"
    named = set(folder.glob("??/??/*"))
    orphan, young, temporary = (
        named.copy().pop().with_name("0" * 32),
        named.copy().pop().with_name("1" * 32),
        folder / "tmp/left",
    )
    for path in (orphan, young, temporary):
        path.write_bytes(b"x")
    for path in (*named, orphan, temporary):
        os.utime(path, (1, 1))
    clock.advance(11.5)
    for _, work in store.maintenance.rounds.values():
        await work()
    assert set(folder.glob("??/??/*")) == named | {young}
    assert not temporary.exists()
    kept = store.reader.read(lambda db: db.execute("SELECT delivery_id FROM delivery ORDER BY 1").fetchall())
    assert kept == [("d2",)]


async def test_one_failing_step_does_not_hurt_its_group(store: SqliteStore, alice: Account) -> None:
    before = store.writer.commits
    good = [store.mail.append(alice.id, "INBOX", [appended(store)]) for _ in range(5)]
    bad = [store.mail.append(alice.id, "none", [appended(store)]) for _ in range(5)]
    mixed = [step for pair in zip(good, bad, strict=True) for step in pair]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    assert [type(result) for result in results] == [tuple, NoSuchMailbox] * 5
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 5
    assert store.writer.commits - before <= 2


async def test_when_sqlite_gives_up_nothing_of_the_group_is_written(
    store: SqliteStore, alice: Account
) -> None:
    """After some faults SQLite rolls the whole transaction back by itself; the steps behind must not slip
    through."""
    append = [store.mail.append(alice.id, "INBOX", [appended(store)]) for _ in range(2)]
    give_up = store.writer.write(lambda tx: tx.execute("ROLLBACK; SELECT nonsense"))
    results = await asyncio.gather(append[0], give_up, append[1], return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable, apsw.SQLError, StoreUnavailable]
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 0
    await store.mail.append(alice.id, "INBOX", [appended(store)])
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 1


async def test_a_cancelled_waiter_does_not_lose_the_content(store: SqliteStore, alice: Account) -> None:
    item = appended(store, BIG)
    task = asyncio.create_task(store.mail.append(alice.id, "INBOX", [item]))
    await asyncio.sleep(0)
    task.cancel()
    item.content.discard()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.mail.append(alice.id, "INBOX", [appended(store)])
    info = await store.mail.mailbox(alice.id, "INBOX")
    for row in await store.mail.rows(info.id, UidSet(((1, 9),))):
        octets = await store.mail.open(info.id, row.uid)
        assert octets is not None
        assert len(await octets.read(0, 100_000)) == row.size_octets


async def test_a_full_database_refuses_and_recovers(store: SqliteStore, alice: Account) -> None:
    connection = store.writer._connection
    pages = int(str(connection.pragma("page_count")))
    connection.pragma("max_page_count", pages + 4)
    items = []

    async def fill() -> None:
        for _ in range(20):
            items.append(appended(store, b"x" * 15_000))
            await store.mail.append(alice.id, "INBOX", [items[-1]])

    with pytest.raises(StoreUnavailable):
        await fill()
    connection.pragma("max_page_count", 1_000_000)
    info = await store.mail.mailbox(alice.id, "INBOX")
    assert info.messages == len(items) - 1
    await store.mail.append(alice.id, "INBOX", [items[-1]])
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == len(items)


async def test_a_locked_database_is_unavailable(tmp_path: Path, store: SqliteStore, alice: Account) -> None:
    store.writer._connection.set_busy_timeout(10)
    other = apsw.Connection(str(tmp_path / "data/mail.db"))
    other.execute("BEGIN IMMEDIATE")
    patched = pytest.MonkeyPatch()
    patched.setattr(writer, "BUSY_TIMEOUT_MS", 10)
    try:
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.mail.append(alice.id, "INBOX", [appended(store)])
    finally:
        patched.undo()
        other.close()
    await store.mail.append(alice.id, "INBOX", [appended(store)])


class FailingFiles(Files):
    """`fails` names the call that raises ENOSPC."""

    def __init__(self) -> None:
        self.fails = ""

    def _check(self, call: str) -> None:
        if call == self.fails:
            raise OSError(28, "No space left on device")

    def create(self, path: Path) -> int:
        self._check("create")
        return super().create(path)

    def write(self, descriptor: int, octets: bytes | bytearray) -> None:
        self._check("write")
        super().write(descriptor, octets)

    def sync(self, descriptor: int) -> None:
        self._check("sync")
        super().sync(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._check("rename")
        super().rename(old, new)

    def sync_folder(self, path: Path) -> None:
        self._check("sync_folder")
        super().sync_folder(path)


@pytest.mark.parametrize("call", ["create", "write", "sync", "rename", "sync_folder"])
async def test_a_full_disk_refuses_and_leaves_nothing(
    tmp_path: Path, clock: ManualClock, store: SqliteStore, alice: Account, call: str
) -> None:
    files = FailingFiles()
    other = SqliteStore(
        tmp_path / "data",
        clock,
        SeededDice(7),
        LocalChanges(),
        StoreSettings(free_disk_octets=1),
        files=files,
    )
    files.fails = call
    writer = other.spool.open_content()
    item = acceptance(other, b"", deliveries=(delivery(alice),), relays=(relay("x", "a.test", 0),))

    async def receive() -> None:
        writer.write(BIG)
        await other.spool.accept(msgspec.structs.replace(item, content=writer))

    with pytest.raises(StoreUnavailable):
        await receive()
    writer.discard()
    assert (await other.mail.mailbox(alice.id, "INBOX")).messages == 0
    assert await other.spool.queue() == []
    assert [path for path in (tmp_path / "data/content").rglob("*") if path.is_file()] == []
    files.fails = ""
    await other.mail.append(alice.id, "INBOX", [appended(other, BIG)])
    await other.close()
    assert verify(tmp_path / "data") == []


async def test_temporary_files_are_private_and_go_with_discard(tmp_path: Path, store: SqliteStore) -> None:
    incoming = content(store, BIG)
    (path,) = (tmp_path / "data/content/tmp").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data/content").stat().st_mode & 0o777 == 0o700
    incoming.discard()
    assert not path.exists()
    content(store, BIG)
    assert list((tmp_path / "data/content/tmp").iterdir()) == []


async def test_a_long_content_holds_little_memory(store: SqliteStore) -> None:
    writer = store.spool.open_content()
    part = b"p" * 65_536
    tracemalloc.start()
    try:
        for _ in range(320):
            writer.write(part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert writer.size_octets == 320 * 65_536
    assert peak < 200_000
    writer.discard()


async def test_many_messages_are_one_step_in_the_thread(store: SqliteStore, alice: Account) -> None:
    await store.mail.append(alice.id, "INBOX", [appended(store, b"x") for _ in range(700)])
    info = await store.mail.mailbox(alice.id, "INBOX")
    every = UidSet(((1, 700),))
    result = await store.mail.store_flags(info.id, every, "add", 4, ("$k",))
    assert len(result.changed) == 700
    copied = await store.mail.copy(info.id, every, alice.id, "Trash")
    assert copied.target_uids == tuple(range(1, 701))
    await store.mail.create_mailbox(alice.id, "x")
    await store.mail.copy(info.id, every, alice.id, "x", move=True)
    await store.mail.rename_mailbox(alice.id, "x", "y")
    await store.mail.delete_mailbox(alice.id, "y")
    trash = await store.mail.mailbox(alice.id, "Trash")
    gone, _ = await store.mail.expunge(trash.id)
    assert len(gone) == 700
    assert verify(store.data_dir) == []
    ((contents,),) = store.reader.read(lambda db: db.execute("SELECT count(*) FROM content").fetchall())
    assert contents == 0


def files_of(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "data/content").rglob("*") if path.is_file()]


@pytest.mark.parametrize("marked", [False, True])
async def test_a_content_without_a_row_goes_at_once(
    tmp_path: Path, store: SqliteStore, alice: Account, marked: bool
) -> None:
    """Nobody's mailbox took it: no acceptance, appending, delivery or notice may leave a file behind."""
    await store.spool.accept(acceptance(store, BIG, deliveries=(delivery(alice, delivery_id="known"),)))
    await store.directory.set_quota(alice.id, 60_000)
    kept = files_of(tmp_path)
    assert len(kept) == 1
    with backup_mark(tmp_path / "data") if marked else nullcontext():
        full = await store.spool.accept(acceptance(store, BIG * 3, deliveries=(delivery(alice),)))
        assert full.over_quota_account_ids == (alice.id,)
        assert files_of(tmp_path) == kept
        both = acceptance(
            store,
            BIG * 3,
            deliveries=(delivery(alice),),
            relays=(relay("x", "a.test", 0),),
            one_of_each=(frozenset({alice.id}),),
        )
        assert (await store.spool.accept(both)).nothing_taken
        assert files_of(tmp_path) == kept
        repeated = await store.spool.accept(
            acceptance(store, BIG, deliveries=(delivery(alice, delivery_id="known"),))
        )
        assert repeated.delivered_account_ids == (alice.id,)
        assert files_of(tmp_path) == kept
        item = appended(store, BIG)
        with pytest.raises(OverQuota):
            await store.mail.append(alice.id, "INBOX", [item])
        assert files_of(tmp_path) == kept
        item.content.discard()
    await store.spool.accept(
        acceptance(store, BIG, deliveries=(delivery(alice),), relays=(relay("x", "a.test", 0),))
    )
    assert len(files_of(tmp_path)) == 2


async def test_a_notice_that_finds_no_room_leaves_nothing(
    tmp_path: Path, store: SqliteStore, alice: Account
) -> None:
    await store.spool.accept(acceptance(store, b"small", relays=(relay("x", "a.test", 0),)))
    await store.directory.set_quota(alice.id, 10)
    (job,) = await store.spool.claim(Owner("h", 0, 1), 10)
    notice = acceptance(store, BIG, deliveries=(delivery(alice),))
    outcome = Outcome(recipient_id=job.recipients[0].id, result="failed", reply=None)
    assert await store.spool.settle(job, (outcome,), notices=(notice,)) == (notice,)
    assert files_of(tmp_path) == []


async def test_a_content_that_may_be_in_the_log_is_left_to_the_sweep(
    tmp_path: Path, store: SqliteStore, alice: Account
) -> None:
    """After an I/O error of COMMIT its row may be found there when the database is opened next."""
    item = appended(store, BIG)
    store.writer._connection.set_commit_hook(raising(apsw.IOError("the disk")))
    with pytest.raises(StoreUnavailable):
        await store.mail.append(alice.id, "INBOX", [item])
    store.writer._connection.set_commit_hook(None)
    item.content.discard()
    assert len(files_of(tmp_path)) == 1


def raising(error: BaseException) -> Any:
    def raise_it(*_: object) -> Any:
        raise error

    return raise_it


async def test_expunging_does_not_fail_with_the_contents_of_others(
    tmp_path: Path, clock: ManualClock, store: SqliteStore
) -> None:
    files = FailingFiles()
    other = SqliteStore(
        tmp_path / "data",
        clock,
        SeededDice(7),
        LocalChanges(),
        StoreSettings(free_disk_octets=1),
        files=files,
    )
    account = await other.directory.account_by_address(Address("alice", "example.test"))
    assert account is not None
    await other.mail.append(account.id, "INBOX", [appended(other, BIG)])
    info = await other.mail.mailbox(account.id, "INBOX")
    files.fails = "sync"
    coming, going = await asyncio.gather(
        other.mail.append(account.id, "INBOX", [appended(other, BIG)]),
        other.mail.expunge(info.id, only_deleted=False),
        return_exceptions=True,
    )
    assert isinstance(coming, StoreUnavailable)
    assert going == (UidSet(((1, 1),)), 3)
    await other.close()


@pytest.mark.parametrize("where", ["finish", "begin", "thread"])
async def test_a_broken_writer_says_so_and_lets_nobody_wait(
    store: SqliteStore, alice: Account, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[Path, BaseException]] = []
    store.alarms.broken = lambda database, error: told.append((database, error))
    bug = RuntimeError("an own bug")
    if where == "finish":
        monkeypatch.setattr(store.changes, "publish", raising(bug))
    elif where == "begin":
        monkeypatch.setattr(store.writer, "_run_steps", raising(bug))
    else:
        monkeypatch.setattr(store.folder, "settle", raising(bug))
    first = [store.mail.append(alice.id, "INBOX", [appended(store, BIG)]) for _ in range(3)]
    results = await asyncio.wait_for(asyncio.gather(*first, return_exceptions=True), 10)
    assert where == "finish" or [type(result) for result in results] == [StoreUnavailable] * 3
    with pytest.raises(StoreUnavailable, match="broken"):
        await asyncio.wait_for(store.mail.append(alice.id, "INBOX", [appended(store)]), 10)
    assert told == [(store.writer.database, bug)]
    monkeypatch.undo()
    await asyncio.wait_for(store.close(), 10)


async def test_a_damaged_database_is_told_as_what_it_is(
    tmp_path: Path, clock: ManualClock, store: SqliteStore, alice: Account
) -> None:
    await store.mail.append(alice.id, "INBOX", [appended(store) for _ in range(50)])
    await store.maintenance.checkpoint(truncate=True)
    await store.close()
    database = tmp_path / "data/mail.db"
    connection = connect(database)
    sql = "SELECT rootpage FROM sqlite_schema WHERE tbl_name IN ('mailbox', 'account_usage')"
    pages = [page for (page,) in connection.execute(sql).fetchall()]
    connection.close()
    with database.open("r+b") as file:
        for page in pages:
            file.seek((int(str(page)) - 1) * 4096)
            file.write(b"\xa5" * 4096)
    damaged = open_sqlite(tmp_path, clock)
    told: list[tuple[Path, BaseException]] = []
    damaged.alarms.unavailable = lambda database, error: told.append((database, error))
    for _ in range(2):
        with pytest.raises(StoreDamaged, match=r"mail\.db is damaged: "):
            await damaged.mail.append(alice.id, "INBOX", [appended(damaged)])
    with pytest.raises(StoreDamaged, match=r"mail\.db is damaged: "):
        await damaged.mail.mailboxes(alice.id)
    assert {(path.name, type(error)) for path, error in told} == {("mail.db", StoreDamaged)}
    await damaged.close()
    assert any("the database is damaged" in problem for problem in verify(tmp_path / "data"))


@pytest.mark.parametrize("commits_behind_it", [0, 300])
async def test_a_checkpoint_waits_for_no_reader_under_the_lock(
    tmp_path: Path,
    store: SqliteStore,
    alice: Account,
    commits_behind_it: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a backup reads, writers do not wait: neither is the lock held long, nor does SQLite wait within
    it."""
    reader = connect(tmp_path / "data/mail.db", read_only=True)
    await store.mail.append(alice.id, "INBOX", [appended(store, b"x" * 16_000) for _ in range(5)])
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM message").fetchall()
    for _ in range(commits_behind_it):
        await store.mail.append(alice.id, "INBOX", [appended(store)])
    held: list[float] = []
    flock = fcntl.flock

    def watched(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        held.append(time.perf_counter() * (1 if operation == fcntl.LOCK_UN else -1))

    monkeypatch.setattr(maintenance, "TRY_SECONDS", 0)
    monkeypatch.setattr(fcntl, "flock", watched)
    maintenance.Checkpointer(store.writer.database, store.writer.lock, None).run(truncate=False)
    monkeypatch.undo()
    assert sum(held) < 0.5
    assert bool(held) is (
        commits_behind_it == 0
    )  # with much behind a standing reader the lock is not even asked for
    reader.execute("COMMIT")
    await store.maintenance.checkpoint(truncate=True)
    assert (tmp_path / "data/mail.db-wal").stat().st_size == 0
    reader.close()
