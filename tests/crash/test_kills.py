"""Workers and supervisor are killed, reloaded and upgraded under load of every kind: what got a 250 is there,
once."""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.crash.clients import FULL, imap, numbers, route_to
from tests.crash.copies import Copies
from tests.crash.load import LOCAL, Load
from tests.crash.moods import Moods
from tests.crash.reader import Reader
from tests.crash.sink import Sink, running_sink
from tests.crash.witness import Idler
from tests.system.server import Account, Server, restart, running, wait_until

from sekisho.adapters.stores.sqlite.maintenance import Checkpointer
from sekisho.ports.content import StoreUnavailable

pytestmark = pytest.mark.slow
# What happens to the server, one after the other; all but "reload" and "upgrade" are kills.
TURNS = ("worker", "reload", "worker", "upgrade", "supervisor", "worker", "worker", "upgrade killed")
MESSAGES, ROUNDS = (2000, TURNS * 4) if FULL else (200, TURNS[:6])
SEEDS = [int(seed) for seed in os.environ.get("SEKISHO_CRASH_SEEDS", "1").split(",")]
FINAL = re.compile(rb"Final-Recipient: rfc822; ?(\S+)\r\n")
MAY_BE_DUPLICATE = re.compile(
    r"may_be_duplicate.*recipient=(\S+)|recipient=(\S+) .*may_be_duplicate=true", re.IGNORECASE
)


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_promised_is_lost_and_nothing_comes_twice(tmp_path: Path, seed: int) -> None:
    with (
        running_sink() as sink,
        running(tmp_path / "try", change=lambda text: route_to(sink.port, text)) as server,
    ):
        for name in ("carol", "dave"):
            address = f"{name}@example.test"
            server.command("account", "add", address, "--password-stdin", stdin="correct horse battery\n")
            server.accounts[name] = Account(address, "correct horse battery")
        moods = Moods(seed)
        moods.govern(sink)
        load, reader, idler = (
            Load(server, random.Random(seed)),
            Reader(server, "dave", random.Random(seed)),
            Idler(server, "bob"),
        )
        copies = Copies(server, load, tmp_path)
        async with asyncio.TaskGroup() as group:
            people = [group.create_task(asyncio.to_thread(one.live)) for one in (reader, idler, copies)]
            clients = [group.create_task(load.strangers()) for _ in range(4)] + [
                group.create_task(load.submitters()) for _ in range(2)
            ]
            try:
                await _trouble(server, load, random.Random(seed))
            finally:
                load.done = True
                for one in (reader, idler, copies):
                    one.stop.set()
            await asyncio.gather(*people, *clients)
        server.command("queue", "retry", "--all")
        wait_until(
            lambda: not server.command("queue", "list"),
            lambda: f"{server.command('queue', 'list')} {server.log[-3000:]}",
        )
        _judge_load(server, load)
        _judge_world(server, load, sink, moods)
        _judge_reader(reader)
        idler.judge()
        assert "config.reloaded" in server.log and "server.upgrade" in server.log
        assert server.command("verify") == {"problems": []}
        await copies.judge()


async def _trouble(server: Server, load: Load, dice: random.Random) -> None:
    """Each time after a part of the messages, at a random moment."""
    for turn in ROUNDS:
        await _progress(server, load, len(load.promised) + MESSAGES // len(ROUNDS))
        await asyncio.to_thread(_checkpoint, server)
        await asyncio.sleep(dice.uniform(0, 0.1))
        if turn == "worker":
            workers = server.workers()
            if workers:
                _kill_one(dice.choice(workers))
        elif turn == "reload":
            _reload(server)
        if turn.startswith("upgrade"):
            server.process.send_signal(signal.SIGUSR2)
        if turn == "upgrade killed":
            await asyncio.sleep(dice.uniform(0, 1.5))
        if turn in ("supervisor", "upgrade killed"):
            server.process.kill()
            await asyncio.to_thread(server.process.wait)
            await asyncio.to_thread(restart, server)
    await _progress(server, load, len(load.promised) + MESSAGES // len(ROUNDS))


def _reload(server: Server) -> None:
    """With another value each time."""
    text = server.config_file.read_text()
    before, after = ("= 500\n", "= 400\n") if "connections_per_ip = 500" in text else ("= 400\n", "= 500\n")
    server.config_file.write_text(text.replace(f"connections_per_ip {before}", f"connections_per_ip {after}"))
    server.process.send_signal(signal.SIGHUP)


def _kill_one(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it was a helper that had done its work


async def _progress(server: Server, load: Load, count: int) -> None:
    await asyncio.to_thread(wait_until, lambda: len(load.promised) >= count, lambda: server.log[-3000:])


def _checkpoint(server: Server) -> None:
    data = server.folder / "data"
    try:
        Checkpointer(data / "mail.db", data / "mail.lock", None).run(truncate=True)
    except StoreUnavailable:
        pass  # the server's own is at work


def _judge_load(server: Server, load: Load) -> None:
    """What has a mailbox here: each promise is kept once, and what was not promised came whole or not at
    all."""
    held = {server.accounts[name].address: numbers(server, name) for name in LOCAL}
    arrived: Counter[tuple[int, str]] = Counter(
        {(n, who): times for who, found in held.items() for n, times in found.items()}
    )
    assert [which for which, times in arrived.items() if times > 1] == [], "twice in a mailbox"
    lost = [
        (number, who)
        for number, taken in load.promised.items()
        for who in taken
        if who in held and not arrived[number, who]
    ]
    assert lost == [], "promised, and in no mailbox"
    for number, who in arrived:
        assert who in load.tried[number]
    for number in load.tried.keys() - load.promised.keys():
        local = [who for who in load.tried[number] if who in held]
        assert len({arrived[number, who] for who in local}) <= 1, f"{number} is in some of {local} only"


def _judge_world(server: Server, load: Load, sink: Sink, moods: Moods) -> None:
    """What leaves: taken by the world or told as refused, once; twice only where nobody could know, which the
    journal says."""
    bounced = _bounces(server)
    unsure = {found[1] or found[2] for found in MAY_BE_DUPLICATE.finditer(server.log)}
    promised = {(number, who) for number, taken in load.promised.items() for who in taken if "@remote" in who}
    for number, who in promised:
        refused = moods.of(number) == "refuse"
        assert bounced[who] == refused, (
            f"{number} to {who}, which is {moods.of(number)}, was returned {bounced[who]} times"
        )
        assert refused != bool(sink.taken[number, who]), (
            f"{number} to {who}, which is {moods.of(number)}: {sink.taken[number, who]}"
        )
    assert [who for who, times in bounced.items() if times > 1] == [], "returned twice"
    for number, who in sink.taken:
        assert who in load.tried[number]
    twice = {who: times for (_, who), times in sink.taken.items() if times > 1}
    assert twice.keys() <= unsure, f"twice, and nobody had to: {twice.keys() - unsure}"
    vanished = sum(moods.of(number) == "vanish" for number, _ in promised)
    print(
        f"{len(load.promised)} promised, {len(promised)} copies for the world, {sum(bounced.values())} "
        f"returned, {len(twice)} twice"
    )
    print(f"{vanished} vanished behind their end, {len(unsure)} might have been doubled")


def _bounces(server: Server) -> Counter[str]:
    """How often alice was told that an address failed."""
    with imap(server, "alice") as client:
        client.select("INBOX", readonly=True)
        _, (found,) = client.search(None, "SUBJECT", '"could not be delivered"')
        if not found:
            return Counter()
        _, rows = client.fetch(b",".join(found.split()).decode(), "(BODY.PEEK[])")
    notices = [row[1] for row in rows if isinstance(row, tuple)]
    return Counter(address.decode() for notice in notices for address in FINAL.findall(notice))


def _judge_reader(reader: Reader) -> None:
    present = Counter(reader.present())
    assert reader.rounds and reader.moved
    assert [number for number, times in present.items() if times > 1] == []
    assert reader.kept <= present.keys(), f"lost: {reader.kept - present.keys()}"
    assert not reader.gone & present.keys(), f"back: {reader.gone & present.keys()}"
