"""Workers and supervisor are killed under load: what got a 250 is there, once."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.crash.clients import FULL, numbers, route_to
from tests.crash.load import LOCAL, Load
from tests.crash.reader import Reader
from tests.crash.sink import Sink, running_sink
from tests.system.server import Account, Server, restart, running, wait_until

from sekisho.adapters.stores.sqlite.maintenance import Checkpointer

pytestmark = pytest.mark.slow
MESSAGES, KILLS = (2000, 20) if FULL else (200, 5)
SEEDS = [int(seed) for seed in os.environ.get("SEKISHO_CRASH_SEEDS", "1").split(",")]


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_promised_is_lost_and_nothing_comes_twice(tmp_path: Path, seed: int) -> None:
    with running_sink() as sink, running(tmp_path / "try", change=lambda text: route_to(sink.port, text)) as server:
        for name in ("carol", "dave"):
            address = f"{name}@example.test"
            server.command("account", "add", address, "--password-stdin", stdin="correct horse battery\n")
            server.accounts[name] = Account(address, "correct horse battery")
        load = Load(server, random.Random(seed))
        reader = Reader(server, "dave", random.Random(seed))
        async with asyncio.TaskGroup() as group:
            living = group.create_task(asyncio.to_thread(reader.live))
            clients = [group.create_task(load.strangers()) for _ in range(4)] + [group.create_task(load.submitters()) for _ in range(2)]
            backup = group.create_task(asyncio.to_thread(server.command, "backup", str(tmp_path / "copy")))
            try:
                await _kill(server, load, random.Random(seed))
            finally:
                load.done = True
                reader.stop.set()
            await asyncio.gather(living, backup, *clients)
        server.command("queue", "retry", "--all")
        wait_until(lambda: not server.command("queue", "list"), lambda: f"{server.command('queue', 'list')} {server.log[-3000:]}")
        _judge_load(server, load, sink)
        _judge_reader(reader)
        assert server.command("verify") == {"problems": []}
        assert server.command("verify", str(tmp_path / "copy")) == {"problems": []}


async def _kill(server: Server, load: Load, dice: random.Random) -> None:
    """Each time after a part of the messages, at a random moment; the fourth victim of five is the supervisor."""
    for turn in range(KILLS):
        await _progress(server, load, len(load.promised) + MESSAGES // KILLS)
        await asyncio.to_thread(_checkpoint, server)
        await asyncio.sleep(dice.uniform(0, 0.1))
        if turn % 5 == 3:
            server.process.kill()
            await asyncio.to_thread(server.process.wait)
            await asyncio.to_thread(restart, server)
        else:
            workers = server.workers()
            if workers:
                _kill_one(dice.choice(workers))
    await _progress(server, load, len(load.promised) + MESSAGES // KILLS)


def _kill_one(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it was a helper that had done its work


async def _progress(server: Server, load: Load, count: int) -> None:
    await asyncio.to_thread(wait_until, lambda: len(load.promised) >= count, lambda: server.log[-3000:])


def _checkpoint(server: Server) -> None:
    data = server.folder / "data"
    Checkpointer(data / "mail.db", data / "mail.lock", None).run(truncate=True)


def _judge_load(server: Server, load: Load, sink: Sink) -> None:
    held = {server.accounts[name].address: numbers(server, name) for name in LOCAL}
    arrived: Counter[tuple[int, str]] = Counter({(n, who): times for who, found in held.items() for n, times in found.items()})
    assert [which for which, times in arrived.items() if times > 1] == [], "twice in a mailbox"
    for number, recipients in load.promised.items():
        for who in recipients:
            assert arrived[number, who] + sink.taken[number, who] >= 1, f"lost: {number} to {who}"
    for number, who in [*arrived, *sink.taken]:
        assert who in load.tried[number]
    for number in load.tried.keys() - load.promised.keys():
        local = [who for who in load.tried[number] if who in held]
        assert len({arrived[number, who] for who in local}) <= 1, f"{number} is in some of {local} only"


def _judge_reader(reader: Reader) -> None:
    present = Counter(reader.present())
    assert reader.rounds
    assert [number for number, times in present.items() if times > 1] == []
    assert reader.kept <= present.keys(), f"lost: {reader.kept - present.keys()}"
    assert not reader.gone & present.keys(), f"back: {reader.gone & present.keys()}"
