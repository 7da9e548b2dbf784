import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from sekisho.adapters.process.changes import DatagramChanges
from sekisho.ports.changes import AccountChanged, DirectoryChanged, QueueChanged

PUBLISHER = """
import asyncio, sys
from pathlib import Path
from sekisho.adapters.process.changes import DatagramChanges
from sekisho.ports.changes import AccountChanged
async def main():
    changes = DatagramChanges(Path(sys.argv[1]), (Path(sys.argv[2]),))
    changes.start()
    changes.publish(AccountChanged(7))
asyncio.run(main())
"""


@pytest.fixture
async def pair(tmp_path: Path):
    paths = [tmp_path / "0.sock", tmp_path / "1.sock"]
    both = [
        DatagramChanges(paths[0], (paths[1], tmp_path / "missing.sock")),
        DatagramChanges(paths[1], (paths[0],)),
    ]
    for changes in both:
        changes.start()
    yield both
    for changes in both:
        changes.close()


async def test_subscribers_here_and_there_are_woken(pair) -> None:
    woken: asyncio.Queue[str] = asyncio.Queue()
    for name, changes in zip("ab", pair, strict=True):
        changes.subscribe_account(7, lambda name=name: woken.put_nowait(f"{name} account"))
        changes.subscribe_account(8, lambda: woken.put_nowait("wrong account"))
        changes.subscribe_queue(lambda name=name: woken.put_nowait(f"{name} queue"))
        changes.subscribe_directory(lambda name=name: woken.put_nowait(f"{name} directory"))
    pair[0].publish(AccountChanged(7))
    assert woken.empty()  # not inside the call
    assert {await woken.get(), await woken.get()} == {"a account", "b account"}
    pair[1].publish(QueueChanged())
    assert {await woken.get(), await woken.get()} == {"a queue", "b queue"}
    pair[1].publish(DirectoryChanged())
    assert {await woken.get(), await woken.get()} == {"a directory", "b directory"}
    assert woken.empty()


async def test_unsubscribed_is_left_alone(pair) -> None:
    first, last = asyncio.Event(), asyncio.Event()
    unsubscribe = pair[0].subscribe_account(7, first.set)
    pair[0].subscribe_account(7, last.set)
    unsubscribe()
    unsubscribe()
    pair[1].publish(AccountChanged(7))
    await last.wait()
    assert not first.is_set()


async def test_one_may_unsubscribe_while_woken(pair) -> None:
    last = asyncio.Event()
    undo = []
    undo.append(pair[0].subscribe_account(7, lambda: undo[0]()))
    pair[0].subscribe_account(7, last.set)
    pair[0].publish(AccountChanged(7))
    await last.wait()


async def test_garbage_is_ignored(pair, tmp_path: Path) -> None:
    event = asyncio.Event()
    pair[0].subscribe_account(7, event.set)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        for octets in (b"", b"A", b"A1234567", b"A" + bytes(100), b"Qx", b"Z", b"D\0"):
            sock.sendto(octets, str(tmp_path / "0.sock"))
    pair[1].publish(AccountChanged(7))
    await event.wait()


async def test_a_full_sibling_does_not_block(pair) -> None:
    for _ in range(10_000):  # the other side's loop does not turn meanwhile
        pair[0].publish(AccountChanged(7))


async def test_a_dead_predecessors_socket_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        changes = DatagramChanges(tmp_path / "x.sock", ())
        changes.start()
        (tmp_path / "x.sock").rename(tmp_path / "kept")
        changes.close()
        (tmp_path / "kept").rename(tmp_path / "x.sock")
    assert (tmp_path / "x.sock").exists()


async def test_another_process_is_heard(pair, tmp_path: Path) -> None:
    event = asyncio.Event()
    pair[0].subscribe_account(7, event.set)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-c", PUBLISHER, str(tmp_path / "other.sock"), str(tmp_path / "0.sock")]
    process = await asyncio.create_subprocess_exec(*arguments, env=environment)
    await event.wait()
    assert await process.wait() == 0
