"""Python's own client against real sockets: STARTTLS on one port, TLS from the start on the other."""

import asyncio
import imaplib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import trustme

from sekisho.adapters.clock import SystemDice
from sekisho.adapters.net.caps import CapRefusals
from sekisho.adapters.net.crowd import Crowd, CrowdTools
from sekisho.adapters.net.listener import Listener, ListenerTools
from sekisho.adapters.net.tls import CertificateMaterial, ServerContexts
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.core.policy.crowd import CrowdRules
from sekisho.ports.stream import ListenerInfo

MESSAGE = b"Subject: real\r\nFrom: a@example.test\r\n\r\n" + b"0123456789abcdef\r\n" * 20_000


class Ports:
    def __init__(self, imap: int, imaps: int, context: ssl.SSLContext) -> None:
        self.imap, self.imaps, self.context = imap, imaps, context


@pytest.fixture
async def listening(server: Any) -> AsyncIterator[Ports]:
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
    chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    contexts = ServerContexts(
        [CertificateMaterial(chain, leaf.private_key_pem.bytes(), ("localhost",), "test")]
    )
    refusals = CapRefusals(server.journal, server.clock, SystemDice(), "")
    crowd_tools = CrowdTools(
        counts=SharedConnectionCounts(1, 1000, 1000),
        journal=server.journal,
        metrics=server.metrics,
        clock=server.clock,
        descriptors=1000,
    )
    crowd = Crowd(crowd_tools, CrowdRules())
    tools = ListenerTools(
        tls=contexts,
        crowd=crowd,
        journal=server.journal,
        metrics=server.metrics,
        clock=server.clock,
        hostname="mx.example.test",
        refusals=refusals,
    )
    listeners, ports = [], []
    for info in (ListenerInfo("imap", "imap", True), ListenerInfo("imaps", "imaps", False)):
        listener = Listener(info, server.handler, tools)
        sock = socket.create_server(("127.0.0.1", 0))
        ports.append(sock.getsockname()[1])
        await listener.start([sock])
        listeners.append(listener)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    imap, imaps = ports
    yield Ports(imap, imaps, context)
    for listener in listeners:
        await listener.finish(0.0)
    crowd.close()


async def in_thread(work: Callable[[], None]) -> None:
    await asyncio.wait_for(asyncio.to_thread(work), 60)


async def test_a_whole_session_over_tls(server: Any, listening: Ports) -> None:
    def work() -> None:
        with imaplib.IMAP4_SSL("localhost", listening.imaps, ssl_context=listening.context) as client:
            client.login("alice@example.test", "secret")
            client.enable("NOTHING")
            assert client.append("INBOX", "\\Seen", '"01-Feb-2026 01:02:03 +0900"', MESSAGE)[0] == "OK"
            assert client.select("INBOX") == ("OK", [b"1"])
            _, data = client.fetch("1", "(RFC822)")
            assert data[0][1] == MESSAGE
            assert (
                client.uid("FETCH", "1", "(BODY.PEEK[TEXT]<100.50>)")[1][0][1]
                == MESSAGE.partition(b"\r\n\r\n")[2][100:150]
            )
            assert client.search(None, "SUBJECT", "real") == ("OK", [b"1"])
            assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
            assert client.expunge() == ("OK", [b"1"])
            assert client.create("Work")[0] == "OK"
            assert b'(\\HasNoChildren) "/" "Work"' in client.list()[1]
            assert client.status("Work", "(MESSAGES)")[1] == [b'"Work" (MESSAGES 0)']
            assert client.subscribe("Work")[0] == "OK"
            assert client.namespace()[0] == "OK"
            assert client.close()[0] == "OK"

    await in_thread(work)


async def test_starttls_and_sasl_plain(server: Any, listening: Ports) -> None:
    def work() -> None:
        with imaplib.IMAP4("localhost", listening.imap) as client:
            assert "LOGINDISABLED" in client.capabilities
            with pytest.raises(imaplib.IMAP4.error, match="PRIVACYREQUIRED"):
                client.login("alice@example.test", "secret")
            client.starttls(listening.context)
            assert "LOGINDISABLED" not in client.capabilities
            client.authenticate("PLAIN", lambda _: b"\0alice@example.test\0secret")
            assert client.select("INBOX", readonly=True)[0] == "OK"

    await in_thread(work)


async def test_octets_behind_starttls_end_the_connection(listening: Ports) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", listening.imap)
    assert (await reader.readline()).startswith(b"* OK")
    writer.write(b"a STARTTLS\r\nb LOGIN x y\r\n")
    try:
        rest = await reader.read()
    except OSError:  # an abort may show as a reset
        rest = b""
    assert rest == b""
    writer.close()
