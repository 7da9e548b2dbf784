"""One client connection to the server under test: from any address of the world, by lines, with TLS when
asked."""

import asyncio
import re
import ssl
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from sekisho.lab.script import IpAddress
from sekisho.lab.world import HOUSE_IPV4, HOUSE_IPV6

PATIENCE_SECONDS = 60.0  # only bounds a scene that hangs
_PROXY_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LIMIT = 1 << 20
_CLIENT_PORT = 40_000
_REPLY = re.compile(rb"([0-9]{3})([- ]?)(.*)")


@dataclass(frozen=True, slots=True)
class Door:
    """Where the server listens, and the address that may speak for others by PROXY protocol v2."""

    host: str
    proxy_source: str
    tls: ssl.SSLContext
    hostname: str


@dataclass(frozen=True, slots=True)
class SmtpReply:
    """`code` 0: the connection ended instead."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}" if self.code else self.text or "the connection ended"


CONNECTION_ENDED = SmtpReply(0, "")


class Wire:
    """A connection from `client`. An address of 127/8 is bound, any other is told by a PROXY header."""

    def __init__(self, door: Door, client: IpAddress) -> None:
        self._door = door
        self._client = client
        self.greeting = CONNECTION_ENDED

    async def connect(self, port: int, *, tls: bool = False) -> None:
        """Raises OSError, TimeoutError."""
        is_real = self._client.is_loopback
        source = str(self._client) if is_real else self._door.proxy_source
        # TLS begins behind the PROXY header.
        self._reader, self._writer = await asyncio.open_connection(
            self._door.host, port, local_addr=(source, 0), limit=_LIMIT
        )
        if not is_real:
            self._writer.write(proxy_header(self._client, port))
        if tls:
            await self.start_tls()

    async def start_tls(self) -> None:
        """Raises OSError (ssl.SSLError), TimeoutError."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._writer.start_tls(self._door.tls, server_hostname=self._door.hostname)

    async def write(self, octets: bytes) -> None:
        try:
            self._writer.write(octets)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._writer.drain()
        except (OSError, TimeoutError):
            pass  # the server ended it; its last words may still be there to read

    async def line(self) -> bytes:
        """The next line without its end, b"" at the end of the connection."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return (await self._reader.readuntil(b"\n")).rstrip(b"\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return b""

    async def octets(self, count: int) -> bytes:
        """Exactly so many; raises OSError at the end of the connection."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._reader.readexactly(count)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the server closed in the middle of a literal") from error

    async def reply(self) -> SmtpReply:
        """The next SMTP reply; its lines are joined by a space."""
        texts = []
        while match := _REPLY.match(await self.line()):
            texts.append(match[3].decode("utf-8", "replace"))
            if match[2] != b"-":
                return SmtpReply(int(match[1]), " ".join(texts))
        return CONNECTION_ENDED

    async def command(self, line: str) -> SmtpReply:
        await self.write(line.encode() + b"\r\n")
        return await self.reply()

    async def close(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            pass


def proxy_header(client: IPv4Address | IPv6Address, port: int) -> bytes:
    """ "The PROXY protocol" (2020-03-05) section 2.2: `client` connected to the house's public address."""
    house = HOUSE_IPV4 if client.version == 4 else HOUSE_IPV6
    body = client.packed + house.packed + struct.pack("!HH", _CLIENT_PORT, port)
    return (
        _PROXY_SIGNATURE + struct.pack("!BBH", 0x21, 0x11 if client.version == 4 else 0x21, len(body)) + body
    )
