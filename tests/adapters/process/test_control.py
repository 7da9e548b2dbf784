"""The control socket: lines in, lines out, garbage harmless."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from sekisho.adapters.process.control import REQUEST_OCTETS, ControlProblem, ControlServer, ServerNotRunning, ask_server
from sekisho.testing.records import MemoryJournal


async def _started(path: Path, journal: MemoryJournal) -> ControlServer:
    async def answer(request: bytes, uid: int) -> bytes:
        if request == b"fail":
            raise RuntimeError("broken on purpose")
        return request.upper() + b" for %d" % uid

    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    server = ControlServer(answer, journal)
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
