"""A disk that is full: people get in, and can delete."""

import imaplib
import smtplib
from pathlib import Path

import pytest
from tests.crash.clients import imap, message, numbers, pop3, send, trust
from tests.crash.test_full_disk import disk, filled
from tests.system.server import Server, restart, running, wait_until

pytestmark = pytest.mark.slow
__all__ = ["disk"]


def login_for_submission(server: Server) -> int:
    bob = server.accounts["bob"]
    with smtplib.SMTP_SSL(
        "localhost", server.ports["submissions"], context=trust(server), timeout=60
    ) as client:
        return client.login(bob.address, bob.password)[0]


def delete_by_imap(server: Server, name: str, count: int) -> None:
    with imap(server, name) as client:
        assert client.select("INBOX") == ("OK", [str(count).encode()])
        assert client.store("1:*", "+FLAGS", "(\\Deleted)")[0] == "OK"
        assert client.expunge()[0] == "OK"
        assert client.select("INBOX") == ("OK", [b"0"])


def delete_by_pop3(server: Server, name: str, count: int) -> None:
    client = pop3(server, name)
    assert client.stat()[0] == count
    for number in range(1, count + 1):
        client.dele(number)
    assert client.quit().startswith(b"+OK")


def is_refused(server: Server) -> bool:
    with smtplib.SMTP("localhost", server.ports["smtp"], timeout=60) as client:
        client.ehlo()
        return client.mail("someone@stranger.test")[0] == 452


@pytest.mark.parametrize(("low_water_octets", "restarted"), [(0, False), (1_048_576, True)])
def test_people_get_in_and_delete_on_a_full_disk(disk: Path, low_water_octets: int, restarted: bool) -> None:
    with running(
        disk, change=lambda text: f"{text}\n[limits]\nfree_disk_octets = {low_water_octets}\n"
    ) as server:
        reserve = server.folder / "data" / "reserve"
        for number in range(1, 41):
            send(
                server,
                number,
                server.accounts["alice"].address,
                server.accounts["bob"].address,
                size=4_000 if number % 4 else 40_000,
            )
        wait_until(lambda: reserve.exists() and reserve.stat().st_size > 0)
        with filled(disk):
            if restarted:
                assert server.stop() == 0
                with (disk / "more").open("wb", buffering=0) as more:
                    fill(more)
                restart(server)
            assert login_for_submission(server) == 235
            delete_by_imap(server, "alice", 40)
            delete_by_pop3(server, "bob", 40)
            assert login_for_submission(server) == 235
            with pytest.raises(imaplib.IMAP4.error):
                imap_with(server, "wrong")
            assert reserve.stat().st_size == 0
            assert is_refused(server)
            with imap(server, "alice") as client:
                assert client.append("INBOX", "", "", message(1, 4_000))[0] == "NO"
        (disk / "more").unlink(missing_ok=True)
        wait_until(lambda: not is_refused(server))
        assert reserve.stat().st_size > 0
        send(server, 100, server.accounts["alice"].address)
        assert numbers(server, "alice") == {100: 1}
        assert "worker.died" not in server.log
        assert server.command("verify") == {"problems": []}


def fill(file: object) -> None:
    try:
        while True:
            file.write(bytes(4096))  # type: ignore[attr-defined]  # a raw file
    except OSError:
        return


def imap_with(server: Server, password: str) -> None:
    client = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust(server), timeout=60)
    client.login(server.accounts["alice"].address, password)
