"""A message submitted by smtplib is read back as it was sent, over IMAP and over POP3."""

import smtplib

import pytest
from tests.system.mailboxes import by_pop3, messages, trust
from tests.system.server import Account, Server

pytestmark = pytest.mark.slow

JAPANESE = "会議のお知らせ"


def _fields(subject: bytes, content_type: bytes, encoding: bytes, account: Account) -> bytes:
    address = account.address.encode()
    return (
        b"From: "
        + address
        + b"\r\nTo: "
        + address
        + b"\r\nSubject: "
        + subject
        + b"\r\nDate: Tue, 24 Nov 2026 07:00:00 +0900\r\n"
        b"Message-ID: <1@client.example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset="
        + content_type
        + b"\r\n"
        b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("subject", "charset", "encoding", "body", "options"),
    [
        pytest.param(b"8bit", b"utf-8", b"8bit", JAPANESE.encode(), ["BODY=8BITMIME"], id="8bitmime"),
        pytest.param(
            b"=?ISO-2022-JP?B?GyRCMnE1RCRORyVDTiRpJDshGyhC?=",
            b"iso-2022-jp",
            b"7bit",
            JAPANESE.encode("iso-2022-jp"),
            [],
            id="iso-2022-jp encoded word",
        ),
        pytest.param(
            JAPANESE.encode(),
            b"utf-8",
            b"8bit",
            JAPANESE.encode(),
            ["SMTPUTF8", "BODY=8BITMIME"],
            id="smtputf8 subject",
        ),
        pytest.param(
            JAPANESE.encode("iso-2022-jp"),
            b"iso-2022-jp",
            b"7bit",
            b"raw escapes in the subject",
            [],
            id="raw iso-2022-jp subject",
        ),
    ],
)
def test_octets_survive(
    server: Server,
    someone: Account,
    subject: bytes,
    charset: bytes,
    encoding: bytes,
    body: bytes,
    options: list[str],
) -> None:
    header, text = _fields(subject, charset, encoding, someone), b".\r\n" + body + b"\r\n..\r\n \t\r\n\r\n"
    with smtplib.SMTP_SSL("localhost", server.ports["submissions"], context=trust(server)) as client:
        client.login(someone.address, someone.password)
        client.sendmail(someone.address, someone.address, header + text, mail_options=options)
    (by_imap,) = messages(server, someone)
    fields, _, found = by_imap.partition(b"\r\n\r\n")
    assert found == text
    # Trace fields and a signature stand above; ours is whole and at the end.
    assert (fields + b"\r\n\r\n").endswith(header)
    # POP3's RETR may not show one octet differently; poplib ends the last line itself.
    assert by_pop3(server, someone) == [by_imap]
