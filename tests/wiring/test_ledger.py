"""The ledger comes and goes with its settings, and mail never hangs on it."""

import asyncio
from pathlib import Path
from typing import Any

from sekisho.adapters.stores.sqlite.ledger import LEDGER
from sekisho.config.schema import Config
from sekisho.ports.journal import Entry
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.wiring.ledger import LedgerKeeper


def config(folder: Path, free_disk_octets: int = 0, **ledger: Any) -> Config:
    roles = {"postmaster": "taro@example.org", "abuse": "taro@example.org"}
    limits = {"free_disk_octets": free_disk_octets}
    return Config.model_validate(
        {"hostname": "mx.example.org", "data_dir": folder, "roles": roles, "ledger": ledger, "limits": limits}
    )


def opened(link: LedgerKeeper) -> Any:
    return link.ledger


async def test_settings_open_bound_and_close_it(tmp_path: Path) -> None:
    link = LedgerKeeper(MemoryJournal(), ManualClock(), alone=True)
    link.use(config(tmp_path, enabled=False))
    assert opened(link) is None and not (tmp_path / LEDGER).exists()
    link.use(config(tmp_path, keep_days=5))
    assert link.ledger is not None
    link.journal.record(Entry("reception.refused", "x"))
    await link.ledger.settle()
    assert len(await link.ledger.find("x")) == 1
    before = link.ledger
    link.use(config(tmp_path, keep_days=6))
    assert opened(link) is before and before.limits.keep_days == 6
    await link.keep_house()
    link.use(config(tmp_path, enabled=False))
    assert opened(link) is None and link.journal.recorder is None
    await link.keep_house()


async def test_a_damaged_one_is_told_and_does_without(tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(b"no database" * 1000)
    log = MemoryJournal()
    link = LedgerKeeper(log, ManualClock())
    link.use(config(tmp_path))
    link.journal.record(Entry("reception.refused", "x"))
    assert log.kinds() == ["ledger.unavailable", "reception.refused"]
    link.close()


async def test_losses_are_told_and_counted(tmp_path: Path) -> None:
    log, metrics = MemoryJournal(), MemoryMetrics()
    link = LedgerKeeper(log, ManualClock(), metrics, alone=True)
    link.use(config(tmp_path, free_disk_octets=1 << 60))
    assert link.ledger is not None
    link.journal.record(Entry("reception.refused", "x"))
    await link.ledger.settle()
    await asyncio.sleep(0)
    assert log.kinds() == ["reception.refused", "ledger.lost"]
    assert log.entries[-1].fields["entries"] == 1
    assert metrics.values == {("sekisho_ledger_lost_total", ()): 1}
    link.close()
