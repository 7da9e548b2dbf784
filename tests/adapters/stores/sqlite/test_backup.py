"""Backup of a running store, checking, restoring."""

import asyncio
import fcntl
import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.stores.conftest import open_sqlite
from tests.stores.making import acceptance, appended, delivery, relay

from sekisho.adapters.stores.sqlite import verify as verifying
from sekisho.adapters.stores.sqlite.backup import BackupRefused, backup, restore
from sekisho.adapters.stores.sqlite.backup_mark import backup_mark, is_backup_running
from sekisho.adapters.stores.sqlite.maintenance import sweep_orphans
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.adapters.stores.sqlite.verify import verify
from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Account, Domain
from sekisho.testing.clock import ManualClock

BIG = b"B" * 50_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def filled(folder: Path, clock: ManualClock) -> tuple[SqliteStore, Account]:
    store = open_sqlite(folder, clock)
    await store.directory.add_domain(Domain("example.test", 0))
    account = await store.directory.add_account(Address("alice", "example.test"), "a", "s")
    await store.mail.append(
        account.id, "INBOX", [appended(store, BIG), appended(store, b"small"), appended(store, BIG * 2)]
    )
    await store.spool.accept(
        acceptance(
            store,
            BIG,
            deliveries=(delivery(account),),
            relays=(relay("x", "a.test", 0),),
            message_id="queued",
        )
    )
    return store, account


async def test_a_restored_backup_has_everything_under_new_uidvalidity(
    tmp_path: Path, clock: ManualClock
) -> None:
    store, account = await filled(tmp_path, clock)
    steps: list[tuple[int, int]] = []
    manifest = backup(
        tmp_path / "data", tmp_path / "copy", clock, lambda done, total: steps.append((done, total))
    )
    assert (manifest.messages, manifest.files) == (4, 3)
    assert steps[-1] == (3, 3)
    before = await store.mail.mailbox(account.id, "INBOX")
    await store.mail.expunge(before.id, only_deleted=False)
    await store.spool.drop("queued")
    await store.close()
    assert verify(tmp_path / "copy") == []
    clock.advance(100)
    (tmp_path / "other").mkdir()
    restore(tmp_path / "copy", tmp_path / "other/data", clock)
    assert verify(tmp_path / "other/data") == []
    store = open_sqlite(tmp_path / "other", clock, 2)
    view = await store.mail.view(account.id, "INBOX", claim_recent=False)
    assert view.uids == UidSet(((1, 4),))
    assert view.info.uidvalidity > before.uidvalidity
    every = [info.uidvalidity for info in await store.mail.mailboxes(account.id)]
    assert len(set(every)) == len(every)
    assert (await store.mail.create_mailbox(account.id, "new")).uidvalidity > max(every)
    octets = await store.mail.open(view.info.id, 3)
    assert await octets.read(0, 200_000) == BIG * 2
    (queued,) = await store.spool.queue()
    assert [r.state for r in queued.recipients] == ["held"]
    await store.close()


async def test_restore_may_leave_the_queue_running(tmp_path: Path, clock: ManualClock) -> None:
    store, _ = await filled(tmp_path, clock)
    await store.close()
    backup(tmp_path / "data", tmp_path / "copy", clock, link=False)
    (tmp_path / "other").mkdir()
    restore(tmp_path / "copy", tmp_path / "other/data", clock, hold_queue=False)
    assert verify(tmp_path / "other/data") == []
    store = open_sqlite(tmp_path / "other", clock, 2)
    assert await store.spool.next_due_at_us() == 0
    await store.close()


@pytest.mark.parametrize(
    "place", ["file/copy", "file/deep/copy", "/proc/nothing/copy", "x" * 300, "gone/copy"]
)
async def test_an_impossible_place_is_a_sentence(tmp_path: Path, clock: ManualClock, place: str) -> None:
    store, _ = await filled(tmp_path, clock)
    await store.close()
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "far" / "away")
    with pytest.raises(BackupRefused, match=r"No folder .* can be made: .* Choose a place") as told:
        backup(tmp_path / "data", tmp_path / place, clock)
    assert "Errno" not in str(told.value)


async def test_it_may_go_into_the_empty_folder_where_one_stands(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = await filled(tmp_path, clock)
    await store.close()
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    backup(tmp_path / "data", Path("."), clock)
    assert (tmp_path / "copy" / "mail.db").exists()
    with pytest.raises(BackupRefused, match="choose another"):
        backup(tmp_path / "data", Path("/"), clock)


async def test_refusals_are_sentences(tmp_path: Path, clock: ManualClock) -> None:
    store, _ = await filled(tmp_path, clock)
    await store.close()
    with pytest.raises(BackupRefused, match=r"mail\.db is missing"):
        backup(tmp_path, tmp_path / "copy", clock)
    backup(tmp_path / "data", tmp_path / "copy", clock)
    with pytest.raises(BackupRefused, match="choose another"):
        backup(tmp_path / "data", tmp_path / "copy", clock)
    with pytest.raises(BackupRefused, match="not a complete backup"):
        restore(tmp_path / "data", tmp_path / "new", clock)
    with pytest.raises(BackupRefused, match="move it away"):
        restore(tmp_path / "copy", tmp_path / "data", clock)
    with backup_mark(tmp_path / "data"), pytest.raises(BackupRefused, match="Another backup"):
        backup(tmp_path / "data", tmp_path / "second", clock)


async def test_files_stay_while_a_backup_runs(tmp_path: Path, clock: ManualClock) -> None:
    store, account = await filled(tmp_path, clock)
    info = await store.mail.mailbox(account.id, "INBOX")
    files = sorted((tmp_path / "data/content").glob("??/??/*"))
    with backup_mark(tmp_path / "data"):
        assert is_backup_running(tmp_path / "data")
        await store.mail.expunge(info.id, UidSet(((1, 1),)), only_deleted=False)
        await store.mail.append(account.id, "INBOX", [appended(store)])
        assert sorted((tmp_path / "data/content").glob("??/??/*")) == files
    assert not is_backup_running(tmp_path / "data")
    (tmp_path / "data/backup.lock").touch()
    assert not is_backup_running(tmp_path / "data")
    await store.mail.expunge(info.id, UidSet(((3, 3),)), only_deleted=False)
    await store.close()
    # What the backup may have needed has gone with it.
    assert len(list((tmp_path / "data/content").glob("??/??/*"))) == 1


async def test_a_hot_backup_under_load_is_whole(tmp_path: Path, clock: ManualClock) -> None:
    store, account = await filled(tmp_path, clock)
    info = await store.mail.mailbox(account.id, "INBOX")
    errors: list[BaseException] = []

    def copy() -> None:
        try:
            backup(tmp_path / "data", tmp_path / "copy", clock)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=copy)
    thread.start()
    rounds = 0
    while thread.is_alive() or rounds < 5:
        await store.mail.append(account.id, "INBOX", [appended(store, BIG), appended(store)])
        view = await store.mail.view(account.id, "INBOX", claim_recent=False)
        await store.mail.expunge(info.id, UidSet((view.uids.runs[0],)), only_deleted=False)
        rounds += 1
        await asyncio.sleep(0)
    thread.join()
    await store.close()
    assert errors == []
    assert verify(tmp_path / "copy") == []
    assert verify(tmp_path / "data") == []


WOUNDS: list[tuple[str, str]] = [
    (
        "UPDATE mailbox SET unseen = unseen + 1 WHERE name = 'INBOX'",
        "mailbox INBOX counts 4 messages, 5 unseen",
    ),
    ("UPDATE account_usage SET used_octets = 1", "counts 1 octets"),
    ("DELETE FROM content WHERE file IS NULL", "names an email or a content that is not there"),
    ("UPDATE message SET size_octets = 3 WHERE uid = 2", "says 3 octets"),
    ("UPDATE email SET refs = 7", "counts 7 messages"),
    ("UPDATE content SET refs = 7", "counts 7 users"),
    ("UPDATE mailbox SET tail_uid = 3 WHERE name = 'INBOX'", "mailbox INBOX lists the UIDs"),
    ("UPDATE mailbox SET uidnext = 4, tail_uid = 1 WHERE name = 'INBOX'", "not given out yet"),
    ("DELETE FROM mailbox WHERE name = 'INBOX'", "lies in a mailbox that is not there"),
    ("DELETE FROM account", "which is not there"),
    ("DELETE FROM queue_message", "queued without its message"),
    ("UPDATE content SET octets = x'00' WHERE file IS NULL", "but its row has 1"),
    ("UPDATE destination SET ready_at_us = NULL", "mail waits for a.test"),
]


@pytest.mark.parametrize(("sql", "sentence"), WOUNDS)
async def test_verify_finds(tmp_path: Path, clock: ManualClock, sql: str, sentence: str) -> None:
    store, _ = await filled(tmp_path, clock)
    await store.close()
    assert verify(tmp_path / "data") == []
    connection = apsw.Connection(str(tmp_path / "data/mail.db"))
    connection.execute(sql)
    connection.close()
    assert any(sentence in problem for problem in verify(tmp_path / "data"))


@pytest.mark.parametrize("how", ["gone", "short"])
async def test_verify_reads_every_file(tmp_path: Path, clock: ManualClock, how: str) -> None:
    store, _ = await filled(tmp_path, clock)
    await store.close()
    victim: Any = sorted((tmp_path / "data/content").glob("??/??/*"))[1]
    if how == "gone":
        victim.unlink()
    else:
        victim.write_bytes(b"short")
    (problem,) = verify(tmp_path / "data")
    assert str(victim) in problem


async def test_a_sweep_asks_before_each_file(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup that begins in the midst of it has a snapshot that names what is expunged now."""
    store, account = await filled(tmp_path, clock)
    info = await store.mail.mailbox(account.id, "INBOX")
    folder, scandir = tmp_path / "data/content", os.scandir
    files = sorted(folder.glob("??/??/*"))
    with ExitStack() as stack:

        def begin_backup(place: Path) -> Any:
            monkeypatch.setattr(os, "scandir", scandir)
            stack.enter_context(backup_mark(tmp_path / "data"))
            mail = apsw.Connection(str(tmp_path / "data/mail.db"))
            mail.execute("DELETE FROM content WHERE file IS NOT NULL")
            mail.close()
            return scandir(place)

        monkeypatch.setattr(os, "scandir", begin_backup)
        assert sweep_orphans(tmp_path / "data/mail.db", store.folder, time.time() + 10) == 0
        assert sorted(folder.glob("??/??/*")) == files
    assert sweep_orphans(tmp_path / "data/mail.db", store.folder, time.time() + 10) == len(files)
    assert info.messages == 4
    await store.close()


def test_who_asks_for_the_mark_is_no_backup(tmp_path: Path) -> None:
    """Two that ask at once are not in each other's way, nor is one that asks in the way of a backup."""
    with backup_mark(tmp_path):
        pass
    asking = os.open(tmp_path / "backup.lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)
    assert not is_backup_running(tmp_path)
    letting_go = threading.Timer(0.05, os.close, (asking,))
    letting_go.start()
    with backup_mark(tmp_path):
        assert is_backup_running(tmp_path)
    letting_go.join()


def test_a_mark_that_cannot_be_opened_counts(tmp_path: Path) -> None:
    (tmp_path / "backup.lock").symlink_to("backup.lock")
    assert is_backup_running(tmp_path)


async def test_verify_does_not_call_damaged_what_is_expunged_meanwhile(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, account = await filled(tmp_path, clock)
    info = await store.mail.mailbox(account.id, "INBOX")
    read_all = verifying._read_all
    loop = asyncio.get_running_loop()

    def expunge_first(path: Path) -> int:
        monkeypatch.setattr(verifying, "_read_all", read_all)
        expunging = store.mail.expunge(info.id, UidSet(((1, 3),)), only_deleted=False)
        asyncio.run_coroutine_threadsafe(expunging, loop).result(10)
        # No transaction of the checking stands, so that the log can begin anew.
        asyncio.run_coroutine_threadsafe(store.maintenance.checkpoint(truncate=True), loop).result(10)
        assert (tmp_path / "data/mail.db-wal").stat().st_size == 0
        return read_all(path)

    monkeypatch.setattr(verifying, "_read_all", expunge_first)
    assert await asyncio.to_thread(verify, tmp_path / "data") == []
    _only_file(tmp_path).unlink()
    assert len(verify(tmp_path / "data")) == 1
    await store.close()


def _only_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "data/content").glob("??/??/*")
    return path
