"""A 100 MB message by DATA, BDAT and APPEND passes through a worker without being held (law 9)."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.server import Server, running

pytestmark = pytest.mark.slow
MEGABYTES = 100
LINE = b"0123456789abcdef" * 4 + b"\r\n"
PIECE = LINE * (1_048_576 // len(LINE))


def _one_worker(toml: str) -> str:
    lines = ["workers = 1" if line.startswith("workers") else line for line in toml.splitlines()]
    return "\n".join(lines) + "\n[limits]\nmessage_octets = 120_000_000\n"


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("large") / "try", change=_one_worker) as server:
        for way in (
            _by_data,
            _by_bdat,
            _by_append,
        ):  # what is loaded and cached at the first use is not the message
            way(server, 2)
        yield server


class Talk:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lines = sock.makefile("rb")

    def greeting(self) -> bytes:
        return self._lines.readline()

    def say(self, octets: bytes) -> bytes:
        """The last line of the answer."""
        self.sock.sendall(octets)
        line = self._lines.readline()
        while line[3:4] == b"-" or line.startswith(b"* "):
            line = self._lines.readline()
        return line


def _smtp(server: Server) -> Talk:
    talk = Talk(socket.create_connection(("127.0.0.1", server.ports["smtp"]), 60))
    assert talk.say(b"").startswith(b"220")
    assert talk.say(b"EHLO stranger.test\r\n").startswith(b"250")
    assert talk.say(b"MAIL FROM:<a@stranger.test>\r\n").startswith(b"250")
    assert talk.say(b"RCPT TO:<bob@example.test>\r\n").startswith(b"250")
    return talk


def _by_data(server: Server, megabytes: int) -> None:
    talk = _smtp(server)
    assert talk.say(b"DATA\r\n").startswith(b"354")
    talk.sock.sendall(b"Subject: large\r\n\r\n")
    for _ in range(megabytes):
        talk.sock.sendall(PIECE)
    assert talk.say(b".\r\n").startswith(b"250")
    talk.sock.close()


def _by_bdat(server: Server, megabytes: int) -> None:
    talk = _smtp(server)
    head = b"Subject: large\r\n\r\n"
    assert talk.say(b"BDAT %d\r\n" % len(head) + head).startswith(b"250")
    talk.sock.sendall(b"BDAT %d LAST\r\n" % (len(PIECE) * megabytes))
    for _ in range(megabytes):
        talk.sock.sendall(PIECE)
    assert talk.say(b"").startswith(b"250")
    talk.sock.close()


def _by_append(server: Server, megabytes: int) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    raw = socket.create_connection(("127.0.0.1", server.ports["imaps"]), 60)
    talk = Talk(context.wrap_socket(raw, server_hostname="localhost"))
    alice = server.accounts["alice"]
    assert talk.greeting().startswith(b"* OK")
    assert talk.say(f'a LOGIN {alice.address} "{alice.password}"\r\n'.encode()).startswith(b"a OK")
    head = b"Subject: large\r\n\r\n"
    assert talk.say(b"b APPEND INBOX {%d}\r\n" % (len(head) + len(PIECE) * megabytes)).startswith(b"+")
    talk.sock.sendall(head)
    for _ in range(megabytes):
        talk.sock.sendall(PIECE)
    assert talk.say(b"\r\n").startswith(b"b OK")
    talk.sock.close()


def _status_kilobytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(field)


@pytest.mark.parametrize("way", [_by_data, _by_bdat, _by_append], ids=["DATA", "BDAT", "APPEND"])
def test_memory_rises_by_less_than_two_megabytes(single: Server, way: object) -> None:
    (worker,) = single.workers()
    Path(f"/proc/{worker}/clear_refs").write_text("5")  # the peak counts from here
    before = _status_kilobytes(worker, "VmHWM")
    assert callable(way)
    way(single, MEGABYTES)
    assert _status_kilobytes(worker, "VmHWM") - before < 2048
