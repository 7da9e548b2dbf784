"""The mail servers of everybody outside: they take what the house sends and write down when what arrived for
whom."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from sekisho.lab.mailbox import decoded_subject
from sekisho.lab.scene import Outside

_ADDRESS = re.compile(rb"<([^>]*)>")
_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>\r\n]*>)", re.IGNORECASE | re.MULTILINE)
_SIGNED = re.compile(rb"^dkim-signature:", re.IGNORECASE | re.MULTILINE)
_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message for one recipient, at a time of the lab."""

    message_id: str
    recipient: str
    at_us: int
    signed: bool


@dataclass(slots=True, kw_only=True)
class Sink:
    """`start` binds; `arrived` by (Message-ID, recipient), each arrival anew. `changed` is set at each."""

    now_us: Callable[[], int]
    outside: Mapping[str, Outside] = field(default_factory=dict)
    arrived: dict[tuple[str, str], list[Arrived]] = field(default_factory=dict)
    subjects: dict[str, list[str]] = field(default_factory=dict)  # by recipient
    refused: set[tuple[str, str]] = field(default_factory=set)  # (reverse path, recipient) that got a 5xx
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    host: str = ""
    port: int = 0
    _server: asyncio.Server | None = None

    async def start(self, host: str) -> None:
        """Raises OSError when that address is taken or does not exist."""
        self._server = await asyncio.start_server(self._serve, host, 0, limit=_LIMIT)
        self.host, self.port = host, self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 outside.example ESMTP\r\n")
        reverse_path, recipients = "", list[str]()
        while line := await reader.readline():
            verb = line[:4].upper()
            address = _ADDRESS.search(line)
            text = address[1].decode("utf-8", "replace") if address else ""
            if verb == b"EHLO":
                writer.write(
                    b"250-outside.example\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n250-8BITMIME\r\n"
                    b"250-SMTPUTF8\r\n"
                )
                writer.write(b"250 ENHANCEDSTATUSCODES\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n" if recipients else b"503 5.5.1 no recipients\r\n")
                if recipients:
                    content = await reader.readuntil(b"\r\n.\r\n")
                    writer.write(self._take(content, recipients) + b"\r\n")
                recipients = []
            elif verb == b"RCPT":
                reply = self._about(text)
                if reply.startswith(b"2"):
                    recipients.append(text)
                elif reply.startswith(b"5"):
                    self.refused.add((reverse_path, text))
                writer.write(reply + b"\r\n")
            else:
                if verb in (b"MAIL", b"RSET"):
                    recipients, reverse_path = [], text
                writer.write(b"250 2.0.0 ok\r\n")

    def _about(self, recipient: str) -> bytes:
        rules = self.outside.get(recipient.rpartition("@")[2])
        if rules is None:
            return b"250 2.1.5 ok"
        if "rcpt" in rules.answers:
            return rules.answers["rcpt"].encode()
        # The same addresses are unknown in every run.
        place = int.from_bytes(blake2b(recipient.encode(), digest_size=4).digest(), "big") / 2**32
        return b"550 5.1.1 no such user" if place < rules.unknown_share else b"250 2.1.5 ok"

    def _take(self, content: bytes, recipients: list[str]) -> bytes:
        rules = self.outside.get(recipients[0].rpartition("@")[2])
        if rules is not None and "end" in rules.answers:
            return rules.answers["end"].encode()
        head = content.partition(b"\r\n\r\n")[0]
        found = _MESSAGE_ID.search(head)
        message_id = found[1].decode("utf-8", "replace") if found else ""
        subject = decoded_subject(head)
        for recipient in recipients:
            self.subjects.setdefault(recipient.lower(), []).append(subject)
            arrived = Arrived(message_id, recipient, self.now_us(), bool(_SIGNED.search(head)))
            self.arrived.setdefault((message_id, recipient.lower()), []).append(arrived)
        self.changed.set()
        return b"250 2.0.0 taken"
