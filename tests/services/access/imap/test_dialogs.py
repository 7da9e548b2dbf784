"""Every dialog of the folder beside this file, played against a server in memory.

Options: `login NAME` (greeting and login are done before the first line), `messages N`, `message NAME`, `tls
no`, `append_octets N`, `quota N`.
"""

from pathlib import Path
from typing import Any

import pytest

from sekisho.testing.dialog import Dialog, Player, load_dialogs

MINUTES = (
    b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
    b"Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
    b"cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\nMessage-Id: "
    b"<B27397-0100000@cac.washington.edu>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\nContent-Transfer-Encoding: "
    b"7BIT\r\n\r\nHello.\r\n"
)
NESTED = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n\r\nfirst\r\n--out\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\nContent-Type: "
    b"text/html\r\n\r\n<p>\r\n--in\r\n"
    b'Content-Type: image/png; name="x.png"\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <i@x>\r\n'
    b"\r\nAAAA\r\n--in--\r\n--out--\r\n"
)
JAPANESE = (
    b"Subject: =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=\r\nFrom: Taro <taro@example.test>\r\n"
    b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
) + "明日の会議室\r\n".encode("iso-2022-jp")
MESSAGES = {"nested": NESTED, "japanese": JAPANESE}


@pytest.mark.parametrize(
    "dialog", load_dialogs(Path(__file__).parent / "dialogs"), ids=lambda dialog: dialog.name
)
async def test_dialog(dialog: Dialog, make_server: Any) -> None:
    options = dialog.options
    server = await make_server(
        **({"append_octets": int(options["append_octets"])} if "append_octets" in options else {})
    )
    if "message" in options:
        await server.append(MESSAGES[options["message"]])
    for _ in range(int(options.get("messages", 0))):
        await server.append(MINUTES)
    if "quota" in options:
        await server.store.directory.set_quota(
            server.accounts["alice@example.test"].id, int(options["quota"])
        )
    client = server.connect(tls=options.get("tls") != "no")
    if "login" in options:
        await client.log_in(options["login"])
    await Player(client.stream).play(dialog)
    assert server.journal.faults == []
