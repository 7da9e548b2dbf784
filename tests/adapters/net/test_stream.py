"""The stream's promises, on stock asyncio and on uvloop."""

import asyncio
import hashlib
import socket
import ssl
import sys
from ipaddress import ip_address

import pytest
from tests.adapters.net.conftest import Papers, Wire, read_exactly

from sekisho.adapters.net import stream as stream_module
from sekisho.adapters.net.tls import ClientContexts
from sekisho.adapters.net.tlslayer import iana_cipher_name
from sekisho.ports.stream import ConnectionLost, PlaintextInjected, StreamTimeout, TlsFailed


async def both_tls(wire: Wire):
    server, client = await wire.pair()
    await asyncio.gather(server.start_tls_server(), client.start_tls_client("mx.example.test"))
    return server, client


@pytest.fixture(params=["plain", "tls"])
async def pair(wire: Wire, request: pytest.FixtureRequest):
    return await (wire.pair() if request.param == "plain" else both_tls(wire))


async def test_octets_go_both_ways(pair) -> None:
    server, client = pair
    server.write(b"220 ")
    server.write(b"hello\r\n")
    assert await read_exactly(client, 11) == b"220 hello\r\n"
    client.write(b"EHLO x\r\n")
    assert await server.read(30) == b"EHLO x\r\n"
    assert not server.has_input


async def arrives(stream) -> bool:
    for _ in range(100_000):
        if stream.may_have_input:
            return True
        await asyncio.sleep(0)
    return False


async def test_what_lies_in_the_kernel_is_noticed(pair) -> None:
    server, client = pair
    assert not server.may_have_input
    server._transport.pause_reading()
    client.write(b"too early")
    assert await arrives(server)
    assert not server.has_input
    server._transport.resume_reading()
    assert await server.read(30) == b"too early"
    assert not server.may_have_input
    client.abort()
    assert await arrives(server)


async def test_nodelay_is_set(pair) -> None:
    for stream in pair:
        assert (
            stream._transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        )


async def test_unread_comes_first(pair) -> None:
    server, client = pair
    client.write(b"abc")
    octets = await read_exactly(server, 3)
    server.unread(octets[1:])
    assert server.has_input
    assert await server.read(30) == b"bc"


async def test_orderly_end_is_empty(pair) -> None:
    server, client = pair
    client.write(b"QUIT\r\n")
    await client.close()
    assert await read_exactly(server, 6) == b"QUIT\r\n"
    assert await server.read(30) == b""
    assert await server.read(30) == b""
    await server.close()
    with pytest.raises(ConnectionLost):
        await server.read(30)


async def test_reset_is_connection_lost(pair) -> None:
    server, client = pair
    client._transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0"
    )
    client.abort()
    with pytest.raises(ConnectionLost):
        await server.read(30)
    with pytest.raises(ConnectionLost):
        await server.drain(30)
    server.write(b"into the void")
    await server.close()


async def test_end_without_close_notify_is_connection_lost(wire: Wire) -> None:
    server, client = await both_tls(wire)
    client.write(b"MAIL")
    await client.drain()
    client._transport.close()  # FIN without close_notify
    assert await read_exactly(server, 4) == b"MAIL"
    with pytest.raises(ConnectionLost, match="close_notify"):
        await server.read(30)


async def test_read_times_out_and_works_again(pair) -> None:
    server, client = pair
    with pytest.raises(StreamTimeout):
        await server.read(0.01)
    client.write(b"x")
    assert await server.read(30) == b"x"
    with pytest.raises(StreamTimeout):
        await server.read(0.01)


async def test_shorter_deadline_after_a_longer_one(pair) -> None:
    server, client = pair
    client.write(b"x")
    assert await server.read(3000) == b"x"
    with pytest.raises(StreamTimeout):
        await server.read(0.01)


async def test_cancelled_read_loses_nothing(pair) -> None:
    server, client = pair
    task = asyncio.ensure_future(server.read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    client.write(b"late")
    assert await server.read(30) == b"late"


async def test_two_readers_are_a_mistake(pair) -> None:
    server, _ = pair
    task = asyncio.ensure_future(server.read())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        await server.read()
    task.cancel()


async def test_slow_reader_holds_the_writer_back(pair) -> None:
    server, client = pair
    octets = bytes(range(256)) * 65536  # 16 MiB: more than the kernel takes
    server.write(octets)
    with pytest.raises(StreamTimeout):
        await server.drain(0.05)
    assert server._transport.get_write_buffer_size() <= len(octets) if server.tls is None else 1_000_000
    await asyncio.sleep(0)
    assert client._held <= 2 * stream_module.HELD_OCTETS  # nobody reads: the peer is throttled
    received = bytearray()
    while len(received) < len(octets):
        received += await client.read(30)
    assert received == octets
    await server.drain(30)


async def test_tls_writes_wait_in_slices(wire: Wire) -> None:
    server, client = await both_tls(wire)
    server.write(bytes(16 << 20))
    with pytest.raises(StreamTimeout):
        await server.drain(0.05)
    assert server._transport.get_write_buffer_size() <= 4 * stream_module.WAITING_OCTETS
    assert server._out_octets > 1 << 20
    client.abort()


async def test_many_small_writes_become_one(wire: Wire) -> None:
    server, client = await wire.pair()
    sent = []
    transport, real = server._transport, server._transport.write

    class Spy:
        def __getattr__(self, name):
            return getattr(transport, name)

        def write(self, octets):
            sent.append(bytes(octets))
            real(octets)

    server._transport = Spy()  # type: ignore[assignment]
    for _ in range(50):
        server.write(b"250 OK\r\n")
    assert await read_exactly(client, 400) == b"250 OK\r\n" * 50
    assert len(sent) == 1


async def test_close_flushes_a_large_reply(pair) -> None:
    server, client = pair
    server.write(bytes(1_000_000))
    closing = asyncio.ensure_future(server.close())
    assert len(await read_exactly(client, 1_000_000)) == 1_000_000
    assert await client.read(30) == b""
    await client.close()
    await closing


async def test_close_does_not_wait_for_ever(pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "CLOSE_SECONDS", 0.05)
    server, _client = pair
    server.write(bytes(16 << 20))
    await server.close()
    assert server.is_closing
    await server.close()


# ---------------------------------------------------------------- STARTTLS


async def test_command_in_the_flight_of_finished_is_kept(wire: Wire) -> None:
    """The client sends Finished and its first command in one segment: 50 times each way round."""
    for number in range(50):
        server, client = await wire.pair()
        client.write(b"STARTTLS\r\n")
        assert await server.read(30) == b"STARTTLS\r\n"
        server.write(b"220 go\r\n")

        async def upgraded(client=client, number=number) -> None:
            assert await client.read(30) == b"220 go\r\n"
            await client.start_tls_client("mx.example.test")
            client.write(b"EHLO %d\r\n" % number)

        task = asyncio.ensure_future(upgraded())
        info = await server.start_tls_server(30)
        assert info.version == "TLSv1.3"
        assert info.sni == "mx.example.test"
        expected = b"EHLO %d\r\n" % number
        assert await read_exactly(server, len(expected)) == expected
        await task
        server.write(b"250 ok\r\n")
        assert await client.read(30) == b"250 ok\r\n"


VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


class RawTls:
    """The other side by hand: what it says next leaves in the segment of its last handshake message."""

    def __init__(
        self,
        context: ssl.SSLContext,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        server_side: bool,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = None if server_side else "mx.example.test"
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=name
        )
        self._reader, self._writer = reader, writer

    async def handshake_and_say(self, octets: bytes) -> None:
        done = False
        while not done:
            try:
                self.tls.do_handshake()
                done = True
                self.tls.write(octets)
            except ssl.SSLWantReadError:
                pass
            if self._outgoing.pending:
                self._writer.write(self._outgoing.read())
            if not done:
                more = await self._reader.read(65536)
                assert more
                self._incoming.write(more)


@VERSIONS
async def test_client_speaks_in_the_segment_of_its_finished(wire: Wire, version: ssl.TLSVersion) -> None:
    context = ClientContexts().context("none")
    context.minimum_version = context.maximum_version = version
    for number in range(50):
        server, reader, writer = await wire.raw()
        task = asyncio.ensure_future(server.start_tls_server(30))
        await asyncio.sleep(0)  # the handshake has begun
        await RawTls(context, reader, writer, server_side=False).handshake_and_say(b"EHLO %d\r\n" % number)
        await task
        assert await server.read(30) == b"EHLO %d\r\n" % number
        writer.close()


@VERSIONS
async def test_server_speaks_in_the_segment_of_its_finished(wire: Wire, version: ssl.TLSVersion) -> None:
    context = wire.dialer._tls.context("none")
    context.minimum_version = context.maximum_version = version
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    listening = await asyncio.start_server(lambda *pair: accepted.put_nowait(pair), "127.0.0.1", 0)
    for number in range(50):
        port = listening.sockets[0].getsockname()[1]
        client = await wire.dialer.connect(ip_address("127.0.0.1"), port, source=None, timeout_seconds=30)
        reader, writer = await accepted.get()
        task = asyncio.ensure_future(client.start_tls_client("mx.example.test"))
        await RawTls(wire.side.context(), reader, writer, server_side=True).handshake_and_say(
            b"220 %d\r\n" % number
        )
        await task
        assert await client.read(30) == b"220 %d\r\n" % number
        client.abort()
        writer.close()
    listening.close()


async def test_plaintext_behind_starttls_ends_the_connection(wire: Wire) -> None:
    server, _reader, writer = await wire.raw()
    writer.write(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
    octets = await read_exactly(server, 10)
    assert octets == b"STARTTLS\r\n"
    server.write(b"220 go\r\n")
    with pytest.raises(PlaintextInjected):
        await server.start_tls_server(30)
    with pytest.raises(ConnectionLost):
        await server.read(30)
    writer.close()


async def test_plaintext_instead_of_a_client_hello(wire: Wire) -> None:
    server, _reader, writer = await wire.raw()
    task = asyncio.ensure_future(server.start_tls_server(30))
    await asyncio.sleep(0)
    writer.write(b"MAIL FROM:<evil@example.org>\r\n")
    with pytest.raises(PlaintextInjected):
        await task
    assert wire.side.failures[0] is not None
    writer.close()


@pytest.mark.parametrize("together", [True, False])
async def test_client_aborts_on_plaintext_behind_the_220(wire: Wire, together: bool) -> None:
    server, client = await wire.pair()
    if together:
        server.write(b"220 go\r\n250 injected\r\n")
        assert await read_exactly(client, 8) == b"220 go\r\n"
    else:
        server.write(b"220 go\r\n")
        assert await client.read(30) == b"220 go\r\n"
        server.write(b"250 injected\r\n")
    with pytest.raises(PlaintextInjected):
        await client.start_tls_client("mx.example.test")
    assert client.is_closing


async def test_plaintext_never_passes_into_tls(wire: Wire) -> None:
    """Whatever the timing: octets of before the handshake are not readable after it."""
    server, client = await both_tls(wire)
    client.write(b"inside")
    assert await server.read(30) == b"inside"
    with pytest.raises(RuntimeError):
        await server.start_tls_server()


async def test_handshake_deadline(wire: Wire) -> None:
    server, _client = await wire.pair()
    with pytest.raises(StreamTimeout):
        await server.start_tls_server(0.01)
    assert server.is_closing


async def test_end_of_file_in_the_handshake(wire: Wire) -> None:
    server, client = await wire.pair()
    task = asyncio.ensure_future(server.start_tls_server(30))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ConnectionLost, match="handshake"):
        await task


async def test_garbage_handshake_fails_with_an_alert(wire: Wire) -> None:
    server, reader, writer = await wire.raw()
    writer.write(b"\x16\x03\x01\x00\x05hello")
    with pytest.raises(TlsFailed):
        await server.start_tls_server(30)
    assert (await reader.read(1))[0] == 0x15
    writer.close()


@pytest.mark.parametrize(
    "name",
    [b"\xff\xfe.example.test", b"mx.example.test\\", b"mx\n.example.test"],
    ids=["octets", "backslash", "newline"],
)
async def test_hostile_server_name(wire: Wire, name: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never written down, never looked up: an unknown name gets the default chain, what is not ASCII an
    alert."""
    strays = []
    monkeypatch.setattr(sys, "unraisablehook", strays.append)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ClientContexts().context("none").wrap_bio(incoming, outgoing, server_hostname="x" * len(name))
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    server, reader, writer = await wire.raw()
    task = asyncio.ensure_future(server.start_tls_server(30))
    await asyncio.sleep(0)
    writer.write(outgoing.read().replace(b"x" * len(name), name))
    record = (await reader.readexactly(1))[0]
    if name.isascii():
        assert record == 0x16  # it answers; the transcript does not match ours, so it goes no further
        server.abort()
    else:
        assert record == 0x15
    with pytest.raises((TlsFailed, ConnectionLost)):
        await task
    assert len(strays) == (not name.isascii())
    assert server.tls is None
    writer.close()


async def test_verified_client(wire: Wire, papers: Papers) -> None:
    server, client = await wire.pair()
    _, info = await asyncio.gather(
        server.start_tls_server(), client.start_tls_client("mx.example.test.", verify="pkix")
    )
    assert info.verified
    assert info.sni == "mx.example.test"
    assert len(info.peer_chain) >= 1
    assert info.peer_chain[0] == ssl.PEM_cert_to_DER_cert(
        papers.materials[0].cert_pem.decode().split("-----END")[0] + "-----END CERTIFICATE-----"
    )


@pytest.mark.parametrize("name", ["mx.example.test", "mail.other.test", "unknown.test"])
async def test_both_sides_know_the_same_end_point(wire: Wire, name: str) -> None:
    server, client = await wire.pair()
    mine, theirs = await asyncio.gather(server.start_tls_server(), client.start_tls_client(name))
    assert mine.end_point == hashlib.sha256(theirs.peer_chain[0]).digest() and theirs.end_point == b""


@pytest.mark.parametrize("name", ["wrong.example.test", "192.0.2.1"])
async def test_wrong_name_is_refused_only_when_verifying(wire: Wire, name: str) -> None:
    server, client = await wire.pair()
    results = await asyncio.gather(
        server.start_tls_server(), client.start_tls_client(name, verify="pkix"), return_exceptions=True
    )
    assert isinstance(results[1], TlsFailed)
    assert "certificate verify failed" in str(results[1])
    server, client = await wire.pair()
    _, info = await asyncio.gather(server.start_tls_server(), client.start_tls_client(name))
    assert not info.verified


async def test_unknown_authority_is_refused_when_verifying(wire: Wire) -> None:
    wire.dialer._tls = ClientContexts()
    server, client = await wire.pair()
    results = await asyncio.gather(
        server.start_tls_server(),
        client.start_tls_client("mx.example.test", verify="pkix"),
        return_exceptions=True,
    )
    assert isinstance(results[1], TlsFailed)


async def test_impossible_server_name(wire: Wire) -> None:
    _server, client = await wire.pair()
    with pytest.raises(TlsFailed):
        await client.start_tls_client(".example.test")


async def test_garbage_inside_tls_is_connection_lost(wire: Wire) -> None:
    server, client = await both_tls(wire)
    client._transport.write(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ConnectionLost, match="TLS"):
        await server.read(30)


def test_iana_names() -> None:
    assert iana_cipher_name("TLS_AES_256_GCM_SHA384") == "TLS_AES_256_GCM_SHA384"
    assert iana_cipher_name("ECDHE-RSA-AES128-GCM-SHA256") == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert (
        iana_cipher_name("ECDHE-ECDSA-CHACHA20-POLY1305") == "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"
    )
    assert iana_cipher_name("ECDHE-RSA-AES256-SHA") == "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"
    assert iana_cipher_name("AES128-GCM-SHA256") == "TLS_RSA_WITH_AES_128_GCM_SHA256"
    assert iana_cipher_name("AES128-SHA") == "TLS_RSA_WITH_AES_128_CBC_SHA"
