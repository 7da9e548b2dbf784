"""A refused login reads the same, to the octet, whatever its cause: by submission, IMAP and POP3."""

import base64
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.server import Server, running

from sekisho.core.sasl.totp import totp_code

pytestmark = pytest.mark.slow
PASSWORD = "correct horse battery staple"
BANNED = "127.77.77.7"
PORTS = {"submission": "submissions", "imap": "imaps", "pop3": "pop3s"}
# An id by which the postmaster finds the refusal; it is made up anew each time.
_ID = re.compile(rb"\b[a-z2-9]{8}\b")


@pytest.fixture(scope="module")
def house(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, dict[str, tuple[str, str, str]]]]:
    """A server, and for each cause (client, user name, password)."""
    folder = Path(tmp_path_factory.mktemp("refusals")) / "try"
    with running(folder, change=lambda text: text + "\n[login]\nfailure_seconds = 0.3\n") as server:
        for name in ("disabled", "expired"):
            server.command(
                "account", "add", f"{name}@example.test", "--password-stdin", stdin=PASSWORD + "\n"
            )
        server.command("account", "state", "disabled@example.test", "login-disabled")
        server.command("account", "expire", "expired@example.test", "2020-01-01")
        secret = server.command("account", "factor", "bob@example.test", "enable")["secret"]
        server.command(
            "account",
            "factor",
            "bob@example.test",
            "confirm",
            totp_code(base64.b32decode(secret), int(time.time()) // 30),
        )
        server.command("bans", "add", "127.77.77.0/24")
        alice = server.accounts["alice"]
        made = server.command(
            "account", "credential", "add", alice.address, "web form", "--service", alice.address
        )
        printer = server.command("account", "credential", "add", alice.address, "reader", "--scope", "imap")
        yield (
            server,
            {
                "wrong password": ("127.1.1.7", alice.address, PASSWORD),
                "unknown user": ("127.1.2.7", "nobody@example.test", PASSWORD),
                "disabled account": ("127.1.3.7", "disabled@example.test", PASSWORD),
                "expired account": ("127.1.4.7", "expired@example.test", PASSWORD),
                "second factor": ("127.1.6.7", "bob@example.test", server.accounts["bob"].password),
                "banned network": (BANNED, alice.address, alice.password),
                "credential without the scope": ("127.1.5.7", alice.address, ""),
                "_reads only": ("", "", printer["secret"]),
                "_sends only": ("", "", made["secret"]),
            },
        )


def refusal(server: Server, service: str, client: str, name: str, password: str) -> bytes:
    """Everything that the server says from the greeting on."""
    context = ssl.create_default_context(cafile=str(server.ca_file))
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", server.ports[PORTS[service]]), 30, (client, 0)) as plain,
        context.wrap_socket(plain) as tls,
    ):
        plain_login = base64.b64encode(f"\0{name}\0{password}".encode())
        talk = {
            "submission": [b"EHLO [127.0.0.1]\r\n", b"AUTH PLAIN " + plain_login + b"\r\n", b"QUIT\r\n"],
            "imap": [b"a AUTHENTICATE PLAIN " + plain_login + b"\r\n", b"b LOGOUT\r\n"],
            "pop3": [f"USER {name}\r\n".encode(), f"PASS {password}\r\n".encode(), b"QUIT\r\n"],
        }[service]
        stream = tls.makefile("rb")
        said = _answer(stream)
        for line in talk:
            tls.sendall(line)
            said += _answer(
                stream, b"a " if line.startswith(b"a ") else b"b " if line.startswith(b"b ") else b""
            )
    return _ID.sub(b"(id)", said)


def _answer(stream: "socket.SocketIO", tag: bytes = b"") -> bytes:
    said = b""
    while line := stream.readline():
        said += line
        if tag and line.startswith(tag):
            break
        if not tag and line[3:4] != b"-":
            break
    return said


@pytest.mark.parametrize("service", PORTS)
def test_refusals_read_the_same(house: tuple[Server, dict[str, tuple[str, str, str]]], service: str) -> None:
    server, causes = house
    other = causes["_reads only" if service == "submission" else "_sends only"][2]
    said = {
        cause: refusal(server, service, client, name, password or other)
        for cause, (client, name, password) in causes.items()
        if not cause.startswith("_")
    }
    expected = {"submission": b"535 5.7.8", "imap": b"a NO [AUTHENTICATIONFAILED]", "pop3": b"-ERR [AUTH]"}[
        service
    ]
    assert expected in said["wrong password"]
    assert set(said.values()) == {said["wrong password"]}, said
