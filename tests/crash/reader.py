"""One person who reads, keeps and deletes mail while the server is being killed."""

import imaplib
import poplib
import random
import threading
from dataclasses import dataclass, field

from tests.crash.clients import NUMBER, imap, message, numbers, pop3
from tests.crash.witness import Witness
from tests.system.server import Server, wait_until

BROKEN = (OSError, EOFError, imaplib.IMAP4.error, poplib.error_proto)


@dataclass
class Reader:
    """`kept`: numbers whose APPEND was answered OK and that nobody began to delete; `gone`: those whose
    deletion was answered.

    What is moved to the Archive stays there.
    """

    server: Server
    name: str
    dice: random.Random
    number: int = 0
    kept: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    rounds: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    moved: int = 0
    inbox: Witness = field(default_factory=Witness)
    archive: Witness = field(default_factory=Witness)

    def live(self) -> None:
        while not self.stop.is_set():
            for act in (self.append, self.pop3_delete, self.append, self.move, self.imap_expunge):
                act()
            self.rounds += 1

    def append(self) -> None:
        try:
            with imap(self.server, self.name) as client:
                for _ in range(5):
                    self.number += 1
                    size = self.dice.choice((4_000, 40_000))
                    answer, said = client.append("INBOX", "", "", message(self.number, size))
                    if answer == "OK":
                        self.kept.add(self.number)
                        self.inbox.told(said[0], self.number)
        except BROKEN:
            self.stop.wait(0.05)

    def move(self) -> None:
        """The newest two, one after the other."""
        try:
            with imap(self.server, self.name) as client:
                self.archive.select(client, "Archive")
                count = self.inbox.select(client, "INBOX")
                for uid in sorted(self.inbox.look(client, 1))[-2:] if count else []:
                    answer, _ = client.uid("MOVE", str(uid), "Archive")
                    if answer == "OK":
                        self.moved += 1
                        code = client.response("COPYUID")[1][0]
                        if code:
                            self.archive.told(b"[COPYUID " + code + b"]", self.inbox.numbers[uid])
        except BROKEN:
            self.stop.wait(0.05)

    def pop3_delete(self) -> None:
        """What one QUIT was asked to delete is gone, or all of it is there."""
        chosen: set[int] = set()
        was_answered = False
        try:
            client = pop3(self.server, self.name)
            for index in range(1, min(4, client.stat()[0] + 1)):
                found = NUMBER.search(b"\r\n".join(client.top(index, 0)[1]))
                assert found
                client.dele(index)
                chosen.add(int(found[1]))
            client.quit()
            was_answered = True
        except BROKEN:
            self.stop.wait(0.05)
        self._settle(chosen, was_answered, whole=True)

    def imap_expunge(self) -> None:
        chosen: set[int] = set()
        was_answered = False
        try:
            with imap(self.server, self.name) as client:
                client.select("INBOX")
                _, rows = client.fetch("1:2", "(BODY.PEEK[HEADER.FIELDS (X-Number)])")
                chosen = {
                    int(found[1])
                    for row in rows
                    if isinstance(row, tuple) and (found := NUMBER.search(row[1]))
                }
                client.store("1:2", "+FLAGS.SILENT", "(\\Deleted)")
                was_answered = client.expunge()[0] == "OK"
        except BROKEN:
            self.stop.wait(0.05)
        self._settle(chosen, was_answered, whole=False)

    def _settle(self, chosen: set[int], was_answered: bool, *, whole: bool) -> None:
        if was_answered:
            self.kept -= chosen
            self.gone |= chosen
            return
        present = set(self.present())
        left = chosen & present
        if whole:
            assert left in (set(), chosen), f"POP3 deleted {chosen - left} of {chosen}"
        self.kept -= chosen - left
        # A flag may have been set before the crash: the next EXPUNGE takes those too, and asks for them by
        # their place.
        self.gone |= chosen - left

    def present(self) -> list[int]:
        """What is in the mailbox, as soon as the server can say."""
        seen: list[list[int]] = []

        def look() -> bool:
            try:
                both = numbers(self.server, self.name) + numbers(self.server, self.name, "Archive")
                seen.append(list(both.elements()))
            except BROKEN:
                return False
            return True

        wait_until(look, lambda: self.server.log[-3000:])
        return seen[-1]
