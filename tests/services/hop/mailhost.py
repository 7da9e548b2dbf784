"""A mail host over real sockets and TLS, with none of our own code in it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Taken:
    mail: str
    tls: bool


@dataclass(kw_only=True)
class MailHost:
    """`context` None: no STARTTLS. `greeting`, `hello`, `go` (the answer to STARTTLS) are said as they stand;
    `endless` is said instead of a greeting for as long as anybody listens."""

    context: ssl.SSLContext | None = None
    keywords: tuple[str, ...] = ("PIPELINING", "8BITMIME")
    keywords_in_tls: tuple[str, ...] = ()
    greeting: bytes = b"220 mx ESMTP\r\n"
    hello: bytes | None = None
    go: bytes = b"220 go\r\n"
    endless: bytes = b""
    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    asked_for: list[str | None] = field(default_factory=list)  # by SNI
    connections: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["MailHost"]:
        if self.context is not None:
            self.context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        server = await asyncio.start_server(self._serve, self.address, self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # an SSLError is an OSError
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_tls, mail = False, ""
        while self.endless:
            writer.write(self.endless)
            await writer.drain()
            await asyncio.sleep(0)  # drain alone lets nobody else run
        writer.write(self.greeting)
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.commands.append(line)
            verb = line[:4].upper()
            if verb in ("EHLO", "HELO"):
                words = [*self.keywords, *(self.keywords_in_tls if is_tls else ())]
                words += ["STARTTLS"] if self.context is not None and not is_tls else []
                lines = [f"250-{word}\r\n" for word in ("mx", *words)] + ["250 HELP\r\n"]
                writer.write(self.hello if self.hello is not None else "".join(lines).encode())
            elif verb == "STAR":
                writer.write(self.go)
                if self.go.startswith(b"220") and self.context is not None:
                    await writer.start_tls(self.context)
                    is_tls = True
            elif verb == "MAIL":
                mail = line
                writer.write(b"250 ok\r\n")
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                while await reader.readline() != b".\r\n":
                    pass
                self.taken.append(Taken(mail=mail, tls=is_tls))
                writer.write(b"250 taken\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")
