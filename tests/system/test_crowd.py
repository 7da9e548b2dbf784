"""A crowd of strangers who want to shut the doors, against a whole server on real sockets; each of them from
an address of its own."""

import resource
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.system import server as whole
from tests.system.server import Server, running

pytestmark = pytest.mark.slow

# that an honest stranger may take on a busy machine, tries that were cut included; without a defence it takes
# for ever
SECONDS = 15.0
MESSAGE = "From: x@honest.example\r\nSubject: hello\r\n\r\nhello\r\n"

Outcome = TypeVar("Outcome")


class Crowd:
    """Strangers from `networks` /24 networks with `each` connections."""

    def __init__(self, port: int, networks: int, each: int) -> None:
        self._port = port
        self._sockets: list[tuple[str, socket.socket]] = []
        for _ in range(each):
            for number in range(networks):
                self._connect(f"127.{100 + number % 100}.{number // 100}.7")

    def _connect(self, address: str) -> None:
        sock = socket.socket()
        sock.bind((address, 0))
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", self._port))
        self._sockets.append((address, sock))

    def say(self, octets: bytes) -> int:
        """Each of them; whoever was sent away comes back at once. Returns how many were."""
        gone = 0
        sockets, self._sockets = self._sockets, []
        for address, sock in sockets:
            try:
                if octets:
                    sock.send(octets)
                is_gone = not sock.recv(65536)
            except BlockingIOError:
                is_gone = False
            except OSError:
                is_gone = True
            if is_gone:
                gone += 1
                sock.close()
                self._connect(address)
            else:
                self._sockets.append((address, sock))
        return gone

    def close(self) -> None:
        for _, sock in self._sockets:
            sock.close()


@contextmanager
def crowd(server: Server, networks: int, each: int) -> Iterator[Crowd]:
    made = Crowd(server.ports["smtp"], networks, each)
    try:
        yield made
    finally:
        made.close()


def again(attempt: Callable[[], Outcome]) -> Outcome:
    """What programs do that are cut off before they said anything: they try again, here for as long as a
    stranger may take."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return attempt()
        except (smtplib.SMTPServerDisconnected, smtplib.SMTPConnectError, ConnectionError):
            if time.monotonic() > deadline:
                raise


def deliver(server: Server, address: str) -> float:
    """Seconds that a stranger took to hand in a message."""

    def attempt() -> None:
        with smtplib.SMTP(
            "127.0.0.1", server.ports["smtp"], "mail.honest.example", timeout=20, source_address=(address, 0)
        ) as smtp:
            smtp.sendmail("x@honest.example", [server.accounts["bob"].address], MESSAGE)

    began = time.monotonic()
    again(attempt)
    return time.monotonic() - began


def log_in(server: Server, stack: ExitStack) -> smtplib.SMTP:
    """Somebody on the submission port, who stays."""

    def attempt() -> smtplib.SMTP:
        smtp = smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=20)
        smtp.starttls()
        smtp.login(server.accounts["alice"].address, server.accounts["alice"].password)
        return smtp

    return stack.enter_context(again(attempt))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = "\n[limits]\nconnections = 400\nconnections_per_ip = 5\nstress_seconds = 2\n"
    with running(tmp_path_factory.mktemp("crowd") / "try", change=lambda toml: toml + limits) as made:
        yield made


@pytest.mark.parametrize("said", [b"", b"E", b"NOOP\r\n", b"EHLO a.example\r\n"])
def test_eighty_addresses_do_not_close_the_port(server: Server, said: bytes) -> None:
    with crowd(server, 80, 5) as strangers, ExitStack() as stack:
        alice = log_in(server, stack)
        slow = stack.enter_context(
            smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=20, source_address=("127.9.9.9", 0))
        )
        taken = [deliver(server, f"127.8.{number}.5") for number in range(10) if strangers.say(said) >= 0]
        assert max(taken) < SECONDS
        slow.ehlo("slow.example")
        assert slow.mail("x@slow.example")[0] == 250 and alice.noop()[0] == 250


def test_under_stress_the_silent_are_sent_away(server: Server) -> None:
    with crowd(server, 80, 4) as strangers:
        deadline = time.monotonic() + 20
        while not strangers.say(b"NOOP\r\n"):
            assert time.monotonic() < deadline, server.log[-3000:]
            deliver(server, "127.8.0.5")
    assert "crowd.stress_began" in server.log


@pytest.fixture
def poor_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """One that may open 256 files."""
    real: Any = subprocess.Popen

    class Limited(real):  # type: ignore[type-arg]
        def __init__(self, command: list[str], **more: object) -> None:
            if "serve" in command or "try" in command:
                more["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
            super().__init__(command, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(whole.subprocess, "Popen", Limited)
    with running(tmp_path / "try") as made:
        monkeypatch.undo()
        yield made


def test_few_descriptors_and_a_thousand_connections(poor_server: Server) -> None:
    with crowd(poor_server, 100, 10) as strangers, ExitStack() as stack:
        alice = log_in(poor_server, stack)
        taken = [
            deliver(poor_server, f"127.8.{number}.5")
            for number in range(10)
            if strangers.say(b"NOOP\r\n") >= 0
        ]
        assert max(taken) < SECONDS and alice.noop()[0] == 250
        alice.sendmail(
            poor_server.accounts["alice"].address,
            [poor_server.accounts["bob"].address],
            "From: alice@example.test\r\n\r\nx\r\n",
        )
        assert "Traceback" not in poor_server.log
