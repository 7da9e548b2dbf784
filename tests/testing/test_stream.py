"""The streams in memory keep the promises of ports.stream."""

import asyncio

import pytest

from sekisho.ports.stream import ConnectionLost, PlaintextInjected, Stream, StreamTimeout, TlsFailed
from sekisho.testing.stream import connected_streams


async def test_octets_arrive_and_the_end_is_empty() -> None:
    client, server = connected_streams()
    end: Stream = server
    client.write(b"EHLO x\r\n")
    assert end.has_input and await end.read(5.0) == b"EHLO x\r\n"
    end.unread(b"x\r\n")
    assert await end.read() == b"x\r\n"
    await client.close()
    assert await end.read() == b""


async def test_tls_needs_both_ends_and_an_empty_buffer() -> None:
    client, server = connected_streams()
    near, far = await asyncio.gather(client.start_tls_client("mx.example"), server.start_tls_server())
    assert near.sni == "mx.example" and far.version == "TLSv1.3"
    client.write(b"inside")
    assert await server.read() == b"inside"


async def test_plaintext_before_the_handshake_ends_the_connection() -> None:
    client, server = connected_streams()
    client.write(b"NOOP\r\n")
    with pytest.raises(PlaintextInjected):
        await server.start_tls_server()
    with pytest.raises(ConnectionLost):
        await client.read()


async def test_plaintext_instead_of_the_handshake_fails_it() -> None:
    client, server = connected_streams()
    handshake = asyncio.create_task(server.start_tls_server())
    await asyncio.sleep(0)
    client.write(b"NOOP\r\n")
    with pytest.raises(TlsFailed):
        await handshake


async def test_a_deadline_passes_when_the_test_says_so() -> None:
    _, server = connected_streams()
    reading = asyncio.create_task(server.read(300.0))
    await asyncio.sleep(0)
    server.expire()
    with pytest.raises(StreamTimeout):
        await reading
    assert server.last_timeout_seconds == 300.0
