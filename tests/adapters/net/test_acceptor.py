"""Accepting with few descriptors: no busy loop, no lost listener, and at least one of those who wait is
told."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sekisho.adapters.net import acceptor
from sekisho.adapters.net.acceptor import Acceptor


class Poor:
    """A listening socket of a system that has no descriptors while `failing`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.failing: list[int] = []
        self.asked = 0

    def accept(self) -> Any:
        self.asked += 1
        if self.failing:
            raise OSError(self.failing.pop(0), "on purpose")
        return self._sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Door:
    def __init__(self) -> None:
        self.sock = Poor(socket.create_server(("127.0.0.1", 0)))
        self.taken: asyncio.Queue[socket.socket] = asyncio.Queue()
        self.has_room, self.short = True, 0
        sock: Any = self.sock
        self.acceptor = Acceptor(
            sock, self.taken.put_nowait, lambda: self.has_room, self.count, lambda one: one.send(b"421\r\n")
        )
        self.acceptor.start()

    def count(self) -> None:
        self.short += 1

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.sock.getsockname())


@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(acceptor, "PAUSE_SECONDS", 0.01)
    made = Door()
    yield made
    made.acceptor.close()
    while not made.taken.empty():
        made.taken.get_nowait().close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_without_descriptors_one_is_told_and_the_others_wait(door: Door, error: int) -> None:
    door.sock.failing = [error]
    first, writer = await door.connect()
    assert await first.read() == b"421\r\n"
    _, other = await door.connect()
    (await door.taken.get()).close()
    assert door.short == 1 and door.sock.asked < 10
    for one in (writer, other):
        one.close()


async def test_a_client_that_is_gone_again_is_no_reason_to_stop(door: Door) -> None:
    door.sock.failing = [errno.ECONNABORTED, errno.EPROTO]
    _, writer = await door.connect()
    (await door.taken.get()).close()
    assert door.short == 0
    writer.close()


async def test_nobody_is_accepted_while_there_is_no_room(door: Door) -> None:
    door.has_room = False
    _, writer = await door.connect()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(door.taken.get(), 0.05)
    assert door.sock.asked == 0
    door.has_room = True
    (await door.taken.get()).close()
    writer.close()
