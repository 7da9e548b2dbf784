"""Other people's programs send through a whole server: swaks, msmtp, curl."""

from pathlib import Path

import pytest
from tests.peers.debian import peer
from tests.system.mailboxes import messages
from tests.system.server import Account, Server

pytestmark = [pytest.mark.peers, pytest.mark.slow]


def _swaks(server: Server, port: str, recipient: Account, *options: str) -> tuple[int, str]:
    """Exit status and the whole dialogue."""
    common = (
        "--server",
        "localhost",
        "--port",
        str(server.ports[port]),
        "--ehlo",
        "client.stranger.test",
        "--to",
        recipient.address,
    )
    trusted = (
        ("--tls-verify", "--tls-ca-path", str(server.ca_file))
        if "--tls" in options or "--tls-on-connect" in options
        else ()
    )
    done = peer("swaks").run("swaks", *common, *trusted, *options)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_swaks_delivers_from_outside_with_starttls(server: Server, someone: Account) -> None:
    status, said = _swaks(
        server, "smtp", someone, "--tls", "--from", "a@stranger.test", "--h-Subject", "by swaks"
    )
    assert status == 0, said
    assert "=== TLS started" in said
    (found,) = messages(server, someone)
    assert b"\r\nSubject: by swaks\r\n" in found
    assert b"with ESMTPS" in found  # RFC 3848 §1


@pytest.mark.parametrize(("port", "tls"), [("submission", "--tls"), ("submissions", "--tls-on-connect")])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_submits(server: Server, someone: Account, port: str, tls: str, mechanism: str) -> None:
    login = ("--auth", mechanism, "--auth-user", someone.address, "--auth-password", someone.password)
    status, said = _swaks(server, port, someone, tls, *login, "--from", someone.address)
    assert status == 0, said
    assert f"AUTH {mechanism}" in said
    assert b"with ESMTPSA" in messages(server, someone)[0]


def test_swaks_learns_that_a_password_is_wrong(server: Server, someone: Account) -> None:
    login = ("--auth", "PLAIN", "--auth-user", someone.address, "--auth-password", "wrong")
    status, said = _swaks(server, "submission", someone, "--tls", *login, "--from", someone.address)
    assert status == 28, said  # swaks: authentication failed
    assert "<~* 535 5.7.8" in said  # RFC 4954 §4
    assert messages(server, someone) == []


def test_swaks_may_not_submit_without_login(server: Server, someone: Account) -> None:
    status, said = _swaks(server, "submission", someone, "--tls", "--from", someone.address)
    assert status == 23, said  # swaks: MAIL was refused
    assert "<~* 530 5.7.0" in said  # RFC 4954 §6


def test_swaks_may_not_log_in_in_the_clear(server: Server, someone: Account) -> None:
    login = ("--auth", "PLAIN", "--auth-user", someone.address, "--auth-password", someone.password)
    status, said = _swaks(server, "submission", someone, *login, "--from", someone.address)
    assert status == 28, said
    assert "250-AUTH" not in said and "250 AUTH" not in said


def test_swaks_finds_no_open_relay(server: Server) -> None:
    elsewhere = Account("victim@elsewhere.test", "")
    status, said = _swaks(server, "smtp", elsewhere, "--tls", "--from", "a@stranger.test")
    assert status == 24, said  # swaks: no recipient was accepted
    assert "<~* 550 5.7.1" in said


@pytest.mark.parametrize(("port", "implicit"), [("submissions", "off"), ("submission", "on")])
def test_msmtp_submits(server: Server, someone: Account, tmp_path: Path, port: str, implicit: str) -> None:
    settings = tmp_path / "msmtprc"
    settings.write_text(
        f"account default\nhost localhost\nport {server.ports[port]}\ntls on\ntls_starttls {implicit}\n"
        f"tls_trust_file {server.ca_file}\n"
        f"auth on\nuser {someone.address}\npassword {someone.password}\nfrom {someone.address}\ndomain "
        f"client.example.test\n"
    )
    settings.chmod(0o600)
    message = (
        f"From: {someone.address}\nTo: {someone.address}\nSubject: by msmtp\n\n.\n..dots\n日本\n".encode()
    )
    done = peer("msmtp").run("msmtp", "-C", str(settings), someone.address, stdin=message)
    assert done.returncode == 0, done.stderr
    (found,) = messages(server, someone)
    assert b"\r\nSubject: by msmtp\r\n" in found
    assert found.endswith("\r\n\r\n.\r\n..dots\r\n日本\r\n".encode())


def test_msmtp_trusts_no_other_authority(server: Server, someone: Account) -> None:
    options = (
        "--host=localhost",
        f"--port={server.ports['submissions']}",
        "--tls=on",
        "--tls-starttls=off",
        "--serverinfo",
    )
    done = peer("msmtp").run("msmtp", *options)
    assert done.returncode != 0
    assert b"certificate" in done.stderr


@pytest.mark.parametrize(("port", "scheme"), [("submission", "smtp"), ("submissions", "smtps")])
def test_curl_submits(server: Server, someone: Account, tmp_path: Path, port: str, scheme: str) -> None:
    upload = tmp_path / "upload.eml"
    upload.write_bytes(
        f"From: {someone.address}\r\nTo: {someone.address}\r\nSubject: by curl\r\n\r\nHello\r\n".encode()
    )
    done = peer("curl").run(
        "curl", "-sS", "--ssl-reqd", "--cacert", str(server.ca_file), "-u",
        f"{someone.address}:{someone.password}",
        "--mail-from", someone.address, "--mail-rcpt", someone.address, "-T", str(upload),
        f"{scheme}://localhost:{server.ports[port]}/client.example.test",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert messages(server, someone)[0].endswith(b"\r\n\r\nHello\r\n")
