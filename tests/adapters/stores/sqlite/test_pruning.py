"""What only ever grew is forgotten, and nobody who asks later is told too little."""

from pathlib import Path

import pytest
from tests.stores.conftest import open_sqlite
from tests.stores.making import appended

from sekisho.adapters.stores.sqlite import pruning
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Domain
from sekisho.testing.clock import ManualClock


async def opened(folder: Path, clock: ManualClock) -> tuple[SqliteStore, int]:
    store = open_sqlite(folder, clock)
    await store.directory.add_domain(Domain("example.test", 0))
    return store, (await store.directory.add_account(Address("alice", "example.test"), "", "")).id


def count(store: SqliteStore, table: str) -> int:
    ((rows,),) = store.reader.read(lambda db: db.execute(f"SELECT count(*) FROM {table}").fetchall())
    return int(rows)


async def test_the_newest_graves_stay_and_for_the_others_there_is_a_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "GRAVES", 10)
    monkeypatch.setattr(pruning, "PORTION", 7)
    store, account_id = await opened(tmp_path, ManualClock())
    await store.mail.append(account_id, "INBOX", [appended(store) for _ in range(100)])
    info = await store.mail.mailbox(account_id, "INBOX")
    seen = [(await store.mail.changes_since(info.id, 0)).info.highestmodseq]
    for uid in range(1, 81, 2):
        await store.mail.expunge(info.id, UidSet(((uid, uid),)), only_deleted=False)
        seen.append((await store.mail.mailbox(account_id, "INBOX")).highestmodseq)
    before = {modseq: (await store.mail.changes_since(info.id, modseq)).vanished for modseq in seen}
    assert count(store, "tombstone") == 40
    for _ in range(2):
        await store.maintenance.forget_graves()
        assert count(store, "tombstone") == 11  # with the floor
    gone = UidSet.of(range(1, 81, 2))
    for modseq in seen:
        vanished = (await store.mail.changes_since(info.id, modseq)).vanished
        assert vanished == (before[modseq] if modseq >= seen[-11] else gone)
    await store.mail.expunge(info.id, only_deleted=False)
    await store.mail.delete_mailbox(account_id, "Archive")
    await store.maintenance.forget_graves()
    assert (await store.mail.changes_since(info.id, 1)).vanished == UidSet(((1, 100),))
    await store.close()


async def test_a_mailbox_takes_its_floor_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "GRAVES", 2)
    store, account_id = await opened(tmp_path, ManualClock())
    made = await store.mail.create_mailbox(account_id, "short")
    await store.mail.append(account_id, "short", [appended(store) for _ in range(20)])
    for uid in range(1, 20, 2):
        await store.mail.expunge(made.id, UidSet(((uid, uid),)), only_deleted=False)
    await store.maintenance.forget_graves()
    assert count(store, "tombstone") == 3
    await store.mail.delete_mailbox(account_id, "short")
    assert count(store, "tombstone") == 0
    await store.close()


async def test_threads_without_messages_go_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "PORTION", 2)
    clock = ManualClock()
    store, account_id = await opened(tmp_path, clock)
    parts = [
        ("old@x", ()),
        ("kept@x", ()),
        ("answer@x", ("kept@x", "unseen@x")),
        ("more@x", ("old@x", "far@x")),
    ]
    await store.mail.append(
        account_id, "INBOX", [appended(store, message_id=own, references=others) for own, others in parts]
    )
    info = await store.mail.mailbox(account_id, "INBOX")
    threads = [row.thread_id for row in await store.mail.rows(info.id, UidSet(((1, 4),)))]
    assert threads[0] == threads[3] != threads[1] == threads[2]
    await store.mail.expunge(info.id, UidSet.of([1, 2, 4]), only_deleted=False)
    await store.maintenance.forget_threads()
    assert count(store, "thread_ref") == 6  # young
    clock.advance(31 * 86_400)
    await store.maintenance.forget_threads()
    assert count(store, "thread_ref") == 3
    await store.mail.append(
        account_id, "INBOX", [appended(store, references=("kept@x",)), appended(store, references=("far@x",))]
    )
    rows = await store.mail.rows(info.id, UidSet(((5, 6),)))
    assert rows[0].thread_id == threads[1]
    assert rows[1].thread_id not in threads
    await store.close()


async def test_a_thread_that_is_taken_up_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    store, account_id = await opened(tmp_path, clock)
    await store.mail.append(
        account_id, "INBOX", [appended(store, message_id="first@x"), appended(store, message_id="other@x")]
    )
    info = await store.mail.mailbox(account_id, "INBOX")
    (first, _) = await store.mail.rows(info.id, UidSet(((1, 2),)))
    await store.mail.expunge(info.id, only_deleted=False)
    clock.advance(31 * 86_400)
    write = store.writer.write

    async def answer_first(*arguments: object) -> object:
        monkeypatch.undo()
        await store.mail.append(
            account_id, "Sent", [appended(store, message_id="second@x", references=("first@x",))]
        )
        return await write(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(store.writer, "write", answer_first)
    await store.maintenance.forget_threads()
    assert count(store, "thread_ref") == 2
    await store.mail.append(account_id, "INBOX", [appended(store, references=("first@x",))])
    (third,) = await store.mail.rows(info.id, UidSet(((3, 3),)))
    assert third.thread_id == first.thread_id
    await store.close()
