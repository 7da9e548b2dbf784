"""A crowd of SMTP clients that know exactly which message got its 250."""

import asyncio
import base64
import itertools
import random
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.crash.clients import message, trust
from tests.system.server import Server

LOCAL = ("alice", "bob", "carol")
SIZES = (4_000, 4_000, 4_000, 40_000)  # 40 KB goes to a file


@dataclass
class Load:
    """`promised` and `tried`: the recipients of each number with a 250, and of each number that was begun."""

    server: Server
    dice: random.Random
    tried: dict[int, tuple[str, ...]] = field(default_factory=dict)
    promised: dict[int, tuple[str, ...]] = field(default_factory=dict)
    done: bool = False
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def strangers(self) -> None:
        """One client of port 25, again and again until `done`."""
        while not self.done:
            await self._one_connection("smtp", None, self._local_recipients)

    async def submitters(self) -> None:
        """The same by submission, to the world and sometimes to a local account too."""
        context = trust(self.server)
        while not self.done:
            await self._one_connection("submissions", context, self._remote_recipients)

    def _local_recipients(self, _number: int) -> tuple[str, ...]:
        names = self.dice.sample(LOCAL, self.dice.randint(1, 3))
        return tuple(self.server.accounts[name].address for name in names)

    def _remote_recipients(self, number: int) -> tuple[str, ...]:
        remote = tuple(
            f"user{number}x{i}@remote{self.dice.randint(1, 3)}.test" for i in range(self.dice.randint(1, 2))
        )
        return remote + ((self.server.accounts["alice"].address,) if self.dice.random() < 0.3 else ())

    async def _one_connection(self, kind: str, context: ssl.SSLContext | None, choose: "Chooser") -> None:
        try:
            async with asyncio.timeout(60):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1",
                    self.server.ports[kind],
                    ssl=context,
                    server_hostname="localhost" if context else None,
                )
        except (OSError, TimeoutError):
            await asyncio.sleep(0.05)  # nobody listens just now
            return
        try:
            async with asyncio.timeout(60):
                await self._talk(_Session(reader, writer), kind, choose)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            await asyncio.sleep(0.01)  # it was killed; what it had not promised is not promised
        finally:
            writer.transport.abort()

    async def _talk(self, session: "_Session", kind: str, choose: "Chooser") -> None:
        await session.reply()
        session.write("EHLO client.test\r\n")
        await session.reply()
        sender = "someone@stranger.test"
        if kind == "submissions":
            account = self.server.accounts["alice"]
            sender = account.address
            secret = base64.b64encode(f"\0{account.address}\0{account.password}".encode()).decode()
            session.write(f"AUTH PLAIN {secret}\r\n")
            if await session.reply() != 235:
                return
        left = self.dice.randint(1, 12)
        current: tuple[int, tuple[str, ...]] | None = self._begin(session, sender, choose)
        while current is not None:
            number, recipients = current
            replies = [await session.reply() for _ in range(len(recipients) + 2)]
            if replies[-1] != 354:
                return
            session.writer.write(message(number, self.dice.choice(SIZES), sender) + b".\r\n")
            left -= 1
            following = self._begin(session, sender, choose) if left and not self.done else None
            if await session.reply() == 250:
                taken = tuple(who for who, code in zip(recipients, replies[1:-1], strict=True) if code == 250)
                self.promised[number] = taken
            current = following
            await asyncio.sleep(self.dice.uniform(0, 0.02))

    def _begin(self, session: "_Session", sender: str, choose: "Chooser") -> tuple[int, tuple[str, ...]]:
        """MAIL, RCPT and DATA at once (RFC 2920), behind the message before."""
        number = next(self.counter)
        recipients = choose(number)
        self.tried[number] = recipients
        session.write(
            "".join(
                [f"MAIL FROM:<{sender}>\r\n", *(f"RCPT TO:<{who}>\r\n" for who in recipients), "DATA\r\n"]
            )
        )
        return number, recipients


Chooser = Callable[[int], tuple[str, ...]]


class _Session:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def write(self, text: str) -> None:
        self.writer.write(text.encode())

    async def reply(self) -> int:
        """The code of the next reply, whole."""
        while True:
            line = await self.reader.readuntil(b"\n")
            if line[3:4] != b"-":
                return int(line[:3])
