"""Other people's mail servers in memory: what the relay meets, scripted."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from sekisho.ports.stream import IpAddress, Stream, StreamError
from sekisho.testing.stream import MemoryStream, connected_streams

Answer = bytes | Literal["close", "hang"]
EXTENSIONS = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS")


@dataclass
class ReceivedMail:
    """One transaction that got its 250. `content` has its dots undone."""

    mail: str
    recipients: list[str]
    content: bytes
    tls: bool


@dataclass(kw_only=True)
class RemoteServer:
    """Takes mail and writes it down in `received`.

    `answers` changes what it says: the key is "greeting", "end" (of the content), "handshake" or the
    beginning of a command ("RCPT TO:<bob", the longest match wins), the value a reply, "close" (drops the
    connection) or "hang"; of a list, one value each time and the last for ever. "handshake": any value makes
    the server go away instead of shaking hands.
    """

    extensions: Iterable[str] = EXTENSIONS
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    received: list[ReceivedMail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    batches: list[bytes] = field(default_factory=list)  # what came in one read
    connections: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, event: str, default: bytes) -> Answer:
        keys = [key for key in self.answers if event.startswith(key)]
        if not keys:
            return default
        key = max(keys, key=len)
        value = self.answers[key]
        if isinstance(value, list):
            return value.pop(0) if len(value) > 1 else value[0]
        return value

    async def serve(self, stream: Stream) -> None:
        """One connection."""
        self.connections += 1
        try:
            await _Talk(self, stream).run()
        except StreamError:
            pass
        await stream.close()


class _Talk:
    def __init__(self, server: RemoteServer, stream: Stream) -> None:
        self.server = server
        self.stream = stream
        self.buffer = b""
        self.mail = ""
        self.recipients: list[str] = []

    async def run(self) -> None:
        await self.say("greeting", b"220 remote.example ESMTP\r\n")
        while (line := await self.line()) is not None:
            self.server.commands.append(line)
            verb = line[:4].upper()
            if verb == "QUIT":
                await self.say(line, b"221 2.0.0 bye\r\n")
                return
            if verb == "EHLO":
                keywords = [
                    "remote.example",
                    *(
                        word
                        for word in self.server.extensions
                        if word != "STARTTLS" or self.stream.tls is None
                    ),
                ]
                lines = [f"250{'-' if word is not keywords[-1] else ' '}{word}\r\n" for word in keywords]
                await self.say(line, "".join(lines).encode())
            elif verb == "STAR":
                if await self.say(line, b"220 2.0.0 go\r\n") == b"2":
                    if "handshake" in self.server.answers:
                        return
                    await self.stream.start_tls_server()
            elif verb == "DATA":
                await self.data(line)
            else:
                said = await self.say(line, b"250 2.0.0 ok\r\n")
                if verb in ("MAIL", "RSET"):
                    self.recipients = []
                if verb == "MAIL":
                    self.mail = line
                elif verb == "RCPT" and said == b"2":
                    self.recipients.append(line)

    async def data(self, line: str) -> None:
        default = b"354 go on\r\n" if self.recipients else b"503 5.5.1 no recipients\r\n"
        if await self.say(line, default) != b"3":
            return
        while b"\r\n.\r\n" not in b"\r\n" + self.buffer:
            if not await self.more():
                return
        end = (b"\r\n" + self.buffer).index(b"\r\n.\r\n")
        content, self.buffer = self.buffer[:end], self.buffer[end + 3 :]
        if await self.say("end", b"250 2.0.0 queued as R1\r\n") == b"2":
            undone = (b"\r\n" + content).replace(b"\r\n.", b"\r\n")[2:]
            self.server.received.append(
                ReceivedMail(self.mail, self.recipients, undone, self.stream.tls is not None)
            )
            self.server.changed.set()
        self.recipients = []

    async def say(self, event: str, default: bytes) -> bytes:
        """The first digit of what was said."""
        answer = self.server.answer(event, default)
        if answer == "close":
            self.stream.abort()
            raise StreamError("scripted")
        if answer == "hang":
            await asyncio.Event().wait()
        assert isinstance(answer, bytes)
        self.stream.write(answer)
        return answer[:1]

    async def more(self) -> bool:
        octets = await self.stream.read()
        self.server.batches.append(octets)
        self.buffer += octets
        return bool(octets)

    async def line(self) -> str | None:
        while b"\r\n" not in self.buffer:
            if not await self.more():
                return None
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("utf-8", "replace")


class MemoryDialer:
    """`ports.stream.Dialer`: connects to `servers` by "address:port". What is not there refuses; an exception
    there is raised."""

    def __init__(self, servers: dict[str, RemoteServer | Exception], client: str = "192.0.2.7") -> None:
        self.servers = servers
        self.client = client
        self.dialled: list[str] = []
        self.streams: list[MemoryStream] = []  # our ends
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(
        self, address: IpAddress, port: int, *, source: IpAddress | None, timeout_seconds: float
    ) -> Stream:
        name = f"{address}:{port}"
        self.dialled.append(name)
        server = self.servers.get(name, ConnectionRefusedError(111, "Connection refused"))
        if isinstance(server, Exception):
            raise server
        near, far = connected_streams(str(source or self.client), str(address), port)
        self.streams.append(near)
        task = asyncio.get_running_loop().create_task(server.serve(far))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return near
