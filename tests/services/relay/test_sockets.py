"""The relay over real sockets, against a server that shares no code with it."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest
import trustme
from aiosmtpd.smtp import SMTP, Envelope, Session
from tests.services.relay.jobs import Octets, job

from sekisho.adapters.net.dialer import AsyncioDialer
from sekisho.adapters.net.tls import ClientContexts
from sekisho.config.schema import RelaySettings
from sekisho.ports.stream import Endpoint
from sekisho.services.relay.relay import Relay
from sekisho.services.relay.surroundings import RelayPorts
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.zones import ZoneResolver

CONTENT = b"Subject: hi\r\n\r\n" + b".some text of a line that begins with a dot\r\n" * 10_000


class Sink:
    def __init__(self) -> None:
        self.received: list[tuple[list[str], bytes, bool]] = []
        self.sessions: set[int] = set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        assert isinstance(envelope.content, bytes)
        self.received.append((envelope.rcpt_tos, envelope.content, session.ssl is not None))
        self.sessions.add(id(server))
        return "250 OK"


@pytest.fixture(scope="module")
def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert("mx.example.com").configure_cert(context)
    return context


async def start(sink: Sink, context: ssl.SSLContext | None) -> tuple[asyncio.Server, int]:
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(sink, hostname="mx.example.com", enable_SMTPUTF8=True, tls_context=context),
        "127.0.0.1",
        0,
    )
    return server, server.sockets[0].getsockname()[1]


def make_relay(port: int, journal: MemoryJournal, own: frozenset[Endpoint] = frozenset()) -> Relay:
    zone = "example.com MX 10 mx.example.com\nmx.example.com A 127.0.0.1"
    ports = RelayPorts(
        resolver=ZoneResolver(zone),
        dialer=AsyncioDialer(ClientContexts()),
        clock=ManualClock(),
        dice=SeededDice(),
        journal=journal,
        metrics=MemoryMetrics(),
    )
    return Relay("mail.sender.example", RelaySettings(port=port), ports, own_endpoints=own)


@pytest.fixture
async def sink_port(server_context: ssl.SSLContext) -> AsyncIterator[tuple[Sink, int]]:
    sink = Sink()
    server, port = await start(sink, server_context)
    yield sink, port
    server.close()


async def test_several_messages_over_one_tls_connection(sink_port: tuple[Sink, int]) -> None:
    sink, port = sink_port
    relay = make_relay(port, MemoryJournal())
    for content in (CONTENT, b"Subject: small\r\n\r\nx\r\n", CONTENT):
        (outcome,) = await relay.carry(job("bob@example.com"), Octets(content))
        assert outcome.result == "delivered"
        assert sink.received[-1] == (["bob@example.com"], content, True)
    assert len(sink.sessions) == 1
    await relay.close()


async def test_without_tls_where_there_is_none() -> None:
    sink = Sink()
    server, port = await start(sink, None)
    relay = make_relay(port, MemoryJournal())
    (outcome,) = await relay.carry(job("bob@example.com"), Octets(CONTENT))
    assert outcome.result == "delivered" and sink.received == [(["bob@example.com"], CONTENT, False)]
    await relay.close()
    server.close()


async def test_a_server_with_a_hopeless_handshake_gets_the_message_in_the_clear() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate: no handshake can succeed
    sink, journal = Sink(), MemoryJournal()
    server, port = await start(sink, context)
    relay = make_relay(port, journal)
    (outcome,) = await relay.carry(job("bob@example.com"), Octets(CONTENT))
    assert outcome.result == "delivered" and sink.received[0][2] is False
    assert "relay.tls_failed" in journal.kinds()
    await relay.close()
    server.close()


async def test_a_connection_that_ends_here_is_a_loop(sink_port: tuple[Sink, int]) -> None:
    _, port = sink_port
    relay = make_relay(port, MemoryJournal(), frozenset({Endpoint(ip_address("0.0.0.0"), port)}))
    (outcome,) = await relay.carry(job("bob@example.com"), Octets(CONTENT))
    assert str(outcome.reply).startswith("554 5.4.6")
    await relay.close()


async def test_nobody_listens() -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    relay = make_relay(port, MemoryJournal())
    (outcome,) = await relay.carry(job("bob@example.com"), Octets(CONTENT))
    assert outcome.result == "deferred" and str(outcome.reply).startswith(
        "451 4.4.1 Cannot connect to mx.example.com [127.0.0.1]: "
    )
    await relay.close()
