"""neomutt, without a person, reads from and sends through a whole server."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from tests.peers.debian import peer
from tests.system.mailboxes import messages, put
from tests.system.server import Account, Server

pytestmark = [pytest.mark.peers, pytest.mark.slow]


def _muttrc(server: Server, account: Account, folder: Path) -> Path:
    """Settings under which neomutt asks nothing."""
    path = folder / "muttrc"
    path.write_text(
        f'set imap_user="{account.address}"\nset imap_pass="{account.password}"\nset '
        f'smtp_pass="{account.password}"\n'
        f'set smtp_url="smtps://{account.address}@localhost:{server.ports["submissions"]}/"\nset '
        f'from="{account.address}"\n'
        f"set use_envelope_from=yes hostname=client.example.test certificate_file={server.ca_file} "
        f"ssl_force_tls=yes\n"
        f'set copy=no record="" postponed="" folder={folder} tmpdir={folder} header_cache="" mbox_type=mbox\n'
        "set confirmappend=no confirmcreate=no sleep_time=0 delete=yes move=no mark_old=no wait_key=no\n"
    )
    return path


def test_neomutt_sends(server: Server, someone: Account, tmp_path: Path) -> None:
    settings = _muttrc(server, someone, tmp_path)
    done = peer("neomutt").run(
        "neomutt", "-n", "-F", str(settings), "-e", "set charset=utf-8", "-s", "by neomutt", "--",
        someone.address,
        stdin="Hello\n日本\n".encode(), HOME=str(tmp_path), TERM="xterm", LC_ALL="C.UTF-8",
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout, done.stderr)
    (found,) = messages(server, someone)
    assert b"\r\nSubject: by neomutt\r\n" in found
    assert found.endswith("\r\n\r\nHello\r\n日本\r\n".encode())


def test_neomutt_moves_a_mailbox_to_a_file(server: Server, someone: Account, tmp_path: Path) -> None:
    put(
        server,
        someone,
        *(
            b"From: a@stranger.test\r\nSubject: number %d\r\n\r\nBody %d\r\n" % (number, number)
            for number in range(3)
        ),
    )
    settings, saved = _muttrc(server, someone, tmp_path), tmp_path / "saved"
    keys = f'push "<tag-pattern>~A<enter><tag-prefix><save-message>{saved}<enter><sync-mailbox><quit>"'
    program = peer("neomutt")
    url = f"imaps://localhost:{server.ports['imaps']}/INBOX"
    command = shlex.join([program.path("neomutt"), "-n", "-F", str(settings), "-f", url, "-e", keys])
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],  # a terminal for it
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env=os.environ | program.environment | {"HOME": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"},
        check=False,
    )
    assert saved.exists(), done.stdout[-2000:]
    copies = saved.read_bytes()
    assert [copies.count(b"Subject: number %d\n" % number) for number in range(3)] == [1] * 3
    assert [copies.count(b"\n\nBody %d\n" % number) for number in range(3)] == [1] * 3
    assert messages(server, someone) == []
