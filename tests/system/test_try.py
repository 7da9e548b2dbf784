"""`sekisho try` and the commands beside it, as a first user meets them."""

import imaplib
import os
import poplib
import signal
import smtplib
import ssl
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.system.server import ENVIRONMENT, Server, running, wait_until

pytestmark = pytest.mark.slow


def _message(subject: str, sender: str, recipient: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message.set_content("A first message.\n")
    return message


def test_in_out_and_read(server: Server) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    alice, bob = server.accounts["alice"], server.accounts["bob"]
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="stranger.test") as stranger:
        stranger.starttls(context=context)
        stranger.send_message(_message("from outside", "someone@stranger.test", alice.address))
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=context) as submission:
        submission.login(alice.address, alice.password)
        submission.send_message(_message("from alice", alice.address, bob.address))
    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=context) as imap:
        imap.login(alice.address, alice.password)
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", '"from outside"')[1] == [b"1"]
    pop3 = poplib.POP3_SSL("localhost", server.ports["pop3s"], context=context)
    pop3.user(bob.address)
    pop3.pass_(bob.password)
    assert b"Subject: from alice" in pop3.retr(1)[1]
    pop3.quit()


def test_commands_reach_the_running_server(server: Server) -> None:
    assert {account["address"] for account in server.command("account", "list")} >= {
        "alice@example.test",
        "bob@example.test",
    }
    assert server.command("queue", "list") == []


def test_a_second_server_on_the_same_folder_says_so(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sekisho.app", "serve", "-c", str(server.config_file)],
        capture_output=True,
        env=ENVIRONMENT,
        timeout=60,
    )
    assert done.returncode == 1
    assert "is in use by another running instance" in done.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_and_starts_again_with_the_same_mail(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path / "try") as server:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        alice = server.accounts["alice"]
        with smtplib.SMTP("localhost", server.ports["smtp"]) as stranger:
            stranger.send_message(_message("kept", "someone@stranger.test", alice.address))
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
        with running(tmp_path / "try") as again:
            assert again.ports == server.ports
            with imaplib.IMAP4_SSL("localhost", again.ports["imaps"], ssl_context=context) as imap:
                imap.login(alice.address, alice.password)
                assert imap.select("INBOX")[1] == [b"1"]


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path / "try") as server:
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        wait_until(
            lambda: len(server.workers()) == len(before) and before[0] not in server.workers(),
            lambda: server.log,
        )
        with smtplib.SMTP("localhost", server.ports["smtp"]) as stranger:
            stranger.send_message(_message("after", "someone@stranger.test", server.accounts["bob"].address))
