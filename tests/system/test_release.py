"""`sekisho release` on a whole server, running and stopped: out of Junk, and trusted from then on."""

import re
import smtplib
import time
from pathlib import Path
from typing import Any

import pytest
from tests.system import mailboxes
from tests.system.names import names
from tests.system.server import Account, Server, restart, running, wait_until

pytestmark = pytest.mark.slow

ZONE = """
1.0.0.127.in-addr.arpa PTR mail.stranger.test
mail.stranger.test     A   127.0.0.1
_dmarc.weak.test       TXT "v=DMARC1; p=quarantine"
"""
AUTHOR = "news@weak.test"


def hand_in(server: Server, to: Account, subject: str) -> None:
    text = (
        f"From: {AUTHOR}\r\nTo: {to.address}\r\nSubject: {subject}\r\nMessage-ID: "
        f"<{time.monotonic_ns()}@weak.test>\r\n\r\nHello\r\n"
    )
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="mail.stranger.test") as stranger:
        stranger.sendmail("x@stranger.test", [to.address], text.encode())


def ids_in_junk(server: Server, account: Account) -> list[str]:
    found = [
        re.search(rb"\r\nReceived: [^;]* id ([0-9a-f]{29})", octets)
        for octets in mailboxes.messages(server, account, "Junk")
    ]
    return [match[1].decode() for match in found if match]


def cleared(server: Server) -> int:
    rows: list[dict[str, Any]] = server.command("reputation", "list", "--kind", "pair")
    return sum(row["cleared"] for row in rows if AUTHOR in row["key"])


def test_released_mail_moves_and_its_sender_is_trusted(tmp_path: Path) -> None:
    with names(ZONE) as dns:

        def change(toml: str) -> str:
            toml = re.sub(r"unchecked_networks = .*", "unchecked_networks = []", toml)
            return toml + f'\n[resolver]\nservers = ["{dns.address}"]\n'

        with running(tmp_path / "try", change=change) as server:
            alice = server.accounts["alice"]
            before = len(mailboxes.messages(server, alice))
            hand_in(server, alice, "one")
            hand_in(server, alice, "two")
            first, second = ids_in_junk(server, alice)
            released = server.command("release", first)
            assert released["moved"] == [alice.address] and released["trusted"] == [alice.address]
            wait_until(lambda: cleared(server) == 1)
            assert server.stop() == 0
            assert server.command("release", second)["moved"] == [
                alice.address
            ]  # with nobody there but the command
            assert cleared(server) == 2
            restart(server)
            assert (len(mailboxes.messages(server, alice)) - before, ids_in_junk(server, alice)) == (2, [])
            assert {b"$NotJunk"} <= mailboxes.flags(server, alice)[-1]
            hand_in(server, alice, "three")
            assert (len(mailboxes.messages(server, alice)) - before, ids_in_junk(server, alice)) == (3, [])
