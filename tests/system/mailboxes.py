"""What lies in an account, read by Python's own imaplib and poplib: the tests' second opinion."""

import imaplib
import poplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.system.server import Account, Server


def trust(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


@contextmanager
def imap(server: Server, account: Account) -> Iterator[imaplib.IMAP4_SSL]:
    """Logged in."""
    with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust(server)) as connection:
        connection.login(account.address, account.password)
        yield connection


def put(server: Server, account: Account, *messages: bytes, mailbox: str = "INBOX") -> None:
    with imap(server, account) as connection:
        for message in messages:
            assert connection.append(mailbox, "", "", message)[0] == "OK"


def messages(server: Server, account: Account, mailbox: str = "INBOX") -> list[bytes]:
    """Whole messages in the order of their UIDs."""
    with imap(server, account) as connection:
        assert connection.select(mailbox, readonly=True)[0] == "OK"
        return [
            part[1] for part in connection.uid("FETCH", "1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)
        ]


def flags(server: Server, account: Account, mailbox: str = "INBOX") -> list[set[bytes]]:
    """The flags of each message in the order of their UIDs."""
    with imap(server, account) as connection:
        assert connection.select(mailbox, readonly=True)[0] == "OK"
        answers = connection.uid("FETCH", "1:*", "(FLAGS)")[1]
        return [set(imaplib.ParseFlags(answer)) for answer in answers if isinstance(answer, bytes)]


def by_pop3(server: Server, account: Account) -> list[bytes]:
    """Whole messages, with CRLF."""
    connection = poplib.POP3_SSL("localhost", server.ports["pop3s"], context=trust(server))
    connection.user(account.address)
    connection.pass_(account.password)
    count = connection.stat()[0]
    found = [b"\r\n".join(connection.retr(number)[1]) + b"\r\n" for number in range(1, count + 1)]
    connection.quit()
    return found
