"""A script comes over ManageSieve to a real server, and sorts what comes on port 25."""

import base64
import imaplib
import smtplib
import socket
import ssl
from email.message import EmailMessage

import pytest
from tests.system.server import Account, Server

pytestmark = pytest.mark.slow

SCRIPT = (
    b'require ["fileinto", "mailbox", "ereject"];\nif header :contains "subject" "list" '
    b'{ fileinto :create "Lists/all"; }\n'
)
SCRIPT += b'if header :contains "subject" "spam" { ereject "Not here."; }\n'


class Client:
    def __init__(self, server: Server) -> None:
        self._socket: socket.socket = socket.create_connection(
            ("localhost", server.ports["sieve"]), timeout=30
        )
        self._file = self._socket.makefile("rb")
        assert b'"STARTTLS"' in self.hear()
        assert self.say(b"STARTTLS").startswith(b"OK")
        self._socket = ssl.create_default_context(cafile=str(server.ca_file)).wrap_socket(
            self._socket, server_hostname="localhost"
        )
        self._file = self._socket.makefile("rb")
        assert b"SCRAM-SHA-256" in self.hear()

    def say(self, line: bytes) -> bytes:
        self._socket.sendall(line + b"\r\n")
        return self.hear()

    def hear(self) -> bytes:
        said = b""
        while True:
            line = self._file.readline()
            said += line
            if not line or line.split(b" ")[0].strip() in (b"OK", b"NO", b"BYE"):
                return said


def send(server: Server, to: str, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "someone@stranger.test", to, subject
    message.set_content("Text.\n")
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="stranger.test") as stranger:
        stranger.starttls(context=ssl.create_default_context(cafile=str(server.ca_file)))
        stranger.send_message(message)


def test_a_script_is_brought_and_sorts(server: Server, someone: Account) -> None:
    client = Client(server)
    login = base64.b64encode(f"\0{someone.address}\0{someone.password}".encode())
    assert client.say(b'AUTHENTICATE "PLAIN" "%b"' % login).startswith(b"OK")
    assert client.say(b'PUTSCRIPT "rules" {%d+}\r\n%b' % (len(SCRIPT), SCRIPT)) == b"OK\r\n"
    assert client.say(b'SETACTIVE "rules"') == b"OK\r\n"
    assert client.say(b"LISTSCRIPTS") == b'"rules" ACTIVE\r\nOK\r\n'
    assert client.say(b"LOGOUT").startswith(b"OK")
    assert [each["name"] for each in server.command("sieve", "list", someone.address)] == ["rules"]
    send(server, someone.address, "to the list")
    send(server, someone.address, "hello")
    with pytest.raises(smtplib.SMTPDataError) as caught:
        send(server, someone.address, "spam")
    assert caught.value.smtp_code == 550 and b"Not here." in caught.value.smtp_error  # type: ignore[operator]
    with imaplib.IMAP4_SSL(
        "localhost", server.ports["imaps"], ssl_context=ssl.create_default_context(cafile=str(server.ca_file))
    ) as imap:
        imap.login(someone.address, someone.password)
        assert imap.select("Lists/all")[1] == [b"1"] and imap.select("INBOX")[1] == [b"1"]
