"""GET over HTTPS, from a server that is told what to answer."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import h11
import pytest
import trustme

from sekisho.adapters.net.http import get_https

CA = trustme.CA()
Answering = Callable[[bytes], bytes]


@asynccontextmanager
async def server(answer: Answering) -> AsyncIterator[str]:
    """The URL of a server that answers the whole request with these octets and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(await reader.readuntil(b"\r\n\r\n")))
        await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("localhost").configure_cert(context)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listening:
        yield f"https://localhost:{listening.sockets[0].getsockname()[1]}"


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    CA.configure_trust(context)
    return context


async def fetch(answer: Answering, path: str = "/") -> tuple[int, bytes]:
    async with server(answer) as url:
        return await get_https(url + path, trusting(), 1000)


async def test_what_is_asked_and_what_comes() -> None:
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes:
        asked.append(request)
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    assert await fetch(answer, "/a/b?c=d") == (200, b"abcde")
    assert asked[0].startswith(b"GET /a/b?c=d HTTP/1.1\r\n") and b"ost: localhost:" in asked[0]


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.test/\r\nContent-Length: 0\r\n\r\n", (302, b"")),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", (200, b"to the end")),
    ],
)
async def test_other_answers(octets: bytes, expected: tuple[int, bytes]) -> None:
    assert await fetch(lambda _: octets) == expected


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx",
    ],
)
async def test_broken_answers(octets: bytes) -> None:
    with pytest.raises((OSError, h11.ProtocolError)):
        await fetch(lambda _: octets)


async def test_a_server_that_nobody_vouches_for() -> None:
    async with server(lambda _: b"HTTP/1.1 200 OK\r\n\r\n") as url:
        with pytest.raises(ssl.SSLError):
            await get_https(url, ssl.create_default_context(), 1000)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "https://",
        "https://user:pw@localhost/",
        "file:///etc/passwd",
        "",
        "https://localhost:x/",
    ],
)
async def test_urls_that_are_not_asked(url: str) -> None:
    with pytest.raises(ValueError):
        await get_https(url, trusting(), 1000)
