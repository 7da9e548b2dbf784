"""Python's own POP3 client over real sockets and TLS, on both loops: listener, service, authenticator and
memory store together."""

import asyncio
import poplib
import socket
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from tests.stores.opened import OpenStore

from sekisho.adapters.clock import SystemClock, SystemDice
from sekisho.adapters.net.caps import CapRefusals
from sekisho.adapters.net.crowd import Crowd, CrowdTools
from sekisho.adapters.net.listener import Listener, ListenerTools, listener_info
from sekisho.adapters.net.tls import CertificateMaterial, ServerContexts
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.adapters.process.recent import SharedRecent
from sekisho.config.schema import AccessSettings, Limits, LoginSettings
from sekisho.core.policy.crowd import CrowdRules
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Domain
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import Appended
from sekisho.services.access.pop3.service import Pop3Service
from sekisho.services.access.pop3.tools import Pop3Settings, Pop3Tools
from sekisho.services.authentication.authenticator import AuthenticationTools, SaslAuthenticator
from sekisho.services.authentication.passwords import hash_password
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.stream import ManualShutdown

USER, PASSWORD = "alice@example.test", "correct horse é"
MESSAGES = [
    b"Subject: one\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n",
    b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 50_000,
    b"Subject: three\r\n\r\n\r\n",
]
HASHED = hash_password(PASSWORD)


class House:
    """A server on two ports of loopback."""

    def __init__(self) -> None:
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        leaf = authority.issue_cert("pop.example.test", "127.0.0.1", key_type=trustme.KeyType.ECDSA)
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        self.contexts = ServerContexts(
            (CertificateMaterial(chain, leaf.private_key_pem.bytes(), ("pop.example.test",), "test"),)
        )
        self.client_tls = ssl.create_default_context()
        authority.configure_trust(self.client_tls)
        self.clock, self.dice = SystemClock(), SystemDice()
        self.store = OpenStore(self.clock, self.dice)
        self.journal, self.metrics = MemoryJournal(), MemoryMetrics()
        self.listeners: list[Listener] = []
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        store = self.store
        await store.directory.add_domain(Domain("example.test", 1))
        account = await store.directory.add_account(
            Address("alice", "example.test"), HASHED.argon2, HASHED.scram_sha256
        )
        for octets in MESSAGES:
            content = store.spool.open_content()
            content.write(octets)
            await store.mail.append(account.id, "INBOX", [Appended(content=content)])
        self.account_id = account.id
        login = LoginSettings(failure_seconds=0.05)
        tools = AuthenticationTools(
            directory=store.directory,
            credentials=store.credentials,
            counters=store.counters,
            bans=store.bans,
            places=store.places,
            changes=store.changes,
            clock=self.clock,
            dice=self.dice,
            journal=self.journal,
            metrics=self.metrics,
            recent=SharedRecent(1, 16).by(self.clock),
        )
        self.authenticator = SaslAuthenticator(tools, login)
        pop3_tools = Pop3Tools(
            authenticator=self.authenticator,
            store=store.mail,
            leases=store.leases,
            owner=Owner("here", 0, 1),
            clock=self.clock,
            journal=self.journal,
            shutdown=ManualShutdown(),
        )
        service = Pop3Service(pop3_tools, Pop3Settings("pop.example.test", AccessSettings(), login, Limits()))
        counts = SharedConnectionCounts(1, 100, 100)
        refusals = CapRefusals(self.journal, self.clock, self.dice, "")
        crowd = Crowd(
            CrowdTools(
                counts=counts, journal=self.journal, metrics=self.metrics, clock=self.clock, descriptors=1000
            ),
            CrowdRules(),
        )
        net = ListenerTools(
            tls=self.contexts,
            crowd=crowd,
            journal=self.journal,
            metrics=self.metrics,
            clock=self.clock,
            hostname="pop.example.test",
            refusals=refusals,
        )
        for kind in ("pop3", "pop3s"):
            listener = Listener(listener_info(kind, kind, self.contexts), service, net)
            sock = socket.create_server(("127.0.0.1", 0))
            await listener.start([sock])
            self.listeners.append(listener)
            self.ports[kind] = sock.getsockname()[1]

    async def stop(self) -> None:
        for listener in self.listeners:
            await listener.finish(0.0)
        self.authenticator.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    await made.start()
    yield made
    await made.stop()
    assert made.journal.faults == []


def _secure(house: House) -> poplib.POP3:
    return poplib.POP3_SSL("127.0.0.1", house.ports["pop3s"], context=house.client_tls, timeout=60)


async def test_read_everything_and_remove(house: House) -> None:
    def client() -> None:
        pop = _secure(house)
        assert "STLS" not in pop.capa() and pop.capa()["SASL"] == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
        pop.user(USER)
        pop.pass_(PASSWORD)
        assert pop.stat() == (3, sum(map(len, MESSAGES)))
        for number, octets in enumerate(MESSAGES, 1):
            assert b"".join(line + b"\r\n" for line in pop.retr(number)[1]) == octets
        assert pop.top(2, 2)[1] == [b"Subject: big", b"", b"0123456789", b"0123456789"]
        assert len({line.split()[1] for line in pop.uidl()[1]}) == 3
        pop.dele(1)
        pop.rset()
        pop.dele(3)
        assert pop.quit() == b"+OK Bye"

    await asyncio.to_thread(client)
    assert list((await house.store.mail.view(house.account_id, "INBOX", claim_recent=False)).uids) == [1, 2]


async def test_stls_and_refusals(house: House) -> None:
    def client() -> None:
        pop = poplib.POP3("127.0.0.1", house.ports["pop3"], timeout=60)
        with pytest.raises(poplib.error_proto, match="needs TLS"):
            pop.user(USER)
        pop.stls(house.client_tls)
        assert "USER" in pop.capa()
        for name, password in ((USER, "wrong"), ("nobody@example.test", PASSWORD)):
            pop.user(name)
            with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
                pop.pass_(password)
        pop.user(USER)
        pop.pass_(PASSWORD)
        other = _secure(house)
        other.user(USER)
        with pytest.raises(poplib.error_proto, match=r"\[IN-USE\]"):
            other.pass_(PASSWORD)
        pop.quit()
        other.user(USER)
        assert other.pass_(PASSWORD).startswith(b"+OK")
        other.close()

    await asyncio.to_thread(client)


@pytest.mark.parametrize("behind", [b"USER alice\r\n", b"\0", b"CAPA\r\nQUIT\r\n"])
async def test_stls_injection_gets_no_handshake_and_no_answer(house: House, behind: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.ports["pop3"])
    assert (await reader.readline()).startswith(b"+OK")
    writer.write(b"STLS\r\n" + behind)
    try:
        rest = await reader.read()
    except ConnectionError:
        rest = b""
    assert rest in (b"", b"+OK Begin TLS\r\n")
    writer.close()
