"""The CLI talks to the running server: one JSON object a line over a Unix socket, for root and the service user only.

`{"op": "queue.list", "args": {…}}` → `{"ok": …}` or `{"error": "sentence"}`.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sekisho.ports.directory import DirectoryError
from sekisho.ports.journal import Journal

REQUEST_OCTETS = 1_048_576
ANSWER_OCTETS = 256 * 1_048_576
REQUEST_SECONDS = 30.0
OPERATION_SECONDS = 600.0
CONNECTIONS = 16

Operation = Callable[[dict[str, Any]], Awaitable[Any]]


class ControlError(Exception):
    """An operation's refusal; the message is a sentence for the operator."""


class ServerNotRunning(Exception):
    """Nobody answers at the control socket."""


class _Request(msgspec.Struct):
    op: str
    args: dict[str, Any] = {}


class ControlServer:
    """In each worker. What an operation returns is written as JSON; ControlError and DirectoryError become the error sentence."""

    def __init__(self, operations: Mapping[str, Operation], journal: Journal) -> None:
        self._operations = operations
        self._journal = journal
        self._allowed = {0, os.geteuid()}
        self._servers: list[asyncio.Server] = []
        self._open = 0

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        for sock in sockets:
            self._servers.append(await asyncio.start_unix_server(self._serve, sock=sock, limit=REQUEST_OCTETS))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > CONNECTIONS:
                await self._send(writer, {"error": "too many control connections; try again"})
            elif _peer_uid(writer) not in self._allowed:
                await self._send(writer, {"error": "only root and the user of the server may do this"})
            else:
                while await self._serve_one(reader, writer):
                    pass
        except (OSError, TimeoutError):
            pass  # the client went away or says nothing
        finally:
            self._open -= 1
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; False when the connection is over."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return False
        except asyncio.LimitOverrunError:
            await self._send(writer, {"error": f"a request may have {REQUEST_OCTETS} octets"})
            return False
        await self._send(writer, await self._answer(line))
        return True

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=_Request)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            return {"error": 'a request is one line: {"op": "name", "args": {}}'}
        operation = self._operations.get(request.op)
        if operation is None:
            return {"error": f"there is no operation {request.op[:100]!r} in this version of the server"}
        try:
            async with asyncio.timeout(OPERATION_SECONDS):
                return {"ok": await operation(request.args)}
        except (ControlError, DirectoryError) as refusal:
            return {"error": str(refusal)}
        except Exception as error:
            return {"error": f"internal error {self._journal.fault(f'control.{request.op}', error)}; its traceback is in the log"}

    async def _send(self, writer: asyncio.StreamWriter, answer: dict[str, Any]) -> None:
        try:
            data = msgspec.json.encode(answer)
        except (TypeError, ValueError, RecursionError) as error:
            data = msgspec.json.encode(
                {"error": f"internal error {self._journal.fault('control.answer', error)}; its traceback is in the log"}
            )
        async with asyncio.timeout(REQUEST_SECONDS):
            writer.write(data + b"\n")
            await writer.drain()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    _pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(uid)


def call_server(path: Path, op: str, args: Mapping[str, Any] | None = None, timeout_seconds: float = OPERATION_SECONDS) -> Any:
    """For the CLI, synchronous. Raises ServerNotRunning, ControlError with the server's sentence, OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_seconds)
        try:
            sock.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise ServerNotRunning(f"no server is running at {path}") from None
        sock.sendall(msgspec.json.encode({"op": op, "args": args or {}}) + b"\n")
        answer = _read_line(sock)
    result = msgspec.json.decode(answer, type=dict[str, Any])
    if "ok" in result:
        return result["ok"]
    raise ControlError(str(result.get("error", "the server gave an answer that this version does not know")))


def _read_line(sock: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        more = sock.recv(65536)
        if not more:
            raise ControlError("the server closed the connection without an answer; look into its log")
        data += more
        if len(data) > ANSWER_OCTETS:
            raise ControlError("the server's answer is too long")
    return bytes(data)
