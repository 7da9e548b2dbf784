"""clamd and rspamd as far as we talk to them: real sockets, real protocols, small."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import h11


class FakeClamd:
    """Finds what contains b"EVIL"; refuses more than `limit` octets as clamd does."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self.limit = limit
        self.scanned: list[bytes] = []
        self.answer: bytes | None = None
        self.is_silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
            octets = b""
            while length := int.from_bytes(await reader.readexactly(4), "big"):
                octets += await reader.readexactly(length)
                if len(octets) > self.limit:
                    writer.write(b"INSTREAM size limit exceeded. ERROR\0")
                    await writer.drain()
                    return
            self.scanned.append(octets)
            if self.is_silent:
                await reader.read()
                return
            verdict = b"stream: Test.Evil.UNOFFICIAL FOUND\0" if b"EVIL" in octets else b"stream: OK\0"
            writer.write(verdict if self.answer is None else self.answer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class FakeRspamd:
    def __init__(self) -> None:
        self.requests: list[tuple[list[tuple[str, str]], bytes]] = []
        self.status = 200
        self.answer: Any = {"score": 1.5, "required_score": 15.0, "action": "no action", "symbols": {}}
        self.raw: bytes | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http, fields, body = h11.Connection(h11.SERVER), [], b""
        try:
            while True:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(await reader.read(65_536))
                elif isinstance(event, h11.Request):
                    assert (event.method, event.target) == (b"POST", b"/checkv2")
                    fields = [(name.decode(), value.decode()) for name, value in event.headers]
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    break
            self.requests.append((fields, body))
            if self.raw is not None:
                writer.write(self.raw)
            else:
                octets = json.dumps(self.answer).encode()
                head = h11.Response(status_code=self.status, headers=[("Content-Length", str(len(octets)))])
                writer.write(
                    (http.send(head) or b"")
                    + (http.send(h11.Data(data=octets)) or b"")
                    + (http.send(h11.EndOfMessage()) or b"")
                )
            await writer.drain()
        except (ConnectionError, h11.ProtocolError):
            pass
        finally:
            writer.close()


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def listening(serve: Serve, path: Path | None = None) -> AsyncIterator[str]:
    """The place where it listens, as a setting would name it."""
    if path is not None:
        server: asyncio.Server = await asyncio.start_unix_server(serve, str(path))
        place = str(path)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield place
    finally:
        server.close()
