"""A second factor on a whole server: the account password opens no mail any more, and the owner finds a
letter that says why."""

import base64
import imaplib
import poplib
import smtplib
import time
from pathlib import Path

import pytest
from tests.peers.debian import peer
from tests.system.mailboxes import by_pop3, imap, messages, trust
from tests.system.server import Account, Server, running, wait_until

from sekisho.core.sasl.totp import totp_code

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def said_by(server: Server, account: Account) -> list[bytes]:
    """What each service answers to this login."""
    with pytest.raises(imaplib.IMAP4.error) as by_imap, imap(server, account):
        pass
    pop = poplib.POP3_SSL("localhost", server.ports["pop3s"], context=trust(server))
    pop.user(account.address)
    with pytest.raises(poplib.error_proto) as by_pop:
        pop.pass_(account.password)
    pop.close()
    smtp = smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server))
    with pytest.raises(smtplib.SMTPAuthenticationError) as by_smtp:
        smtp.login(account.address, account.password)
    smtp.close()
    assert by_smtp.value.smtp_code == 535
    words = bytes(by_smtp.value.smtp_error).rpartition(b" ")[0]  # the last word is the id of this refusal
    return [str(by_imap.value).encode(), str(by_pop.value).encode(), words]


def is_cut(connection: imaplib.IMAP4_SSL) -> bool:
    try:
        return connection.noop()[0] != "OK"
    except (imaplib.IMAP4.abort, OSError):
        return True


def soon_refused(toml: str) -> str:
    return toml + "\n[login]\nfailure_seconds = 0.2\n"


def test_with_a_second_factor_the_password_alone_opens_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "try", change=soon_refused) as server:
        alice = server.accounts["alice"]
        before = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust(server))
        before.login(alice.address, alice.password)
        assert not is_cut(before)
        begun = server.command("account", "factor", alice.address, "enable")
        typed = totp_code(base64.b32decode(begun["secret"]), int(time.time()) // 30)
        assert (
            len(server.command("account", "factor", alice.address, "confirm", typed)["recovery_codes"]) == 10
        )
        wait_until(lambda: is_cut(before), lambda: server.log)  # what the password alone opened ends
        wrong = said_by(server, Account(alice.address, "a wrong password"))
        assert "factor-" not in server.log
        assert said_by(server, alice) == wrong
        story = server.command("why", alice.address)
        assert "second factor" in str(story)
        secret = server.command("account", "credential", "add", alice.address, "phone")["secret"]
        phone = Account(alice.address, secret)
        found: list[bytes] = []

        def arrived() -> bool:
            found.extend(messages(server, phone))
            return bool(found)

        wait_until(arrived, lambda: server.log)
        assert len(found) == 1 and b"Subject: Your mail program needs an app password" in found[0]
        text = base64.b64decode(found[0].partition(b"\r\n\r\n")[2])
        assert f"sekisho account credential add {alice.address} phone".encode() in text
        assert len(by_pop3(server, phone)) == 1
        with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as smtp:
            assert smtp.login(phone.address, phone.password)[0] == 235
        assert server.command("account", "factor", alice.address, "show")["app_passwords"] == 1
        server.command("account", "factor", alice.address, "disable")
        with imap(server, alice) as again:  # the account's own password is enough again
            assert again.noop()[0] == "OK"


@pytest.mark.peers
def test_the_codes_are_those_of_another_program(tmp_path: Path) -> None:
    with running(tmp_path / "try") as server:
        alice = server.accounts["alice"]
        secret = server.command("account", "factor", alice.address, "enable")["secret"]
        code = peer("oathtool").run("oathtool", "--totp", "--base32", secret).stdout.decode().strip()
        assert (
            len(server.command("account", "factor", alice.address, "confirm", code)["recovery_codes"]) == 10
        )
