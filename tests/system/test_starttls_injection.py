"""Octets smuggled behind STARTTLS, and ends of data that are none, over real sockets to whole servers of both
event loops."""

import imaplib
import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.system.server import Server, running, wait_until
from tests.vectors import vectors

pytestmark = pytest.mark.slow

# kind of listener -> (what asks for TLS, what agrees, what is smuggled behind it and must never be answered)
_STARTTLS = {
    "smtp": (b"EHLO x.test\r\nSTARTTLS\r\n", b"220 2.0.0", b"EHLO smuggled.test\r\nNOOP\r\n"),
    "submission": (b"EHLO x.test\r\nSTARTTLS\r\n", b"220 2.0.0", b"EHLO smuggled.test\r\nNOOP\r\n"),
    "imap": (b"a STARTTLS\r\n", b"a OK", b"b CAPABILITY\r\nc NOOP\r\n"),
    "pop3": (b"STLS\r\n", b"+OK", b"CAPA\r\nNOOP\r\n"),
}
# Beside those of the vectors: what else has ended data somewhere (SEC Consult 2023, Wang et al. 2025).
_FALSE_ENDS = (
    b"\n.\r", b"\r.\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\x00\n.\r\n", b"\r\n.\x00\r\n",
    b"\r\n.\r\x00\n",
    b"\r\n\x00.\r", b"\r\n\x00.\n", b"\n\n.\r\n",
)  # fmt: skip
_LISTED = json.loads(vectors("smtp", "end-of-data.json").read_text("utf-8"))["sequences"]
FALSE_ENDS = tuple(
    dict.fromkeys(
        [case["seq"].encode().decode("unicode_escape").encode("latin-1") for case in _LISTED]
        + list(_FALSE_ENDS)
    )
)
_SMUGGLED = b"MAIL FROM:<admin@x.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx"


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    def change(config: str) -> str:
        return f'event_loop = "{request.param}"\n' + config

    with running(Path(tmp_path_factory.mktemp("smuggled")) / "try", change=change) as started:
        yield started


@contextmanager
def _connected(server: Server, kind: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.ports[kind]), 30) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _read_until(sock, b"\r\n")
        yield sock


def _read_until(sock: socket.socket, end: bytes) -> bytes:
    octets = b""
    while not octets.endswith(end):
        more = sock.recv(65536)
        assert more, f"closed behind {octets!r}"
        octets += more
    return octets


def _read_to_the_end(sock: socket.socket) -> bytes:
    octets = b""
    try:
        while more := sock.recv(65536):
            octets += more
    except ConnectionResetError:
        pass
    return octets


@pytest.mark.parametrize("kind", list(_STARTTLS))
def test_words_behind_starttls_end_the_connection(server: Server, kind: str) -> None:
    ask, agreed, smuggled = _STARTTLS[kind]
    with _connected(server, kind) as sock:
        sock.sendall(ask + smuggled)
        answer = _read_to_the_end(sock)
    after = answer.partition(agreed)[2].partition(b"\r\n")[2]
    assert b"PIPELINING" not in after and b"CAPABILITY" not in after and b"SASL" not in after, answer
    assert after.count(b"\r\n") <= 1, answer  # at most a goodbye, nothing was carried out


@pytest.mark.parametrize("kind", list(_STARTTLS))
def test_words_in_one_segment_with_the_handshake_never_count_as_encrypted(server: Server, kind: str) -> None:
    """The attacker's words, then the victim's true handshake, all at once."""
    ask, _, smuggled = _STARTTLS[kind]
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=str(server.ca_file)).wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    with _connected(server, kind) as sock:
        sock.sendall(ask + smuggled + outgoing.read())
        answer = _read_to_the_end(sock)
    assert b"\x16\x03" not in answer, "the server shook hands"


@pytest.mark.parametrize("kind", list(_STARTTLS))
def test_without_smuggled_words_the_same_client_gets_tls(server: Server, kind: str) -> None:
    ask, agreed, _ = _STARTTLS[kind]
    with _connected(server, kind) as sock:
        sock.sendall(ask)
        octets = b""
        while agreed not in octets or not octets.endswith(b"\r\n"):
            octets += sock.recv(65536)
        with ssl.create_default_context(cafile=str(server.ca_file)).wrap_socket(
            sock, server_hostname="localhost"
        ) as secure:
            secure.sendall(b"a NOOP\r\n" if kind == "imap" else b"QUIT\r\n")
            assert secure.recv(100)


def _send(sock: socket.socket, octets: bytes, piece: int) -> None:
    """In segments of `piece` octets; whole for 0."""
    for start in range(0, len(octets), piece or len(octets)):
        sock.sendall(octets[start : start + (piece or len(octets))])


def _final_replies(sock: socket.socket) -> list[bytes]:
    """All replies behind the 354 or the RCPT, read to the server's end; QUIT was sent."""
    return [line for line in _read_to_the_end(sock).split(b"\r\n") if line]


def _begin(sock: socket.socket) -> None:
    sock.sendall(b"EHLO x.test\r\n")
    _read_until(sock, b"\r\n")
    sock.sendall(b"MAIL FROM:<a@x.test>\r\nRCPT TO:<alice@example.test>\r\nNOOP\r\n")
    octets = b""
    while octets.count(b"250 ") < 3:
        octets += sock.recv(65536)


@pytest.mark.parametrize("piece", [0, 1])
def test_false_ends_of_data_are_refused(server: Server, piece: int) -> None:
    for sequence in FALSE_ENDS:
        with _connected(server, "smtp") as sock:
            _begin(sock)
            sock.sendall(b"DATA\r\n")
            assert _read_until(sock, b"\r\n").startswith(b"354")
            _send(sock, b"Subject: outer\r\n\r\nx" + sequence + _SMUGGLED + b"\r\n.\r\n", piece)
            sock.sendall(b"QUIT\r\n")  # in one segment: the server may have ended the connection by itself
            replies = _final_replies(sock)
        assert replies[0][:1] == b"5", (sequence, replies)
        # The one true end, then QUIT: had the false end counted, MAIL, RCPT and DATA would have been answered
        # too.
        assert [reply[:3] for reply in replies[1:]] in ([b"221"], []), (sequence, replies)
    assert _subjects(server) == []


@pytest.mark.parametrize("piece", [0, 1])
def test_false_ends_of_data_in_counted_chunks_are_refused(server: Server, piece: int) -> None:
    for sequence in FALSE_ENDS:
        content = b"Subject: outer\r\n\r\nx" + sequence + _SMUGGLED + b"\r\n.\r\n"
        with _connected(server, "smtp") as sock:
            _begin(sock)
            _send(sock, b"BDAT %d LAST\r\n" % len(content) + content, piece)
            sock.sendall(b"QUIT\r\n")  # see above
            replies = _final_replies(sock)
        assert replies[0][:1] == b"5", (sequence, replies)
        assert [reply[:3] for reply in replies[1:]] in ([b"221"], []), (sequence, replies)
    assert _subjects(server) == []


@pytest.mark.parametrize(("tail", "verdict"), [(b"\x00\r\n.\r\n", b"5"), (b"\r\n.\r\n\x00", b"2")])
def test_nul_beside_a_true_end_of_data(server: Server, tail: bytes, verdict: bytes) -> None:
    """Before the end it is refused with the message; behind it, it spoils the next command."""
    with _connected(server, "smtp") as sock:
        _begin(sock)
        sock.sendall(b"DATA\r\n")
        assert _read_until(sock, b"\r\n").startswith(b"354")
        sock.sendall(b"Subject: beside\r\n\r\nx" + tail + b"NOOP\r\nQUIT\r\n")
        replies = _final_replies(sock)
    assert replies[0][:1] == verdict, replies
    if verdict == b"2":
        assert replies[1][:1] == b"5", replies
        assert _subjects(server, delete=True) == [b"Subject: beside"]


def _subjects(server: Server, *, delete: bool = False) -> list[bytes]:
    alice = server.accounts["alice"]
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=context) as imap:
        imap.login(alice.address, alice.password)
        if imap.select("INBOX")[1] == [b"0"]:
            return []
        found = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        if delete:
            imap.store("1:*", "+FLAGS.SILENT", r"(\Deleted)")
            imap.expunge()
        return [part[1].strip() for part in found if isinstance(part, tuple)]


class InjectingServer:
    """An SMTP server, or somebody in the middle, that speaks on behind its 220 to STARTTLS. Counts what the
    client does then."""

    def __init__(self) -> None:
        self.tls_attempts = 0
        self.said_after = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(60)
                self._talk(sock)

    def _talk(self, sock: socket.socket) -> None:
        sock.sendall(b"220 middle.test ESMTP\r\n")
        _read_until(sock, b"\r\n")
        sock.sendall(b"250-middle.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n")
        if sock.recv(65536).startswith(b"STARTTLS"):
            # Replies to EHLO, MAIL, RCPT that were never asked: to be taken for answers through TLS.
            sock.sendall(b"220 go\r\n250-middle.test\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n")
            self.said_after += _read_to_the_end(sock)
            self.tls_attempts += 1


def test_our_client_goes_away_when_plaintext_follows_the_220(tmp_path: Path) -> None:
    middle = InjectingServer()
    try:
        with running(
            tmp_path / "try",
            change=lambda config: config + f'\n[relay.routes]\n"*" = "127.0.0.1:{middle.port}"\n',
        ) as server:
            alice = server.accounts["alice"]
            context = ssl.create_default_context(cafile=str(server.ca_file))
            with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=context) as client:
                client.login(alice.address, alice.password)
                client.sendmail(
                    alice.address,
                    ["user@far.example"],
                    f"From: {alice.address}\r\nSubject: out\r\n\r\nText.\r\n",
                )
            wait_until(
                lambda: (
                    [r["attempts"] for m in server.command("queue", "list") for r in m["recipients"]] == [1]
                ),
                lambda: server.log[-3000:],
            )
            assert middle.tls_attempts == 1
            assert b"MAIL" not in middle.said_after and b"EHLO" not in middle.said_after
    finally:
        middle.close()
