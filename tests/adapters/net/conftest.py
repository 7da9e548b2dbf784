"""Certificates and connected pairs of streams, on both loops."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
import trustme
import uvloop

from sekisho.adapters.net.dialer import AsyncioDialer
from sekisho.adapters.net.stream import RECEIVE_OCTETS, SocketStream
from sekisho.adapters.net.tls import CertificateMaterial, ClientContexts, ServerContexts
from sekisho.ports.stream import ListenerInfo


@dataclass(frozen=True)
class Papers:
    authority: trustme.CA
    ca_file: Path
    materials: tuple[CertificateMaterial, ...]

    def issue(self, *names: str) -> CertificateMaterial:
        return material(self.authority, *names)


def material(authority: trustme.CA, *names: str) -> CertificateMaterial:
    leaf = authority.issue_cert(*names, key_type=trustme.KeyType.ECDSA)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return CertificateMaterial(chain, leaf.private_key_pem.bytes(), names, "test")


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return Papers(
        authority,
        ca_file,
        (material(authority, "mx.example.test"), material(authority, "mail.other.test", "*.wild.test")),
    )


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every asynchronous test here runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Side:
    """ServerTls of a test."""

    def __init__(self, contexts: ServerContexts, kind: str) -> None:
        self._contexts, self._kind = contexts, kind
        self.failures: list[str | None] = []

    def context(self) -> ssl.SSLContext:
        return self._contexts.context(self._kind)

    def handshake_ended(self, failure: str | None) -> None:
        self.failures.append(failure)


class Wire:
    """Servers on loopback whose streams a test takes one by one, and clients to them."""

    def __init__(self, papers: Papers) -> None:
        self.side = Side(ServerContexts(papers.materials), "smtp")
        self.dialer = AsyncioDialer(ClientContexts(papers.ca_file))
        self.accepted: asyncio.Queue[SocketStream] = asyncio.Queue()
        self._space = memoryview(bytearray(RECEIVE_OCTETS))
        self._streams: list[SocketStream] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SocketStream(self._space, on_connected=self.accepted.put_nowait, server_tls=self.side),
            "127.0.0.1",
            0,
        )
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def pair(self) -> tuple[SocketStream, SocketStream]:
        """(server side, client side)"""
        client = await self.dialer.connect(
            ip_address("127.0.0.1"), self.port, source=None, timeout_seconds=30
        )
        server = await self.accepted.get()
        assert isinstance(client, SocketStream)
        self._streams += [client, server]
        return server, client

    async def raw(self) -> tuple[SocketStream, asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        server = await self.accepted.get()
        self._streams.append(server)
        return server, reader, writer

    def stop(self) -> None:
        self._server.close()
        for stream in self._streams:
            stream.abort()


@pytest.fixture
async def wire(papers: Papers) -> AsyncIterator[Wire]:
    wire = Wire(papers)
    await wire.start()
    yield wire
    wire.stop()


Handler = Callable[[SocketStream, ListenerInfo], Awaitable[None]]


async def read_exactly(stream: SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = await stream.read(30)
        assert more, f"end after {len(data)} octets"
        data += more
    stream.unread(data[count:])
    return data[:count]
