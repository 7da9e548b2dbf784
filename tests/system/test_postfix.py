"""A sekisho and a Postfix exchange mail as two strangers on the Internet would: MX, port 25, STARTTLS,
bounces, DSNs."""

import email
import email.message
import imaplib
import os
import smtplib
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.peers.debian import IN_CI
from tests.peers.postfix import Postfix, running_postfix
from tests.system.server import ENVIRONMENT, Server, is_listening, running, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.peers]

# Ports 25 and 53 cannot be chosen, so the addresses are: two runs on one machine must not meet.
_NET = f"127.25.{os.getpid() % 250 + 1}"
POSTFIX, OURS, LATER, DNS = f"{_NET}.1", f"{_NET}.2", f"{_NET}.3", f"{_NET}.53"
ZONE = f"""
example.test        MX 10 mx.example.test
mx.example.test     A  {OURS}
postfix.test        MX 10 mx.postfix.test
refused.test        MX 10 mx.postfix.test
mx.postfix.test     A  {POSTFIX}
later.test          MX 10 mx.later.test
mx.later.test       A  {LATER}
"""


@dataclass
class World:
    server: Server
    postfix: Postfix
    folder: Path
    certificate: tuple[Path, Path]

    @contextmanager
    def submission(self) -> Iterator[smtplib.SMTP_SSL]:
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        alice = self.server.accounts["alice"]
        with smtplib.SMTP_SSL("localhost", self.server.ports["submissions"], context=context) as client:
            client.login(alice.address, alice.password)
            yield client

    def inbox(self, subject: str) -> list[bytes]:
        """alice's messages whose Subject holds those words."""
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        alice = self.server.accounts["alice"]
        with imaplib.IMAP4_SSL("localhost", self.server.ports["imaps"], ssl_context=context) as imap:
            imap.login(alice.address, alice.password)
            imap.select("INBOX", readonly=True)
            numbers = imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            return [imap.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1] for number in numbers]

    def wait_in_inbox(self, subject: str) -> bytes:
        return self._wait(lambda: self.inbox(subject))

    def wait_at_postfix(self, subject: str, postfix: Postfix | None = None) -> bytes:
        where = postfix or self.postfix
        return self._wait(
            lambda: [message for message in where.messages() if f"\nSubject: {subject}".encode() in message]
        )

    def _wait(self, look: Callable[[], list[bytes]]) -> bytes:
        """The one message, once it is there."""
        wait_until(lambda: bool(look()), self.explain)
        (message,) = look()
        return message

    def explain(self) -> str:
        return f"--- Postfix\n{self.postfix.log[-4000:]}\n--- sekisho\n{self.server.log[-4000:]}"

    def sendmail(self, recipient: str, message: bytes) -> None:
        """With Postfix's own sendmail, from somebody@postfix.test. The message has LF."""
        config = str(self.postfix.directory / "etc")
        self.postfix.command(
            "sendmail", "-C", config, "-i", "-f", "somebody@postfix.test", recipient, stdin=message
        )


def _message(subject: str, sender: str, recipient: str, body: bytes = b"Text.\r\n") -> bytes:
    head = f"""\
Date: Tue, 24 Nov 2026 10:00:00 +0900
From: {sender}
To: {recipient}
Message-ID: <{subject.replace(" ", ".")}@{sender.partition("@")[2]}>
Subject: {subject}
X-Folded: one
\ttwo   three
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

"""
    return head.replace("\n", "\r\n").encode() + body


@contextmanager
def _serving_names(folder: Path) -> Iterator[None]:
    zone_file = folder / "zone"
    zone_file.write_text(ZONE)
    process = subprocess.Popen(
        [sys.executable, "-m", "sekisho.testing.dnsserver", "--host", DNS, "--port", "53", str(zone_file)],
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the DNS server did not start"
        yield
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def _with_port_25(config: str) -> str:
    return (
        config
        + f"""
[[listeners]]
kind = "smtp"
name = "smtp-outside"
address = "{OURS}"
port = 25

[resolver]
servers = ["{DNS}"]

[relay]
port = 25
source_ipv4 = "{OURS}"
"""
    )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    if os.geteuid() != 0:
        if IN_CI:
            pytest.fail("mail to and from Postfix needs root, for ports 25 and 53")
        pytest.skip("SKIPPED PEER: mail to and from Postfix needs root, for ports 25 and 53")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sekisho-postfix-")))
        folder.chmod(0o755)  # Postfix has users of its own
        stack.enter_context(_serving_names(folder))
        server = stack.enter_context(running(folder / "try", change=_with_port_25))
        certificate = (server.folder / "cert.pem", server.folder / "key.pem")
        postfix = stack.enter_context(
            running_postfix(folder / "postfix", POSTFIX, "postfix.test", DNS, certificate)
        )
        yield World(server, postfix, folder, certificate)


def test_octets_to_postfix_are_unchanged_and_encrypted(world: World) -> None:
    alice = world.server.accounts["alice"].address
    body = (
        b".\r\n..\r\n.dot\r\n \r\ntrailing \t\r\n"
        + "会議は三時から。é\r\n".encode()
        + b"\xff\xfe raw\r\n"
        + b"x" * 5000
        + b"\r\n\r\n\r\n"
    )
    message = _message("octets out", alice, "user@postfix.test", body)
    with world.submission() as client:
        client.sendmail(alice, ["user@postfix.test"], message, mail_options=["BODY=8BITMIME"])
    head, _, arrived = world.wait_at_postfix("octets out").partition(b"\n\n")
    assert arrived.replace(b"\n", b"\r\n") == body
    sent_head = message.partition(b"\r\n\r\n")[0].replace(b"\r\n", b"\n")
    assert head.endswith(sent_head)
    assert f"TLS connection established from unknown[{OURS}]: TLSv1.3" in world.postfix.log, world.explain()


def test_several_messages_share_a_connection(world: World) -> None:
    alice = world.server.accounts["alice"].address
    before = world.postfix.log.count(f": connect from unknown[{OURS}]")
    with world.submission() as client:
        for number in range(8):
            client.sendmail(
                alice, ["user@postfix.test"], _message(f"shared {number}", alice, "user@postfix.test")
            )
            world.wait_at_postfix(f"shared {number}")
    assert world.postfix.log.count(f": connect from unknown[{OURS}]") - before <= 2


def test_octets_from_postfix_are_unchanged_and_encrypted(world: World) -> None:
    body = (
        b".\r\n..\r\n.dot\r\n \r\ntrailing \t\r\n"
        + "会議は三時から。é\r\n".encode()
        + b"x" * 990
        + b"\r\n\r\n\r\n"
    )
    message = _message("octets in", "somebody@postfix.test", "alice@example.test", body)
    world.sendmail("alice@example.test", message.replace(b"\r\n", b"\n"))
    head, _, arrived = world.wait_in_inbox("octets in").partition(b"\r\n\r\n")
    assert arrived == body
    assert head.startswith(b"Return-Path: <somebody@postfix.test>")
    assert head.endswith(message.partition(b"\r\n\r\n")[0])
    assert f"TLS connection established to mx.example.test[{OURS}]:25: TLSv1.3" in world.postfix.log


def test_a_megabyte_each_way(world: World) -> None:
    alice = world.server.accounts["alice"].address
    body = b"".join(b"%06d %s\r\n" % (number, b"y" * 70) for number in range(14_000))
    with world.submission() as client:
        client.sendmail(alice, ["user@postfix.test"], _message("large out", alice, "user@postfix.test", body))
    arrived = world.wait_at_postfix("large out")
    assert arrived.partition(b"\n\n")[2].replace(b"\n", b"\r\n") == body
    message = _message("large in", "somebody@postfix.test", alice, body)
    world.sendmail(alice, message.replace(b"\r\n", b"\n"))
    assert world.wait_in_inbox("large in").partition(b"\r\n\r\n")[2] == body


def _reports(message: bytes) -> list[email.message.Message]:
    """The fields of each recipient in a delivery status notification (RFC 3464 §2)."""
    parsed: Any = email.message_from_bytes(message)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    _, status, *_ = parsed.get_payload()
    assert status.get_content_type() == "message/delivery-status"
    return list(status.get_payload()[1:])


def _dsn_to_alice(world: World, original_recipient: str) -> email.message.Message:
    """The report about that recipient, once a notice that holds it is in the INBOX."""

    def found() -> list[email.message.Message]:
        notices = [
            m
            for m in world.inbox("")
            if m.startswith(b"Return-Path: <>") and original_recipient.encode() in m
        ]
        return [report for notice in notices for report in _reports(notice)]

    wait_until(lambda: bool(found()), world.explain)
    (report,) = found()
    return report


def test_what_postfix_refuses_comes_back_as_a_dsn(world: World) -> None:
    alice = world.server.accounts["alice"].address
    with world.submission() as client:
        client.sendmail(alice, ["nobody@refused.test"], _message("refused", alice, "nobody@refused.test"))
    report = _dsn_to_alice(world, "nobody@refused.test")
    assert report["Action"] == "failed"
    assert report["Status"] == "5.7.1"
    assert report["Final-Recipient"].replace(" ", "") == "rfc822;nobody@refused.test"
    assert "Relay access denied" in report["Diagnostic-Code"]
    assert "mx.postfix.test" in report["Remote-MTA"]


def test_what_we_refuse_postfix_bounces(world: World) -> None:
    world.sendmail(
        "nobody@example.test",
        _message("unknown user", "somebody@postfix.test", "nobody@example.test").replace(b"\r\n", b"\n"),
    )
    bounce = world.wait_at_postfix("Undelivered Mail Returned to Sender")
    (report,) = _reports(bounce)
    assert report["Action"] == "failed"
    assert report["Status"] == "5.1.1"
    assert report["Remote-MTA"] == "dns; mx.example.test"


def test_postfix_reports_success_when_asked(world: World) -> None:
    alice = world.server.accounts["alice"].address
    with world.submission() as client:
        client.sendmail(
            alice,
            ["success@postfix.test"],
            _message("success", alice, "success@postfix.test"),
            mail_options=["RET=HDRS", "ENVID=e1"],
            rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;success@postfix.test"],
        )
    world.wait_at_postfix("success")
    report = _dsn_to_alice(world, "success@postfix.test")
    assert report["Action"] in ("delivered", "relayed")
    assert report["Original-Recipient"].replace(" ", "") == "rfc822;success@postfix.test"


def test_mail_waits_for_a_stopped_postfix_and_arrives_once(world: World) -> None:
    alice = world.server.accounts["alice"].address

    def send(subject: str) -> None:
        with world.submission() as client:
            client.sendmail(alice, ["user@later.test"], _message(subject, alice, "user@later.test"))

    with running_postfix(world.folder / "first", LATER, "later.test", DNS, world.certificate) as first:
        send("before the stop")
        world.wait_at_postfix("before the stop", first)
    wait_until(lambda: not is_listening(25, LATER))
    send("while it is stopped")

    def waiting() -> bool:
        return [
            r["attempts"]
            for m in world.server.command("queue", "list")
            for r in m["recipients"]
            if r["address"] == "user@later.test"
        ] == [1]

    wait_until(waiting, world.explain)
    with running_postfix(world.folder / "second", LATER, "later.test", DNS, world.certificate) as second:
        world.server.command("queue", "retry", "--all")
        world.wait_at_postfix("while it is stopped", second)
        wait_until(lambda: world.server.command("queue", "list") == [], world.explain)
        assert len(second.messages()) == 1
