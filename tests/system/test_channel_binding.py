"""Logins that are bound to TLS, through a whole server: from end to end they succeed, with somebody in the
middle they do not."""

import asyncio
import base64
import hashlib
import imaplib
import poplib
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import scramp
import trustme
from tests.system.server import Account, Server, running

pytestmark = pytest.mark.slow

PLUS, PLAIN_SCRAM = "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    def bind(toml: str) -> str:
        return toml + '\n[login]\nchannel_binding = "tls-server-end-point"\n'

    with running(Path(tmp_path_factory.mktemp("binding")) / "try", change=bind) as started:
        yield started


@pytest.fixture
def alice(server: Server) -> Account:
    return server.accounts["alice"]


class Speaker:
    """scramp behind the callbacks of the standard library: each call gets a challenge and gives the
    response."""

    def __init__(self, account: Account, channel: ssl.SSLSocket, mechanism: str = PLUS) -> None:
        binding = (
            "tls-server-end-point",
            hashlib.sha256(channel.getpeercert(binary_form=True) or b"").digest(),
        )
        self._client = scramp.ScramClient(
            [mechanism],
            account.address,
            account.password,
            channel_binding=binding if mechanism == PLUS else None,
        )
        self._turn = 0

    def first(self) -> str:
        self._turn = 1
        return str(self._client.get_client_first())

    def __call__(self, challenge: bytes | None = None) -> str:
        text = (challenge or b"").decode()
        if self._turn == 0:
            return self.first()
        self._turn += 1
        if self._turn == 2:
            self._client.set_server_first(text)
            return str(self._client.get_client_final())
        self._client.set_server_final(text)  # raises if the server does not know the password
        return ""


def _trusting(server: Server, *more: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.ca_file)
    for file in more:
        context.load_verify_locations(file)
    return context


def _by_smtp(port: int, account: Account, trust: ssl.SSLContext, mechanism: str = PLUS) -> None:
    with smtplib.SMTP_SSL("localhost", port, context=trust, timeout=60) as client:
        client.ehlo()
        assert isinstance(client.sock, ssl.SSLSocket)
        code, words = client.auth(mechanism, Speaker(account, client.sock, mechanism))
        assert code == 235, words


def _by_imap(port: int, account: Account, trust: ssl.SSLContext, mechanism: str = PLUS) -> None:
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=trust, timeout=60)
    try:
        speaker = Speaker(account, client.sock, mechanism)
        client.authenticate(mechanism, lambda challenge: speaker(challenge).encode())
    finally:
        client.shutdown()


def _by_pop3(port: int, account: Account, trust: ssl.SSLContext, mechanism: str = PLUS) -> None:
    client = poplib.POP3_SSL("localhost", port, context=trust, timeout=60)
    try:
        speaker = Speaker(account, client.sock, mechanism)  # type: ignore[attr-defined]
        line = client._shortcmd(f"AUTH {mechanism}")  # type: ignore[attr-defined]
        while line.startswith(b"+ "):
            line = client._shortcmd(base64.b64encode(speaker(base64.b64decode(line[2:])).encode()).decode())  # type: ignore[attr-defined]
    finally:
        client.close()


PROTOCOLS = pytest.mark.parametrize(
    ("log_in", "port"),
    [(_by_smtp, "submissions"), (_by_imap, "imaps"), (_by_pop3, "pop3s")],
    ids=["smtp", "imap", "pop3"],
)
REFUSED = (smtplib.SMTPAuthenticationError, imaplib.IMAP4.error, poplib.error_proto)
LogIn = Callable[..., None]
Middle = tuple[int, Path]  # its port, and the authority to trust


@PROTOCOLS
def test_from_end_to_end(server: Server, alice: Account, log_in: LogIn, port: str) -> None:
    log_in(server.ports[port], alice, _trusting(server))
    assert f"mechanism={PLUS}" in server.log
    log_in(server.ports[port], alice, _trusting(server), PLAIN_SCRAM)  # a client that cannot bind


@contextmanager
def _somebody_in_the_middle(
    server: Server, port: str, folder: Path, rewrite: tuple[bytes, bytes] = (b"", b"")
) -> Iterator[tuple[int, Path]]:
    """Ends TLS with a certificate that the client trusts, reads along, and hands on what was said, `rewrite`n
    on its way back."""
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    ca_file = folder / "middle.pem"
    authority.cert_pem.write_to_path(ca_file)
    inwards = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(inwards)

    async def pump(
        source: asyncio.StreamReader, target: asyncio.StreamWriter, old: bytes, new: bytes
    ) -> None:
        try:
            while octets := await source.read(65536):
                target.write(octets.replace(old, new) if old else octets)
                await target.drain()
            target.close()
        except OSError:
            target.transport.abort()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            "localhost", server.ports[port], ssl=_trusting(server), server_hostname="localhost"
        )
        await asyncio.gather(pump(reader, far_writer, b"", b""), pump(far_reader, writer, *rewrite))

    async def serve(sock: socket.socket, done: asyncio.Event) -> None:
        async with await asyncio.start_server(meet, sock=sock, ssl=inwards):
            await done.wait()
        meetings = asyncio.all_tasks() - {asyncio.current_task()}
        for meeting in meetings:
            meeting.cancel()
        await asyncio.gather(*meetings, return_exceptions=True)

    loop, sock, done = asyncio.new_event_loop(), socket.create_server(("127.0.0.1", 0)), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(sock, done),))
    thread.start()
    try:
        yield sock.getsockname()[1], ca_file
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(30)
        loop.close()


@PROTOCOLS
def test_with_somebody_in_the_middle(
    server: Server, alice: Account, tmp_path: Path, log_in: LogIn, port: str
) -> None:
    before = server.log.count("the channel binding does not match")
    with _somebody_in_the_middle(server, port, tmp_path) as (middle, ca_file), pytest.raises(REFUSED):
        log_in(middle, alice, _trusting(server, ca_file))
    assert server.log.count("the channel binding does not match") == before + 1


@PROTOCOLS
def test_who_hides_the_binding_is_noticed(
    server: Server, alice: Account, tmp_path: Path, log_in: LogIn, port: str
) -> None:
    """RFC 5802 §6: a client that could bind, and was told that the server cannot, says so in its first
    message."""

    class Downgraded(Speaker):
        def first(self) -> str:
            return "y" + super().first()[1:]

    before = server.log.count("somebody hid the -PLUS mechanism")
    with (
        pytest.MonkeyPatch.context() as patch,
        _somebody_in_the_middle(server, port, tmp_path, (f"{PLUS} ".encode(), b"")) as (middle, ca),
    ):
        patch.setitem(globals(), "Speaker", Downgraded)
        with pytest.raises(REFUSED):
            log_in(middle, alice, _trusting(server, ca), PLAIN_SCRAM)
    assert server.log.count("somebody hid the -PLUS mechanism") == before + 1
