"""The control socket: lines in, lines out, garbage harmless."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from sekisho.adapters.process import control
from sekisho.adapters.process.control import (
    CONNECTIONS,
    OPERATIONS,
    REQUEST_OCTETS,
    ControlProblem,
    ControlServer,
    ServerNotRunning,
    ask_server,
)
from sekisho.testing.records import MemoryJournal


class Gate:
    """Answers wait before it; `asked` counts them."""

    def __init__(self) -> None:
        self.asked, self.open = asyncio.Semaphore(0), asyncio.Event()

    async def full(self) -> None:
        for _ in range(OPERATIONS):
            await self.asked.acquire()


async def _started(path: Path, journal: MemoryJournal, gate: Gate | None = None) -> ControlServer:
    async def answer(request: bytes, uid: int) -> bytes:
        if gate is not None:
            gate.asked.release()
            await gate.open.wait()
        if request == b"fail":
            raise RuntimeError("broken on purpose")
        return request.upper() + b" for %d" % uid

    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    server = ControlServer(answer, journal, b"BUSY")
    await server.start([sock])
    return server


def _ask(path: Path, *requests: bytes) -> list[bytes]:
    with ask_server(path, 10) as ask:
        return [ask(request) for request in requests]


async def test_requests_in_one_conversation(tmp_path: Path) -> None:

    path = tmp_path / "control.sock"
    server = await _started(path, MemoryJournal())
    uid = b"%d" % os.getuid()
    assert await asyncio.to_thread(_ask, path, b"one", b"two") == [b"ONE for " + uid, b"TWO for " + uid]
    server.close()


async def test_an_own_bug_ends_only_that_conversation(tmp_path: Path) -> None:
    path, journal = tmp_path / "control.sock", MemoryJournal()
    server = await _started(path, journal)
    with pytest.raises(ControlProblem):
        await asyncio.to_thread(_ask, path, b"fail")
    assert [where for where, _ in journal.faults] == ["control"]
    assert len(await asyncio.to_thread(_ask, path, b"again")) == 1
    server.close()


async def _connections(path: Path, count: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    return [await asyncio.open_unix_connection(str(path)) for _ in range(count)]


async def test_the_seventeenth_is_answered_beside_sixteen_silent_ones(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    server = await _started(path, MemoryJournal())
    silent = await _connections(path, OPERATIONS)
    assert len(await asyncio.to_thread(_ask, path, b"one")) == 1
    for _, writer in silent:
        writer.close()
    server.close()


async def test_who_asks_while_many_are_answered_waits_in_line(tmp_path: Path) -> None:
    path, gate = tmp_path / "control.sock", Gate()
    server = await _started(path, MemoryJournal(), gate)
    asking = await _connections(path, OPERATIONS + 5)
    for _, writer in asking:
        writer.write(b"x\n")
    await gate.full()
    gate.open.set()
    for reader, writer in asking:
        assert (await reader.readline()).startswith(b"X for ")
        writer.close()
    server.close()


async def test_who_waited_too_long_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "WAIT_SECONDS", 0.05)
    path, gate = tmp_path / "control.sock", Gate()
    server = await _started(path, MemoryJournal(), gate)
    asking = await _connections(path, OPERATIONS)
    for _, writer in asking:
        writer.write(b"x\n")
    await gate.full()
    assert await asyncio.to_thread(_ask, path, b"one") == [b"BUSY"]
    gate.open.set()
    for reader, writer in asking:
        assert (await reader.readline()).startswith(b"X for ")
        writer.close()
    server.close()


@pytest.mark.parametrize("request_", [b"one", b"x" * 500_000])
async def test_one_connection_too_many_is_told(tmp_path: Path, request_: bytes) -> None:
    path = tmp_path / "control.sock"
    server = await _started(path, MemoryJournal())
    silent = await _connections(path, CONNECTIONS)
    assert await asyncio.to_thread(_ask, path, request_) == [b"BUSY"]
    for _, writer in silent:
        writer.close()
    server.close()


async def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    server = await _started(path, MemoryJournal())
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(b"x" * (2 * REQUEST_OCTETS + 2))
    try:
        await writer.drain()
        assert await reader.read() == b""
    except ConnectionError:
        pass  # the server hung up while we were still sending
    writer.close()
    assert len(await asyncio.to_thread(_ask, path, b"again")) == 1
    server.close()


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(ServerNotRunning), ask_server(tmp_path / "nothing.sock"):
        pass
