"""Two ends of a connection in memory: `ports.stream.Stream` without sockets, TLS as a flag, time by command.

Every written chunk remembers whether its writer was inside TLS: octets that cross that border show as the
real streams show them (`PlaintextInjected`, `TlsFailed`). No read or handshake waits for a clock; `expire()`
makes the one under way run into its deadline.
"""

import asyncio
from collections import deque
from ipaddress import ip_address
from typing import Literal

from sekisho.ports.stream import (
    ConnectionLost,
    Endpoint,
    Place,
    PlaintextInjected,
    StreamTimeout,
    TlsFailed,
    TlsInfo,
)

_MAX_READ_OCTETS = 262_144


class MemoryStream:
    """One end. `sent` is everything ever written at this end, `last_timeout_seconds` what the last read was
    given."""

    def __init__(self, local: Endpoint, peer: Endpoint, tls: TlsInfo | None = None) -> None:
        self.local = local
        self.peer = peer
        self.tls = tls
        self.place = Place()
        self.peer_uid: int | None = None
        self.other: MemoryStream
        self.sent = bytearray()
        self.last_timeout_seconds: float | None = None
        self.aborted = False
        self._incoming: deque[tuple[bool, bytes]] = deque()  # (written inside TLS, octets)
        self._unread = b""
        self._handshaking: TlsInfo | None = None  # what this end would agree to
        self._closed = False
        self._expired = False
        self._wake = asyncio.Event()

    def expire(self) -> None:
        """Let the read or handshake under way (or the next one) raise StreamTimeout."""
        self._expired = True
        self._wake.set()

    @property
    def is_closing(self) -> bool:
        return self._closed or self.aborted

    @property
    def has_input(self) -> bool:
        return bool(self._unread or self._incoming)

    @property
    def may_have_input(self) -> bool:
        return True  # the other end may be about to write

    async def _wait(self) -> None:
        if not self._expired:  # else `expire` came before anybody waited
            self._wake.clear()
            await self._wake.wait()
        if self._expired:
            self._expired = False
            raise StreamTimeout("the test let this deadline pass")

    async def read(self, timeout_seconds: float | None = None) -> bytes:
        self.last_timeout_seconds = timeout_seconds
        while not self._unread and not self._incoming:
            if self.aborted or self.other.aborted:
                raise ConnectionLost("aborted")
            if self.other._closed:
                return b""
            await self._wait()
        if not self._unread:
            inside, octets = self._incoming.popleft()
            if inside != (self.tls is not None):
                self.abort()
                raise ConnectionLost("octets from the other side of the TLS border")
            self._unread = octets
        head, self._unread = self._unread[:_MAX_READ_OCTETS], self._unread[_MAX_READ_OCTETS:]
        return head

    def unread(self, octets: bytes) -> None:
        self._unread = octets + self._unread

    def write(self, octets: bytes) -> None:
        if self.is_closing or not octets:
            return
        self.sent += octets
        if not self.other.is_closing:
            self.other._incoming.append((self.tls is not None, bytes(octets)))
            self.other._wake.set()

    async def drain(self, timeout_seconds: float | None = None) -> None:
        if self.aborted or self.other.aborted:
            raise ConnectionLost("aborted")
        await asyncio.sleep(0)

    async def send(self, octets: bytes, timeout_seconds: float | None = None) -> None:
        self.write(octets)
        await self.drain(timeout_seconds)

    async def start_tls_server(self, timeout_seconds: float = 60.0) -> TlsInfo:
        if self.has_input:
            self.abort()
            raise PlaintextInjected("octets stand before the handshake")
        sni = None
        if self.other._handshaking is not None:
            sni = self.other._handshaking.sni
        return await self._handshake(TlsInfo(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", sni=sni))

    async def start_tls_client(
        self, server_name: str, *, verify: Literal["none", "pkix"] = "none", timeout_seconds: float = 60.0
    ) -> TlsInfo:
        if self.has_input:
            self.abort()
            raise PlaintextInjected("octets stand before the handshake")
        return await self._handshake(
            TlsInfo(
                version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384", sni=server_name, verified=verify == "pkix"
            )
        )

    async def _handshake(self, mine: TlsInfo) -> TlsInfo:
        self._handshaking = mine
        self.other._wake.set()
        while self.other._handshaking is None:
            if self.other.is_closing:
                self.abort()
                raise ConnectionLost("the other end went away in the handshake")
            if self._incoming:
                self.abort()
                raise TlsFailed("plaintext where a handshake should be")
            await self._wait()
        self.tls = mine
        return mine

    async def close(self) -> None:
        self._closed = True
        self.other._wake.set()

    def abort(self) -> None:
        self.aborted = True
        self._wake.set()
        self.other._wake.set()


def connected_streams(
    client: str = "192.0.2.7", server: str = "192.0.2.25", port: int = 25, *, tls: bool = False
) -> tuple[MemoryStream, MemoryStream]:
    """(the client's end, the server's end); `tls` stands for a finished implicit-TLS handshake."""
    client_end, server_end = Endpoint(ip_address(client), 49152), Endpoint(ip_address(server), port)
    info = TlsInfo(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384") if tls else None
    near, far = MemoryStream(client_end, server_end, info), MemoryStream(server_end, client_end, info)
    near.other, far.other = far, near
    return near, far


class ManualShutdown:
    """`ports.stream.Shutdown`, set by the test."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def set(self) -> None:
        self._event.set()
