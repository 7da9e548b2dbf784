"""The door of a whole server defends itself, over several workers; `why` finds each refusal."""

import re
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system import mailboxes
from tests.system.names import Names, names
from tests.system.server import ENVIRONMENT, Account, Server, running

from sekisho.core.message.header import HeaderSection

pytestmark = pytest.mark.slow

# Loopback addresses play strangers; 127.0.0.1 is the server's own.
ZONE = """
1.0.1.127.in-addr.arpa PTR mail.stranger.test
mail.stranger.test     A   127.0.1.1
"""
RATES = """
[greylist]
mode = "off"

[door.rates]
connections = 20
messages = 6
recipients = 8
errors = 5
refused = 4
"""


@pytest.fixture(scope="module")
def dns() -> Iterator[Names]:
    with names(ZONE) as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, dns: Names) -> Iterator[Server]:
    def change(toml: str) -> str:
        toml, count = re.subn(
            r"unchecked_networks = .*", "unchecked_networks = []\ngreet_delay_seconds = 0.1", toml
        )
        assert count == 1
        return toml + RATES + f'\n[resolver]\nservers = ["{dns.address}"]\ntimeout_seconds = 0.5\ntries = 1\n'

    with running(Path(tmp_path_factory.mktemp("defence")) / "try", change=change) as started:
        yield started


class Client:
    """One connection from an address of loopback, line by line."""

    def __init__(self, server: Server, address: str, first: bytes = b"") -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.ports["smtp"]), 20, (address, 0))
        if first:
            self._socket.sendall(first)
        self._file = self._socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self) -> str:
        """The last line of a reply, "" at the end."""
        while line := self._file.readline():
            if line[3:4] != b"-":
                break
        return line.decode().rstrip()

    def say(self, *lines: str) -> list[str]:
        found = []
        for line in lines:
            self._socket.sendall(line.encode() + b"\r\n")
            found.append(self.reply())
        return found

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def told(server: Server, line: str) -> str:
    """What `why` says about the id in a reply; in Japanese too, and with a remedy in both."""
    match = re.search(r"\(id ([a-z0-9-]+)\)", line)
    assert match, line
    story = server.command("why", match[1])["stories"][0]
    command = [sys.executable, "-m", "sekisho.app", "why", match[1], "--config", str(server.config_file)]
    shown = subprocess.run(
        command, env={**ENVIRONMENT, "LANG": "ja_JP.UTF-8"}, capture_output=True, check=True, timeout=60
    ).stdout.decode()
    assert re.search(r"[\u3040-\u30ff]", shown), shown
    return str(story["sentence"])


def test_floods_of_one_network_end_and_others_are_served(server: Server, someone: Account) -> None:
    mail, rcpt = "MAIL FROM:<a@stranger.test>", f"RCPT TO:<{someone.address}>"
    client = Client(server, "127.0.1.1")
    assert client.greeting.startswith("220 ")
    *fine, last = client.say("EHLO mail.stranger.test", *[mail, "RSET"] * 6, mail)
    assert {line[:3] for line in fine} == {"250"}
    assert last.startswith("421 4.7.0 Too many messages") and "too many messages" in told(server, last)
    client.close()
    client = Client(server, "127.0.2.1")
    *fine, last = client.say("EHLO a.stranger.test", mail, *[rcpt] * 9)
    assert {line[:3] for line in fine} == {"250"}
    assert last.startswith("450 4.7.0 Too many recipients") and "too many recipients" in told(server, last)
    client.close()
    for number in range(20):
        Client(server, f"127.0.3.{number + 1}").close()
    client = Client(server, "127.0.3.99")
    assert client.greeting.startswith(
        "421 4.7.0 Too many connections"
    ) and "too many connections came from the client's network" in told(server, client.greeting)
    client.close()
    assert Client(server, "127.0.4.1").greeting.startswith("220 ")


def test_errors_and_guessed_names_end(server: Server) -> None:
    client = Client(server, "127.0.5.1")
    assert [line[:3] for line in client.say("EHLO a.stranger.test", *["NONSENSE"] * 6, "QUIT")] == [
        "250",
        *["500"] * 6,
        "221",
    ]
    assert client.reply() == ""  # it is counted when the connection is over
    line = Client(server, "127.0.5.2").greeting
    assert line.startswith("421 4.7.0 Too many errors") and "too many errors" in told(server, line)
    client = Client(server, "127.0.6.1")
    names = [f"RCPT TO:<nobody{number}@example.test>" for number in range(5)]
    *fine, last = client.say("EHLO a.stranger.test", "MAIL FROM:<a@stranger.test>", *names)
    assert [line[:3] for line in fine] == ["250", "250", *["550"] * 4]
    assert last.startswith("421 4.7.0 Too many refused recipients") and "do not exist" in told(server, last)


def test_an_address_of_ours_as_a_name_is_marked_and_set_apart(server: Server, someone: Account) -> None:
    forged = "X-Sekisho-Warning: nothing\r\n"
    letter = (
        f'{forged}From: "boss@example.test" <x@stranger.test>\r\nMessage-ID: <shown@stranger.test>\r\n'
        f"\r\nPay at once\r\n"
    )
    with smtplib.SMTP(
        "127.0.0.1", server.ports["smtp"], "mail.stranger.test", source_address=("127.0.9.1", 0)
    ) as stranger:
        stranger.sendmail("x@stranger.test", [someone.address], letter)
    (octets,) = mailboxes.messages(server, someone, "Junk")
    (warning,) = HeaderSection(octets).values(b"x-sekisho-warning")
    assert warning.startswith(b"impersonated-name; From shows the address of boss@example.test")
    story = server.command("why", "<shown@stranger.test>")["stories"][0]
    assert story["verdict"] == "junk" and "one of your people" in story["sentence"]


def test_early_talkers_are_sent_away(server: Server) -> None:
    client = Client(server, "127.0.7.1", b"EHLO a.stranger.test\r\nMAIL FROM:<a@stranger.test>\r\n")
    assert client.greeting.startswith("421 4.5.1 Commands came before the greeting")
    assert "sent commands before the greeting" in told(server, client.greeting)


@pytest.mark.parametrize("name", ["mx.example.test", "EXAMPLE.test"])
def test_nobody_takes_our_name(server: Server, someone: Account, name: str) -> None:
    mail, rcpt = "MAIL FROM:<a@stranger.test>", f"RCPT TO:<{someone.address}>"
    client = Client(server, "127.0.8.1")
    *_, refused, taken = client.say(f"EHLO {name}", mail, rcpt, "RCPT TO:<postmaster@example.test>")
    assert refused.startswith("550 5.7.1 ") and taken.startswith("250 ")
    assert "with a name of this server" in told(server, refused)
    client.close()
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname=name) as own:  # this machine itself
        assert own.sendmail("a@stranger.test", [someone.address], b"From: a@stranger.test\r\n\r\nx\r\n") == {}
