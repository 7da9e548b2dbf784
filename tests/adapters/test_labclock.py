"""The clock that a lab moves."""

import asyncio
from pathlib import Path

import pytest

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.labclock import VARIABLE, ClockMover, LabClock
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.tryout import prepare
from sekisho.config.load import load
from sekisho.faces.cli.handle import CommandError
from sekisho.wiring import clocks

HOUR_US = 3_600_000_000


@pytest.fixture(autouse=True)
def fresh_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    clocks.server_clock.cache_clear()
    monkeypatch.setattr(clocks, "server_clock", clocks.server_clock.__wrapped__)


def test_both_readings_follow_the_hand(tmp_path: Path) -> None:
    mover = ClockMover(tmp_path / "clock")
    clock, true = LabClock(tmp_path / "clock"), SystemClock()
    wall, monotonic = clock.now_us(), clock.monotonic()
    assert abs(wall - true.now_us()) < HOUR_US
    mover.move(48 * HOUR_US)
    assert 48 * HOUR_US <= clock.now_us() - wall < 49 * HOUR_US
    assert 48 * 3600 <= clock.monotonic() - monotonic < 49 * 3600
    mover.move(-HOUR_US)
    assert clock.offset_us == -HOUR_US


def test_a_normal_server_has_the_systems_clock() -> None:
    assert isinstance(clocks.server_clock(), SystemClock)


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ClockMover(tmp_path / "clock").move(7)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "clock"))
    clock = clocks.server_clock()
    assert isinstance(clock, LabClock) and clock.offset_us == 7


def test_only_a_server_on_loopback_takes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config_file = prepare(tmp_path / "server", 20000).config_file
    config = load(config_file).config
    open_config = config.model_copy(
        update={
            "listeners": [
                config.listeners[0].model_copy(update={"address": config.listeners[0].address + 2**24})
            ]
        }
    )
    clocks.check_clock(open_config)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "clock"))
    with pytest.raises(CommandError, match="every listener must be on a loopback address"):
        clocks.check_clock(open_config)
    with pytest.raises(CommandError, match="No such file"):
        clocks.check_clock(config)
    (tmp_path / "clock").write_bytes(b"")
    with pytest.raises(CommandError, match=VARIABLE):
        clocks.check_clock(config)
    ClockMover(tmp_path / "clock")
    clocks.check_clock(config)


async def test_who_waits_is_woken_when_it_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mover = ClockMover(tmp_path / "clock")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "clock"))
    changes, woken = LocalChanges(), asyncio.Event()
    changes.subscribe_queue(woken.set)
    task = asyncio.create_task(clocks.follow_lab_clock(changes))
    await asyncio.sleep(0)
    mover.move(HOUR_US)
    async with asyncio.timeout(20):
        await woken.wait()
    task.cancel()


async def test_chores_come_round_when_the_time_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mover = ClockMover(tmp_path / "clock")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "clock"))
    chore = asyncio.create_task(clocks.sleep_by_clock(3600.0))
    await asyncio.sleep(0)
    assert not chore.done()
    mover.move(HOUR_US)
    async with asyncio.timeout(20):
        await chore
    monkeypatch.delenv(VARIABLE)
    await clocks.sleep_by_clock(0.0)


async def test_with_the_systems_clock_nobody_follows() -> None:
    async with asyncio.timeout(20):
        await clocks.follow_lab_clock(LocalChanges())
