"""What was refused takes no room: whoever may send to us cannot fill our disk with it."""

import contextlib
import imaplib
import smtplib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.crash.clients import imap, message, send, trust
from tests.system.server import Server, running, wait_until

from sekisho.adapters.stores.sqlite.backup_mark import backup_mark

pytestmark = pytest.mark.slow
THREE_MB = 3_000_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Alice has room for a little more than nothing."""
    with running(tmp_path_factory.mktemp("refused") / "try") as server:
        send(server, 1, server.accounts["alice"].address, size=20_000)
        server.command("account", "quota", server.accounts["alice"].address, "30000")
        yield server


def files(server: Server) -> list[Path]:
    return sorted(path for path in (server.folder / "data" / "content").rglob("*") if path.is_file())


def data(client: smtplib.SMTP, sender: str, recipient: str, octets: bytes) -> int:
    """The reply to a message whose size was not declared."""
    client.ehlo_or_helo_if_needed()
    assert client.mail(sender)[0] == 250
    assert client.rcpt(recipient)[0] == 250
    return client.data(octets)[0]


def over_quota(server: Server) -> None:
    for number in range(15):
        with smtplib.SMTP("localhost", server.ports["smtp"], timeout=60) as client:
            assert (
                data(
                    client,
                    "someone@stranger.test",
                    server.accounts["alice"].address,
                    message(number, THREE_MB),
                )
                == 452
            )


def submitted_over_quota(server: Server) -> None:
    bob = server.accounts["bob"].address
    with submission(server) as client:
        assert data(client, bob, server.accounts["alice"].address, message(2, THREE_MB, sender=bob)) == 452


def submitted_as_another(server: Server) -> None:
    with submission(server) as client:
        octets = message(2, THREE_MB, sender=server.accounts["alice"].address)
        assert data(client, server.accounts["bob"].address, "x@remote.test", octets) == 550


@contextlib.contextmanager
def submission(server: Server) -> Iterator[smtplib.SMTP_SSL]:
    bob = server.accounts["bob"]
    with smtplib.SMTP_SSL(
        "localhost", server.ports["submissions"], context=trust(server), timeout=60
    ) as client:
        client.login(bob.address, bob.password)
        yield client


def begun(server: Server) -> smtplib.SMTP:
    client = smtplib.SMTP("localhost", server.ports["smtp"], timeout=60)
    client.ehlo()
    assert client.mail("someone@stranger.test")[0] == 250
    assert client.rcpt(server.accounts["bob"].address)[0] == 250
    return client


def disconnected_in_the_midst(server: Server) -> None:
    client = begun(server)
    assert client.docmd("DATA")[0] == 354
    client.send(message(3, THREE_MB))
    wait_until(lambda: len(files(server)) > 1)
    assert client.sock is not None
    client.sock.shutdown(socket.SHUT_RDWR)
    client.close()


def reset_between_chunks(server: Server) -> None:
    client = begun(server)
    octets = message(4, THREE_MB)
    client.send(f"BDAT {len(octets)}\r\n".encode() + octets)
    assert client.getreply()[0] == 250
    assert len(files(server)) > 1
    assert client.docmd("RSET")[0] == 250
    client.quit()


def bare_line_feeds(server: Server) -> None:
    client = begun(server)
    assert client.docmd("DATA")[0] == 354
    with contextlib.suppress(OSError):  # the connection ends with it
        client.send(message(5, THREE_MB) + b"bare\nline feed\r\n.\r\n")
        assert client.getreply()[0] >= 500
    client.close()


def appended_over_quota(server: Server) -> None:
    with imap(server, "alice") as client:
        assert client.append("INBOX", "", "", message(6, THREE_MB))[0] == "NO"


def appended_by_two_at_once(server: Server) -> None:
    """Each would fit alone: one of them is only refused when it is stored."""
    with imap(server, "alice") as one, imap(server, "alice") as other:
        for client in (one, other):
            client.send(b"a APPEND INBOX {8000}\r\n")
            assert client.readline().startswith(b"+")
        for client in (one, other):
            client.send(message(7, 20_000)[:8_000] + b"\r\n")
        answers = {client.readline().split()[1] for client in (one, other)}
        assert answers == {b"OK", b"NO"}
        forget(one)


def forget(client: imaplib.IMAP4_SSL) -> None:
    client.select("INBOX")
    client.store("2:*", "+FLAGS", "(\\Deleted)")
    client.expunge()


def append_cut_off(server: Server) -> None:
    with contextlib.suppress(OSError, imaplib.IMAP4.error), imap(server, "bob") as client:
        client.send(b"a APPEND INBOX {3000000}\r\n")
        assert client.readline().startswith(b"+")
        client.send(message(8, 1_000_000))
        wait_until(lambda: len(files(server)) > 1)
        client.socket().shutdown(socket.SHUT_RDWR)


WAYS: list[Callable[[Server], None]] = [
    over_quota,
    submitted_over_quota,
    submitted_as_another,
    disconnected_in_the_midst,
    reset_between_chunks,
    bare_line_feeds,
    appended_over_quota,
    appended_by_two_at_once,
    append_cut_off,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_it_takes_no_room(server: Server, way: Callable[[Server], None]) -> None:
    before = files(server)
    assert len(before) == 1
    way(server)
    wait_until(lambda: files(server) == before, lambda: str(files(server)))


def test_it_takes_no_room_while_a_backup_runs(server: Server) -> None:
    before = files(server)
    with backup_mark(server.folder / "data"):
        for way in WAYS:
            way(server)
            wait_until(lambda: files(server) == before, lambda: str(files(server)))
