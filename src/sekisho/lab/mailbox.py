"""A person's mail program, as far as the lab needs one: log in over IMAP, look what is new where, move a
message."""

import asyncio
import email
import email.policy
import re

from sekisho.lab.script import IpAddress
from sekisho.lab.wire import Door, Wire
from sekisho.ports.lab import RehearsalFailed

FOLDERS = ("INBOX", "Junk")
_FETCHED = re.compile(rb"\* [0-9]+ FETCH \(.*?UID ([0-9]+).*\{([0-9]+)\}$")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE)
_MOVED_OK = b" OK"


class MailboxTrouble(RehearsalFailed):
    """The server answered something that a mail program could not go on with."""

    def __init__(self, command: str, answer: str) -> None:
        super().__init__("{operation}: {reason}", operation=command, reason=answer)


class Mailbox:
    """One account. `found` says where each Message-ID lies (several times when it came twice): (folder,
    UID)."""

    def __init__(self, door: Door, client: IpAddress, port: int, address: str, password: str) -> None:
        self._door, self._client, self._port = door, client, port
        self._login = address, password
        self._wire: Wire | None = None
        self._count = 0
        self._turn = asyncio.Lock()  # one command at a time
        self._next_uid = dict.fromkeys(FOLDERS, 1)
        self.found: dict[str, list[tuple[str, int]]] = {}

    async def refresh(self) -> None:
        """Look what came since the last time; raises MailboxTrouble, OSError."""
        async with self._turn:
            await self._refresh()

    async def _refresh(self) -> None:
        for folder in FOLDERS:
            await self._command(f'SELECT "{folder}"')
            first = self._next_uid[folder]
            for line, literal in await self._command(
                f"UID FETCH {first}:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"
            ):
                fetched, message_id = _FETCHED.match(line), _MESSAGE_ID.search(literal)
                if (
                    fetched is None or int(fetched[1]) < first
                ):  # RFC 9051 §6.4.9: n:* names the last one even if it is below n
                    continue
                self._next_uid[folder] = max(self._next_uid[folder], int(fetched[1]) + 1)
                if message_id is not None:
                    self.found.setdefault(message_id[1].decode("utf-8", "replace"), []).append(
                        (folder, int(fetched[1]))
                    )

    async def subjects(self, folder: str) -> list[str]:
        """Of all messages there, decoded; raises MailboxTrouble, OSError."""
        async with self._turn:
            await self._command(f'SELECT "{folder}"')
            lines = await self._command("UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [decoded_subject(literal) for _, literal in lines if literal]

    async def move(self, message_id: str, folder: str) -> bool:
        """As a person does who says "junk" or "not junk". False when the message is not where it could be
        moved from."""
        async with self._turn:
            for where, uid in self.found.get(message_id, []):
                if where != folder:
                    await self._command(f'SELECT "{where}"')
                    await self._command(f'UID MOVE {uid} "{folder}"')
                    self.found[message_id].remove((where, uid))
                    await self._refresh()
                    return True
        return False

    async def close(self) -> None:
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    async def _command(self, text: str) -> list[tuple[bytes, bytes]]:
        """The untagged lines before the tagged one, each with the literal at its end, if any."""
        wire = self._wire or await self._open()
        self._count += 1
        tag = f"L{self._count}".encode()
        await wire.write(tag + b" " + text.encode() + b"\r\n")
        lines: list[tuple[bytes, bytes]] = []
        while line := await wire.line():
            if line.startswith(tag):
                if not line.startswith(tag + _MOVED_OK):
                    raise MailboxTrouble(text, line.decode("utf-8", "replace"))
                return lines
            literal = re.search(rb"\{([0-9]+)\}$", line)
            lines.append((line, await wire.octets(int(literal[1])) if literal else b""))
        self._wire = None
        raise MailboxTrouble(text, "the server closed the connection")

    async def _open(self) -> Wire:
        self._wire = wire = Wire(self._door, self._client)
        await wire.connect(self._port, tls=True)
        await wire.line()
        user, password = self._login
        await self._command(f'LOGIN "{user}" "{password}"')
        return wire


def decoded_subject(head: bytes) -> str:
    """The subject of a header section, "" without one."""
    return str(email.message_from_bytes(head, policy=email.policy.default)["subject"] or "")
