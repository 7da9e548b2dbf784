"""Each refusal of a whole server is explained: `sekisho why` finds the id that stands in the reply, in
English and Japanese."""

import os
import re
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.system.mailboxes import trust
from tests.system.names import names
from tests.system.server import ENVIRONMENT, Account, Server, running, wait_until

from sekisho.faces.cli import exits

pytestmark = pytest.mark.slow

ZONE = """
example.test. TXT "v=spf1 -all"
stranger.test. TXT "v=spf1 ip4:127.0.0.1 -all"
strict.test. TXT "v=spf1 -all"
_dmarc.strict.test. TXT "v=DMARC1; p=reject"
"""
URL = "https://mail.example.test/why/"


@pytest.fixture(scope="module")
def dns() -> Iterator[str]:
    """The address of a DNS server."""
    with names(ZONE) as found:
        yield found.address


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, dns: str) -> Iterator[Server]:
    def change(toml: str) -> str:
        toml, count = re.subn(r"unchecked_networks = .*", "unchecked_networks = []", toml)
        assert count == 1
        toml += (
            f"\n[limits]\nmessage_octets = 20000\nheader_octets = 10000\nerrors_per_session = 3\n\n"
            f'[resolver]\nservers = ["{dns}"]\n'
        )
        return (
            toml
            + f'\n[ledger]\nwhy_url = "{URL}{{id}}"\n\n[relay.routes]\n"elsewhere.test" = "[127.0.0.1]:1"\n'
        )

    with running(Path(tmp_path_factory.mktemp("why")) / "try", change=change) as started:
        yield started


def ask(server: Server, subject: str, language: str = "C.UTF-8") -> tuple[int, str]:
    """Exit code and what was said."""
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("LC_")} | {
        "LANG": language
    }
    command = [sys.executable, "-m", "sekisho.app", "why", subject, "-c", str(server.config_file)]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def reply_to(
    server: Server,
    recipient: str,
    content: str = "From: x@stranger.test\r\n\r\nx",
    sender: str = "x@stranger.test",
) -> str:
    """The words of the refusal of this message by strangers."""
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="stranger.test") as stranger:
        with pytest.raises((smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)) as refused:
            stranger.sendmail(sender, [recipient], content)
        error = refused.value
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, text = error.recipients[recipient]
            return f"{code} {text.decode()}"
        assert isinstance(error, smtplib.SMTPResponseException) and isinstance(error.smtp_error, bytes)
        return f"{error.smtp_code} {error.smtp_error.decode()}"


def over_quota(server: Server) -> str:
    small = Account("small@example.test", "correct horse battery")
    server.command(
        "account", "add", small.address, "--quota", "100", "--password-stdin", stdin=small.password + "\n"
    )
    return reply_to(server, small.address)


def oversized_by_declaration(server: Server) -> str:
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="stranger.test") as stranger:
        stranger.ehlo()
        code, text = stranger.mail("x@stranger.test", ["SIZE=30000"])
        return f"{code} {text.decode()}"


def oversized(server: Server) -> str:
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="stranger.test") as stranger:
        stranger.helo()
        stranger.mail("x@stranger.test")
        stranger.rcpt("alice@example.test")
        code, text = stranger.data("From: x@stranger.test\r\n\r\n" + "x\r\n" * 10_000)
        return f"{code} {text.decode()}"


def bad_login(server: Server) -> str:
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login("alice@example.test", "wrong")
        return (
            str(refused.value.smtp_error, "utf-8")
            if isinstance(refused.value.smtp_error, bytes)
            else refused.value.smtp_error
        )


def not_my_name(server: Server) -> str:
    alice = server.accounts["alice"]
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as client:
        client.login(alice.address, alice.password)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(alice.address, ["bob@example.test"], "From: bob@example.test\r\n\r\nx")
        assert isinstance(refused.value.smtp_error, bytes)
        return f"{refused.value.smtp_code} {refused.value.smtp_error.decode()}"


def too_many_errors(server: Server) -> str:
    with smtplib.SMTP("localhost", server.ports["smtp"]) as stranger:
        for _ in range(3):
            code, text = stranger.docmd("NONSENSE")
        assert code == 500 and b"(id" not in text
        code, text = stranger.getreply()
        return f"{code} {text.decode()}"


REFUSALS: dict[str, tuple[Callable[[Server], str], str, str, str]] = {
    "unknown": (
        lambda server: reply_to(server, "nobody@example.test"),
        "550 5.1.1",
        "no account and no alias",
        "エイリアスもありません",
    ),
    "relay": (
        lambda server: reply_to(server, "x@elsewhere.test"),
        "550 5.7.1",
        "domain is not served here",
        "ここでは扱っていません",
    ),
    "quota": (over_quota, "452 4.2.2", "the mailbox is full", "いっぱいです"),
    "own domain": (
        lambda server: reply_to(server, "bob@example.test", "From: alice@example.test\r\n\r\nx"),
        "550 5.7.1",
        "its author is in example.test, a domain served here",
        "差出人がここのドメイン example.test",
    ),
    "dmarc": (
        lambda server: reply_to(server, "bob@example.test", "From: x@strict.test\r\n\r\nx"),
        "550 5.7.1",
        "DMARC fails: neither SPF nor DKIM authenticates strict.test",
        "DMARC の失敗",
    ),
    "declared size": (
        oversized_by_declaration,
        "552 5.3.4",
        "larger than this server accepts",
        "上限より大きい",
    ),
    "size": (oversized, "552 5.3.4", "larger than this server accepts", "上限より大きい"),
    "login": (
        bad_login,
        "",
        "A login as alice@example.test from 127.0.0.1 (submission) was refused",
        "パスワードが違います",
    ),
    "sender": (
        not_my_name,
        "550 5.7.1",
        "alice@example.test may not send under that address",
        "そのアドレスでは送信できません",
    ),
    "errors": (too_many_errors, "421 4.7.0", "it ended with: errors", "終わり方: errors"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_every_refusal_is_found_by_the_text_of_its_reply(server: Server, what: str) -> None:
    refuse, status, english, japanese = REFUSALS[what]
    reply = refuse(server)
    match = re.search(r"\(id ([a-z0-9-]+)\)", reply)
    assert match and reply.startswith(status), reply
    assert f"See {URL}{match[1]}" in reply
    code, text = ask(server, match[1])
    assert code == exits.OK and english in text.splitlines()[0], text
    code, text = ask(server, match[1], "ja_JP.UTF-8")
    assert code == exits.OK and japanese in text.splitlines()[0], text


def test_a_message_is_followed_to_the_queue_and_found_with_the_server_down(server: Server) -> None:
    alice = server.accounts["alice"]
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as client:
        client.login(alice.address, alice.password)
        client.sendmail(
            alice.address,
            ["x@elsewhere.test"],
            "From: alice@example.test\r\nMessage-ID: <a1@x.test>\r\n\r\nx",
        )
    wait_until(lambda: "relay.attempt" in server.log, lambda: server.log)
    wait_until(
        lambda: "waits; the next attempt is on 20" in ask(server, "<a1@x.test>")[1],
        lambda: ask(server, "<a1@x.test>")[1],
    )
    code, text = ask(server, "<never.seen@x.test>")
    assert code == exits.NOTHING_KNOWN and "goes back to 20" in text
    reply = reply_to(server, "nobody2@example.test")
    assert server.stop() == 0, server.log
    code, text = ask(server, "nobody2@example.test")
    assert code == exits.OK and "no account and no alias" in text.splitlines()[0]
    match = re.search(r"\(id ([a-z0-9-]+)\)", reply)
    assert match and match[1] in text
    assert "waits; the next attempt" in ask(server, "a1@x.test")[1]
    assert os.stat(server.folder / "data" / "ledger.db").st_mode & 0o077 == 0
