"""The CLI talks to the running server: a line asks, a line answers, over a Unix socket for root and the
service user only.

What the lines say is the business of `admin.operations`; here they are bounded in size and time.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sekisho.ports.journal import Journal

REQUEST_OCTETS = 1_048_576
ANSWER_OCTETS = 256 * 1_048_576
REQUEST_SECONDS = 30.0
OPERATION_SECONDS = 600.0
OPERATIONS = 16  # at once, in one worker; further ones wait in line
WAIT_SECONDS = 60.0
CONNECTIONS = 64

Answer = Callable[[bytes, int], Awaitable[bytes]]


class ControlProblem(Exception):
    """The conversation with the server broke; the message is a sentence for the operator."""


class ServerNotRunning(Exception):
    """Nobody answers at the control socket."""


class ControlServer:
    """In each worker. `answer` gets one line without its end and the asker's uid, and gives one line. `busy`
    is what those get to read who cannot be answered, since too many ask."""

    def __init__(self, answer: Answer, journal: Journal, busy: bytes) -> None:
        self._answer = answer
        self._journal = journal
        self._busy = busy
        self._line = asyncio.Semaphore(OPERATIONS)
        self._allowed = {0, os.geteuid()}
        self._servers: list[asyncio.Server] = []
        self._open = 0

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        for sock in sockets:
            self._servers.append(
                await asyncio.start_unix_server(self._serve, sock=sock, limit=REQUEST_OCTETS)
            )

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            uid = _peer_uid(writer)
            if uid not in self._allowed:
                return
            if self._open > CONNECTIONS:
                writer.write(self._busy + b"\n")
                return
            while await self._serve_one(reader, writer, uid):
                pass
        except (OSError, TimeoutError):
            pass  # the client went away or says nothing
        finally:
            self._open -= 1
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, uid: int) -> bool:
        """One request; False when the connection is over."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                line = await reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._line.acquire()
        except TimeoutError:
            answer = self._busy
        else:
            try:
                async with asyncio.timeout(OPERATION_SECONDS):
                    answer = await self._answer(line[:-1], uid)
            except Exception as error:
                self._journal.fault("control", error)
                return False
            finally:
                self._line.release()
        async with asyncio.timeout(REQUEST_SECONDS):
            writer.write(answer + b"\n")
            await writer.drain()
        return True


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    _pid, uid, _gid = struct.unpack(
        "3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return int(uid)


@contextmanager
def ask_server(path: Path, timeout_seconds: float = OPERATION_SECONDS) -> Iterator[Callable[[bytes], bytes]]:
    """A conversation for the CLI, synchronous: request line in, answer line out (both without their ends).

    Raises ServerNotRunning, PermissionError; asking raises ControlProblem, TimeoutError.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_seconds)
        try:
            sock.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            raise ServerNotRunning(f"no server is running at {path}") from None

        def ask(request: bytes) -> bytes:
            try:
                sock.sendall(request + b"\n")
            except ConnectionError:
                pass  # it may have said why before it closed
            return _read_line(sock)

        yield ask


def _read_line(sock: socket.socket) -> bytes:
    data = bytearray()
    while not data.endswith(b"\n"):
        try:
            more = sock.recv(65536)
        except ConnectionError:
            more = b""
        if not more:
            raise ControlProblem("the server closed the connection without an answer; look into its log")
        data += more
        if len(data) > ANSWER_OCTETS:
            raise ControlProblem("the server's answer is too long")
    return bytes(data[:-1])
