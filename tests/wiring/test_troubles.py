"""What is told about troubles of the store, and the end of a worker that cannot write."""

from pathlib import Path

import pytest
from tests.stores.conftest import open_sqlite

from sekisho.adapters.stores.sqlite.connection import NoRoom, StoreDamaged
from sekisho.ports.content import StoreUnavailable
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal
from sekisho.wiring.troubles import StoreTroubles


async def test_each_trouble_is_told_as_what_it_is_and_not_too_often(tmp_path: Path) -> None:
    clock, journal = ManualClock(), MemoryJournal()
    store = open_sqlite(tmp_path, clock)
    StoreTroubles(journal, clock, lambda: None).watch(store)
    mail, hints = tmp_path / "data/mail.db", tmp_path / "data/hints.db"
    for _ in range(3):
        store.alarms.unavailable(mail, StoreDamaged(f"{mail} is damaged: malformed"))
        store.alarms.unavailable(hints, StoreDamaged(f"{hints} is damaged: malformed"))
        store.alarms.unavailable(mail, NoRoom("full"))
        store.alarms.unavailable(mail, StoreUnavailable("read-only"))
    kinds = [(entry.kind, entry.fields["database"]) for entry in journal.entries]
    assert kinds == [
        ("store.damaged", "mail.db"),
        ("store.damaged", "hints.db"),
        ("store.full", "mail.db"),
        ("store.unavailable", "mail.db"),
    ]
    assert "restore the last backup" in str(journal.entries[0].fields["advice"])
    assert "move it" in str(journal.entries[1].fields["advice"])
    clock.advance(61)
    store.alarms.unavailable(mail, NoRoom("full"))
    assert len(journal.entries) == 5
    await store.close()


async def test_a_broken_writer_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, journal = ManualClock(), MemoryJournal()
    store = open_sqlite(tmp_path, clock)
    order: list[str] = []
    StoreTroubles(journal, clock, lambda: order.append("flush"), lambda: order.append("end")).watch(store)

    def fail(*_: object) -> None:
        raise RuntimeError("an own bug")

    monkeypatch.setattr(store.writer, "_run_steps", fail)
    with pytest.raises(StoreUnavailable):
        await store.writer.write(lambda tx: tx.execute("SELECT 1"))
    assert order == ["flush", "end"]
    assert [entry.kind for entry in journal.entries][-1] == "store.broken"
    await store.close()
