"""What the crash tests do to a server from outside, and how they look into it."""

import imaplib
import os
import poplib
import re
import smtplib
import ssl
from collections import Counter
from pathlib import Path

from tests.system.server import Server

FULL = os.environ.get("SEKISHO_TEST_SCALE") == "full"
NUMBER = re.compile(rb"X-Number: (\d+)", re.IGNORECASE)


def route_to(port: int, text: str) -> str:
    """The configuration `text`, all mail to the world going to `port` of this machine, with retries after a
    second.

    The guard counts and writes down, and holds nothing: these clients send more in a minute than any honest
    account in a day.
    """
    queue = "\n[queue]\nretry_seconds = [1.0]\n"
    guard = '\n[guard]\nmode = "observe"\n'
    limits = "\n[limits]\nconnections_per_ip = 500\nfree_disk_octets = 0\n"
    return f'{text}\n[relay.routes]\n"*" = "127.0.0.1:{port}"\n{queue}{guard}{limits}'


def trust(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.ca_file))


def message(number: int, size: int = 4000, sender: str = "someone@stranger.test") -> bytes:
    head = (
        f"From: {sender}\r\nTo: somebody@example.test\r\nSubject: {number}\r\nX-Number: {number}\r\n\r\n"
    ).encode()
    line = b"%-70d\r\n" % number
    return head + line * (size // len(line))


def imap(server: Server, name: str) -> imaplib.IMAP4_SSL:
    account = server.accounts[name]
    client = imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=trust(server), timeout=60)
    client.login(account.address, account.password)
    return client


def pop3(server: Server, name: str) -> poplib.POP3_SSL:
    account = server.accounts[name]
    client = poplib.POP3_SSL("localhost", server.ports["pop3s"], context=trust(server), timeout=60)
    client.user(account.address)
    client.pass_(account.password)
    return client


def numbers(server: Server, name: str, mailbox: str = "INBOX") -> Counter[int]:
    """How often each number lies in a mailbox."""
    with imap(server, name) as client:
        answer, (count,) = client.select(mailbox, readonly=True)
        assert answer == "OK"
        if count == b"0":
            return Counter()
        _, rows = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (X-Number)])")
    return Counter(
        int(found[1]) for row in rows if isinstance(row, tuple) and (found := NUMBER.search(row[1]))
    )


def send(server: Server, number: int, *recipients: str, size: int = 4000) -> None:
    """By port 25; raises what smtplib raises."""
    with smtplib.SMTP("localhost", server.ports["smtp"], timeout=60) as client:
        client.sendmail("someone@stranger.test", list(recipients), message(number, size))


def submit(server: Server, number: int, *recipients: str) -> None:
    alice = server.accounts["alice"]
    with smtplib.SMTP_SSL(
        "localhost", server.ports["submissions"], context=trust(server), timeout=60
    ) as client:
        client.login(alice.address, alice.password)
        client.sendmail(alice.address, list(recipients), message(number, sender=alice.address))


def worker_of(server: Server, local_port: int, remote_port: int) -> int | None:
    """The worker that holds the connection with these ports, seen from the server's side."""
    wanted = (f":{local_port:04X}", f":{remote_port:04X}")
    inodes = {
        f"socket:[{fields[9]}]"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[1].endswith(wanted[0]) and fields[2].endswith(wanted[1])
    }
    for pid in server.workers():
        try:
            if any(os.readlink(entry.path) in inodes for entry in os.scandir(f"/proc/{pid}/fd")):
                return pid
        except OSError:
            continue  # it just ended
    return None
