"""Tokens of an issuer on a whole server: shown by IMAP, POP3 and SMTP instead of a password, and refused once
they are over."""

import base64
import imaplib
import json
import poplib
import smtplib
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.system.issuer import issuing
from tests.system.mailboxes import trust
from tests.system.server import Server, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def bearer(token: str, name: str = "") -> bytes:
    return f"n,{f'a={name}' if name else ''},\x01auth=Bearer {token}\x01\x01".encode()


def by_imap(server: Server, first: bytes) -> list[bytes]:
    """What was challenged, then the answer or nothing if the login succeeded."""
    heard: list[bytes] = []

    def respond(challenge: bytes) -> bytes:
        heard.append(challenge)
        return b"\x01" if len(heard) > 1 else first

    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust(server)) as connection:
        assert "AUTH=OAUTHBEARER" in connection.capabilities
        try:
            connection.authenticate("OAUTHBEARER", respond)
        except imaplib.IMAP4.error as error:
            heard.append(str(error).encode())
    return heard[1:]


def by_pop3(server: Server, first: bytes) -> list[bytes]:
    connection: Any = poplib.POP3_SSL("localhost", server.ports["pop3s"], context=trust(server))
    assert "OAUTHBEARER" in connection.capa()["SASL"]
    try:
        said = [connection._shortcmd("AUTH OAUTHBEARER " + base64.b64encode(first).decode())]
        if said[0].startswith(b"+ "):
            said = [base64.b64decode(said[0][2:])]
            connection._shortcmd("AQ==")
    except poplib.error_proto as error:
        return [*said, str(error).encode()]
    finally:
        connection.close()
    return []


def by_smtp(server: Server, first: bytes, mechanism: str = "OAUTHBEARER") -> list[bytes]:
    heard: list[bytes] = []

    def respond(challenge: bytes | None = None) -> str:
        if challenge is not None:
            heard.append(challenge)
            return "\x01"
        return first.decode()

    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as connection:
        connection.ehlo()
        assert mechanism in connection.esmtp_features["auth"]
        try:
            connection.auth(mechanism, respond)
        except smtplib.SMTPAuthenticationError as error:
            heard.append(b"%d" % error.smtp_code)
    return heard


def test_tokens_open_what_a_password_would(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with issuing(ca) as issuer:
        table = "\n[login]\nfailure_seconds = 0.2\n"
        table += (
            f'\n[[login.issuers]]\nissuer = "{issuer.url}"\naudience = "mail"\nscope = "mail"\n'
            f'ca_file = "{tmp_path}/ca.pem"\n'
        )
        with running(tmp_path / "try", change=lambda toml: toml + table) as server:
            now_us = time.time_ns() // 1000
            good = issuer.token(now_us, scope="openid mail")
            for algorithm in ("RS256", "ES256", "EdDSA"):
                assert by_imap(server, bearer(issuer.token(now_us, algorithm, scope="openid mail"))) == []
            assert by_pop3(server, bearer(good)) == []
            assert by_smtp(server, bearer(good, "alice@example.test")) == []
            assert (
                by_smtp(server, f"user=alice@example.test\x01auth=Bearer {good}\x01\x01".encode(), "XOAUTH2")
                == []
            )
            told = {
                "status": "invalid_token",
                "scope": "mail",
                "openid-configuration": f"{issuer.url}/.well-known/openid-configuration",
            }
            over = issuer.token(now_us - 7200_000_000, scope="mail")
            for said in (
                by_imap(server, bearer(over)),
                by_pop3(server, bearer(over)),
                by_smtp(server, bearer(over)),
            ):
                assert len(said) == 2 and json.loads(said[0]) == told
            assert said[1] == b"535"
            assert by_smtp(server, bearer(good, "bob@example.test"))[1:] == [b"535"]
            assert "token expired" in str(server.command("why", "127.0.0.1"))
            assert good not in server.log and over not in server.log
