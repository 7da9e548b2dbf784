"""Who remembers what each UID stood for: it stands for that for ever, or for nothing (RFC 9051 §2.3.1.1)."""

import imaplib
import re
import threading
import time
from dataclasses import dataclass, field

from tests.crash.clients import NUMBER, imap
from tests.system.server import Server

UID = re.compile(rb"UID (\d+)")
CODE = re.compile(rb"\[(?:APPENDUID|COPYUID) (\d+) (?:[\d:,]+ )?(\d+)\]")
BROKEN = (OSError, EOFError, imaplib.IMAP4.error)
IDLE_SECONDS = 2.0


@dataclass
class Witness:
    """Of one mailbox."""

    validity: int = 0
    numbers: dict[int, int] = field(default_factory=dict)  # UID → number of the message
    complete_to: int = 0  # below it every UID that was there was seen

    def select(self, client: imaplib.IMAP4_SSL, mailbox: str) -> int:
        """Open it, and look at all that is there; how many messages."""
        answer, (count,) = client.select(mailbox)
        assert answer == "OK" and count is not None
        self._check_validity(int(client.response("UIDVALIDITY")[1][0]))
        uidnext = int(client.response("UIDNEXT")[1][0])
        assert uidnext >= self.complete_to, f"UIDNEXT went back from {self.complete_to} to {uidnext}"
        self.look(client, 1)
        self.complete_to = uidnext
        return int(count)

    def look(self, client: imaplib.IMAP4_SSL, first: int) -> dict[int, int]:
        """What is there from UID `first` on."""
        _, rows = client.uid("FETCH", f"{first}:*", "(UID BODY.PEEK[HEADER.FIELDS (X-Number)])")
        found: dict[int, int] = {}
        for row in rows:
            if isinstance(row, tuple) and (uid := UID.search(row[0])):
                number = NUMBER.search(row[1])
                found[int(uid[1])] = int(number[1]) if number else -1
        for uid_, number_ in found.items():
            self.see(uid_, number_)
        return found

    def see(self, uid: int, number: int) -> None:
        assert uid in self.numbers or uid >= self.complete_to, (
            f"UID {uid} came late, below {self.complete_to}"
        )
        assert self.numbers.setdefault(uid, number) == number, (
            f"UID {uid} was {self.numbers[uid]} and is {number}"
        )

    def told(self, response: bytes, number: int) -> None:
        """The response code of APPEND or MOVE into this mailbox."""
        if code := CODE.search(response):
            self._check_validity(int(code[1]))
            self.see(int(code[2]), number)

    def _check_validity(self, validity: int) -> None:
        self.validity = self.validity or validity
        assert validity == self.validity, "UIDVALIDITY changed"


@dataclass
class Idler:
    """Waits in IDLE for new mail and looks at it, again and again, while the server is being killed."""

    server: Server
    name: str
    witness: Witness = field(default_factory=Witness)
    stop: threading.Event = field(default_factory=threading.Event)
    woken: int = 0

    def live(self) -> None:
        while not self.stop.is_set():
            try:
                with imap(self.server, self.name) as client:
                    self.witness.select(client, "INBOX")
                    while not self.stop.is_set():
                        self._idle(client)
                        self.witness.look(client, max(self.witness.numbers, default=0) + 1)
            except BROKEN:
                self.stop.wait(0.05)

    def _idle(self, client: imaplib.IMAP4_SSL) -> None:
        client.send(b"idle1 IDLE\r\n")
        assert client.readline().startswith(b"+")
        client.socket().settimeout(0.2)
        until = time.monotonic() + IDLE_SECONDS
        while not self.stop.is_set() and time.monotonic() < until:
            try:
                line = client.readline()
            except TimeoutError:
                continue
            if not line:
                raise EOFError
            if b"EXISTS" in line:
                self.woken += 1
                break
        client.socket().settimeout(60)
        client.send(b"DONE\r\n")
        while not (line := client.readline()).startswith(b"idle1 "):
            if not line:
                raise EOFError

    def judge(self) -> None:
        """Nothing was deleted here: what was seen is there, under its UID."""
        seen = dict(self.witness.numbers)
        with imap(self.server, self.name) as client:
            self.witness.select(client, "INBOX")
        assert self.woken and seen.items() <= self.witness.numbers.items()
