"""Nobody borrows our server: every spelling of an address, at the real port for strangers, with a watched way
out."""

import base64
import json
import poplib
import smtplib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.system.server import Server, running
from tests.vectors import vectors

pytestmark = pytest.mark.slow

CASES: list[dict[str, Any]] = json.loads(vectors("smtp", "address-forms.json").read_text("utf-8"))["cases"]
_OURS = {
    "local.example": "example.test",
    "LOCAL.EXAMPLE": "EXAMPLE.TEST",
    "192.0.2.25": "127.0.0.1",
    "<user@example.test": "<alice@example.test",
    "<user@EXAMPLE.TEST": "<alice@EXAMPLE.TEST",
}
_ACCEPTED = ("accept", "accept-if-configured")


class Sink(socketserver.ThreadingTCPServer):
    """Where all outgoing mail would go. It need not talk: a connection is already too much."""

    daemon_threads = True

    def __init__(self) -> None:
        self.connections = 0
        self.connected = threading.Event()
        super().__init__(("127.0.0.1", 0), _SinkHandler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _SinkHandler(socketserver.StreamRequestHandler):
    server: Sink

    def handle(self) -> None:
        self.server.connections += 1
        self.server.connected.set()
        self.wfile.write(b"554 5.3.2 nothing leaves here\r\n")


class Stranger:
    """A client that sends whatever octets it likes and reads replies."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.ports["smtp"]), 30)
        self._file = self._socket.makefile("rb")
        self.reply()
        assert self.say(b"EHLO stranger.test") == 250

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def say(self, line: bytes) -> int:
        self._socket.sendall(line + b"\r\n")
        return self.reply()

    def reply(self) -> int:
        """The code of the next reply; 0 when the server has closed."""
        while True:
            line = self._file.readline()
            if line[3:4] != b"-":
                return int(line[:3] or 0)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        thread = threading.Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield sink
        sink.shutdown()
        thread.join(30)


@pytest.fixture(scope="module")
def server(sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    def change(config: str) -> str:
        return config + f'\n[relay.routes]\n"*" = "127.0.0.1:{sink.port}"\n\n[login]\nfailure_seconds = 0.1\n'

    with running(Path(tmp_path_factory.mktemp("no-relay")) / "try", change=change) as started:
        yield started


def _translated(octets: bytes) -> bytes:
    """The vectors speak of local.example; this server is example.test, and its user is alice."""
    for theirs, ours in _OURS.items():
        octets = octets.replace(theirs.encode(), ours.encode())
    return octets


def _try(client: Stranger, case: dict[str, Any]) -> tuple[int, int, int]:
    """The codes of MAIL, RCPT and the message; 0 where it was not asked or the server had closed."""
    raw = base64.b64decode(case["raw_rcpt_b64"]) if case["raw_rcpt_b64"] else case["rcpt_to"].encode()
    mail = client.say(b"MAIL FROM:" + _translated(case["mail_from"].encode()))
    rcpt = client.say(b"RCPT TO:" + _translated(raw))
    message = 0
    if mail == rcpt == 250 and client.say(b"DATA") == 354:
        message = client.say(
            b"From: <s@sender.example>\r\nSubject: " + case["id"].encode() + b"\r\n\r\nText.\r\n."
        )
    return mail, rcpt, message


def _judge(case: dict[str, Any], mail: int, rcpt: int, message: int) -> bool:
    """Was it accepted? Fails where the vectors say otherwise."""
    expect = case["expect"]
    accepted = message == 250
    if expect in _ACCEPTED:
        assert accepted, (case, mail, rcpt, message)
    elif expect == "550-unknown-user":
        assert rcpt == 550, (case, rcpt)
    elif expect != "accept-or-reject":
        assert not accepted and (400 <= mail < 600 or 400 <= rcpt < 600 or rcpt == 0), (
            case,
            mail,
            rcpt,
            message,
        )
    return accepted


def _nothing(_: Server) -> None:
    pass


def _fail_to_log_in_at_port_25(server: Server) -> None:
    """Port 25 has no AUTH; a client that tries all the same gains nothing."""
    alice = server.accounts["alice"]
    with Stranger(server) as client:
        for password in ("wrong", alice.password):
            words = base64.b64encode(f"\0{alice.address}\0{password}".encode())
            assert 500 <= client.say(b"AUTH PLAIN " + words) < 600


def _log_in_by_pop3(server: Server) -> None:
    """POP before SMTP is what this must not be."""
    alice = server.accounts["alice"]
    pop3 = poplib.POP3_SSL(
        "localhost", server.ports["pop3s"], context=ssl.create_default_context(cafile=str(server.ca_file))
    )
    pop3.user(alice.address)
    assert pop3.pass_(alice.password).startswith(b"+OK")
    pop3.quit()


def _mailbox(server: Server) -> list[str]:
    """The subjects in alice's mailbox, which is emptied."""
    alice = server.accounts["alice"]
    pop3 = poplib.POP3_SSL(
        "localhost", server.ports["pop3s"], context=ssl.create_default_context(cafile=str(server.ca_file))
    )
    pop3.user(alice.address)
    pop3.pass_(alice.password)
    subjects = []
    for number in range(1, pop3.stat()[0] + 1):
        subjects += [line[9:].decode() for line in pop3.top(number, 0)[1] if line.startswith(b"Subject: ")]
        pop3.dele(number)
    pop3.quit()
    return subjects


@pytest.mark.parametrize("first", [_nothing, _fail_to_log_in_at_port_25, _log_in_by_pop3])
def test_no_form_of_an_address_makes_a_relay(
    server: Server, sink: Sink, first: Callable[[Server], None]
) -> None:
    first(server)
    accepted = []
    for case in CASES:
        with Stranger(server) as client:
            if _judge(case, *_try(client, case)):
                accepted.append(case["id"])
    assert sorted(_mailbox(server)) == sorted(accepted)
    assert len(accepted) >= sum(case["expect"] in _ACCEPTED for case in CASES)
    assert server.command("queue", "list") == []
    assert sink.connections == 0


def test_a_session_that_failed_to_log_in_is_still_a_stranger(server: Server, sink: Sink) -> None:
    alice = server.accounts["alice"]
    words = base64.b64encode(f"\0{alice.address}\0wrong".encode())
    for case in CASES:
        with Stranger(server) as client:
            assert 500 <= client.say(b"AUTH PLAIN " + words) < 600
            _judge(case, *_try(client, case))
    _mailbox(server)
    assert server.command("queue", "list") == []
    assert sink.connections == 0


def test_the_watched_way_out_is_the_one_that_mail_takes(server: Server, sink: Sink) -> None:
    """What the others would have seen: our own user's mail to a stranger does reach the sink. Runs last."""
    alice = server.accounts["alice"]
    with smtplib.SMTP_SSL(
        "localhost",
        server.ports["submissions"],
        context=ssl.create_default_context(cafile=str(server.ca_file)),
    ) as client:
        client.login(alice.address, alice.password)
        client.sendmail(
            alice.address, ["user@victim.example"], f"From: {alice.address}\r\nSubject: out\r\n\r\nText.\r\n"
        )
    assert sink.connected.wait(60), server.log
