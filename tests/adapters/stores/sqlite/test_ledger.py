"""What only ledger.db has: segments, postings that move, several writers, a thread, a bounded size, a full
disk."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from tests.stores.conftest import open_sqlite

from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.adapters.stores.sqlite import ledger as ledger_module
from sekisho.adapters.stores.sqlite import ledger_places, ledger_writer
from sekisho.adapters.stores.sqlite.backup import backup, restore
from sekisho.adapters.stores.sqlite.connection import connect
from sekisho.adapters.stores.sqlite.ledger import LEDGER, LedgerLimits, SqliteLedger
from sekisho.adapters.stores.sqlite.migrate import SchemaTooNew
from sekisho.adapters.stores.sqlite.verify import verify
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry
from sekisho.testing.clock import ManualClock, SeededDice

FREE = LedgerLimits(free_disk_octets=0)


class Losses:
    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def __call__(self, count: int, why: str) -> None:
        self.told.append((count, why))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def losses() -> Iterator[Losses]:
    losses = Losses()
    yield losses
    assert losses.told == []


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_writer, "SEGMENT_ENTRIES", 50)
    monkeypatch.setattr(ledger_writer, "BATCH", 20)
    monkeypatch.setattr(ledger_writer, "FRESH_MOST", 70)


def entry(number: int, *about: str, octets: int = 10) -> Entry:
    return Entry("reception.refused", f"id{number}", {"text": "x" * octets}, about)


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    db = connect(folder / LEDGER, read_only=True)
    try:
        return list(db.execute(sql).fetchall())
    finally:
        db.close()


@pytest.mark.usefixtures("small_segments")
async def test_it_answers_like_the_memory_whatever_was_written_when(
    tmp_path: Path, clock: ManualClock, losses: Losses
) -> None:
    """Two workers write in turn, into many segments, some postings fresh and some moved."""
    dice = SeededDice(7)
    model = MemoryLedger(clock)
    workers = [SqliteLedger(tmp_path, clock, FREE, losses, alone=True) for _ in range(2)]
    for number in range(615):
        chosen = entry(number, f"{int(dice.uniform(0, 20))}@example.org", f"<{number}@x>")
        model.keep(clock.now_us(), chosen)
        workers[number // 30 % 2].keep(clock.now_us(), chosen)
        if number % 30 == 29:
            await workers[number // 30 % 2].settle()
        clock.advance(200)
    await workers[0].settle()
    assert len(rows(tmp_path, "SELECT number FROM segment")) > 12
    assert (
        rows(tmp_path, "SELECT count(*) > 0 FROM posting")
        == rows(tmp_path, "SELECT count(*) > 0 FROM fresh")
        == [(1,)]
    )
    for key in (*(f"{number}@example.org" for number in range(21)), "id3", "id614", "17@x", "nobody"):
        assert await workers[0].find(key) == await model.find(key)
        since_us = clock.now_us() - 40_000_000_000
        assert await workers[1].find(key, since_us=since_us, limit=5) == await model.find(
            key, since_us=since_us, limit=5
        )
    for worker in workers:
        worker.close()


@pytest.mark.usefixtures("small_segments")
async def test_too_many_octets_cut_the_oldest_segments_off(
    tmp_path: Path, clock: ManualClock, losses: Losses
) -> None:
    ledger = SqliteLedger(
        tmp_path, clock, LedgerLimits(keep_octets=400_000, free_disk_octets=0), losses, alone=True
    )
    for number in range(1000):
        ledger.keep(clock.now_us(), entry(number, "a@example.org", octets=1000))
        clock.advance(1)
    await ledger.settle()
    while ledger.trim():
        pass
    span = await ledger.span()
    assert 200_000 < span.octets <= 400_000
    assert 100 < span.entries < 400
    found = await ledger.find("a@example.org", limit=1000)
    assert [one.id for one in found] == [f"id{number}" for number in range(999, 999 - span.entries, -1)]
    first = 1 + 999 - span.entries
    oldest = rows(
        tmp_path,
        f"SELECT min(place >> {ledger_places.POSTING_SHIFT}), min(id >> {ledger_places.PLACE_BITS}) FROM "
        f"posting, entry",
    )
    assert rows(tmp_path, "SELECT min(number) FROM segment")[0][0] == oldest[0][0] == oldest[0][1]
    assert span.oldest_at_us == clock.now_us() - (1000 - first) * 1_000_000
    ledger.close()


async def test_keys_with_the_same_hash_are_told_apart(
    tmp_path: Path, clock: ManualClock, losses: Losses, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (ledger_module, ledger_writer):
        monkeypatch.setattr(module, "key_hash", lambda key: 5)
    ledger = SqliteLedger(tmp_path, clock, FREE, losses, alone=True)
    for number in range(50):
        ledger.keep(clock.now_us(), entry(number, f"{number % 5}@example.org"))
    await ledger.settle()
    assert [one.id for one in await ledger.find("3@example.org", limit=3)] == ["id48", "id43", "id38"]
    assert await ledger.find("9@example.org") == []
    ledger.close()


async def test_the_thread_writes_by_itself(
    tmp_path: Path, clock: ManualClock, losses: Losses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_writer, "GATHER_SECONDS", 0.0)
    monkeypatch.setattr(ledger_writer, "INTERVAL_SECONDS", 0.0)
    ledger = SqliteLedger(tmp_path, clock, FREE, losses)
    for number in range(3):
        ledger.keep(clock.now_us(), entry(number))
        async with asyncio.timeout(10):
            while not await ledger.find(f"id{number}"):  # noqa: ASYNC110  # the thread has nobody to tell
                await asyncio.sleep(0)
    ledger.close()


async def test_closing_writes_what_waits(tmp_path: Path, clock: ManualClock, losses: Losses) -> None:
    ledger = SqliteLedger(tmp_path, clock, FREE, losses)
    ledger.keep(clock.now_us(), entry(1))
    ledger.close()
    ledger.close()
    again = SqliteLedger(tmp_path, clock, FREE, losses)
    assert len(await again.find("id1")) == 1
    again.close()


async def test_the_last_of_the_disk_is_left_to_the_mail(tmp_path: Path, clock: ManualClock) -> None:
    losses = Losses()
    ledger = SqliteLedger(tmp_path, clock, LedgerLimits(free_disk_octets=1 << 60), losses, alone=True)
    ledger.keep(clock.now_us(), entry(1))
    await ledger.settle()
    assert losses.told == [(1, "the disk is nearly full, and what is left is kept for mail")]
    assert await ledger.find("id1") == []
    ledger.close()


async def test_it_takes_nothing_of_a_reserve_that_was_given_up(tmp_path: Path, clock: ManualClock) -> None:
    losses = Losses()
    ledger = SqliteLedger(tmp_path, clock, LedgerLimits(free_disk_octets=0), losses, alone=True)
    (tmp_path / "reserve").touch()
    ledger.keep(clock.now_us(), entry(1))
    await ledger.settle()
    assert losses.told == [(1, "the disk is nearly full, and what is left is kept for mail")]
    (tmp_path / "reserve").unlink()
    ledger.keep(clock.now_us(), entry(2))
    await ledger.settle()
    assert len(await ledger.find("id2")) == 1
    ledger.close()


async def test_what_waits_is_bounded(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_writer, "MOST_WAITING", 3)
    monkeypatch.setattr(ledger_writer, "GATHER_SECONDS", 60.0)
    losses = Losses()
    ledger = SqliteLedger(tmp_path, clock, FREE, losses, alone=True)
    for number in range(5):
        ledger.keep(clock.now_us(), entry(number))
    await ledger.settle()
    assert losses.told == [(2, "too much at once")]
    assert len(await ledger.find("id2")) == 1
    ledger.close()


async def test_an_own_bug_loses_entries_and_nothing_else(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Losses()
    ledger = SqliteLedger(tmp_path, clock, FREE, losses, alone=True)
    with monkeypatch.context() as patched:
        patched.setattr(ledger_writer, "key_hash", lambda key: 1 << 70)
        ledger.keep(clock.now_us(), entry(1))
        await ledger.settle()
    assert losses.told[0][0] == 1 and "OverflowError" in losses.told[0][1]
    ledger.keep(clock.now_us(), Entry("x", "y", {}, (7,)))  # type: ignore[arg-type]  # the mistake of this test
    await ledger.settle()
    assert losses.told[1][0] == 1 and "AttributeError" in losses.told[1][1]
    ledger.keep(clock.now_us(), entry(2))
    await ledger.settle()
    assert len(await ledger.find("id2")) == 1
    ledger.close()


async def test_a_newer_ledger_is_refused(tmp_path: Path, clock: ManualClock, losses: Losses) -> None:
    SqliteLedger(tmp_path, clock, FREE, losses).close()
    connection = apsw.Connection(str(tmp_path / LEDGER))
    connection.pragma("user_version", 999)
    connection.close()
    with pytest.raises(SchemaTooNew):
        SqliteLedger(tmp_path, clock, FREE, losses)


async def test_a_damaged_ledger_is_unavailable(tmp_path: Path, clock: ManualClock, losses: Losses) -> None:
    (tmp_path / LEDGER).write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable):
        SqliteLedger(tmp_path, clock, FREE, losses)


def test_its_files_are_the_servers_alone(tmp_path: Path, clock: ManualClock, losses: Losses) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, 4711, 4712)  # a command of root's comes before the server did
    folder = tmp_path.stat()
    ledger = SqliteLedger(tmp_path, clock, FREE, losses, alone=True)
    ledger.keep(clock.now_us(), entry(1))
    asyncio.run(ledger.settle())
    for path in tmp_path.iterdir():
        found = path.stat()
        assert (found.st_mode & 0o777, found.st_uid, found.st_gid) == (0o600, folder.st_uid, folder.st_gid), (
            path
        )
    ledger.close()


async def test_it_goes_into_backups(tmp_path: Path, clock: ManualClock, losses: Losses) -> None:
    store = open_sqlite(tmp_path, clock)
    ledger = SqliteLedger(tmp_path / "data", clock, FREE, losses, alone=True)
    ledger.keep(clock.now_us(), entry(1))
    await ledger.settle()
    backup(tmp_path / "data", tmp_path / "copy", clock)
    ledger.close()
    await store.close()
    restore(tmp_path / "copy", tmp_path / "other", clock)
    assert verify(tmp_path / "other") == []
    ledger = SqliteLedger(tmp_path / "other", clock, FREE, losses)
    assert len(await ledger.find("id1")) == 1
    ledger.close()
    (tmp_path / "other" / LEDGER).write_bytes(b"no database" * 1000)
    (problem,) = verify(tmp_path / "other")
    assert problem.startswith("the ledger is damaged")


async def test_the_maintenance_keeps_house(tmp_path: Path, clock: ManualClock, losses: Losses) -> None:
    store = open_sqlite(tmp_path, clock)
    ledger = SqliteLedger(tmp_path / "data", clock, FREE, losses, alone=True)
    for number in range(3000):
        ledger.keep(clock.now_us(), entry(number, octets=2000))
    await ledger.settle()
    wal = tmp_path / "data" / f"{LEDGER}-wal"
    large = wal.stat().st_size
    clock.advance(100 * 86_400)
    await ledger.keep_house()
    assert (tmp_path / "data" / LEDGER).stat().st_size > 4_000_000
    assert (await ledger.span()).entries == 0
    assert wal.stat().st_size <= large + 1_000_000
    ledger.close()
    await store.close()


def test_places_fit_the_integers_of_sqlite() -> None:
    last = (
        ((1 << 21) - 1) << ledger_places.POSTING_SHIFT
        | ((1 << ledger_places.HASH_BITS) - 1) << ledger_places.PLACE_BITS
        | 0xFFFF
    )
    assert last < 1 << 63
    assert ledger_places.entry_id(last) == ((1 << 21) - 1) << 16 | 0xFFFF
    assert 0 <= ledger_places.key_hash("ü\udc80") < 1 << ledger_places.HASH_BITS
