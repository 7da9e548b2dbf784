"""Many questions over few sockets: each socket is connected to one resolver from a random port of its own.

What makes an answer ours (RFC 5452 §9): it comes from the resolver's address and port (the kernel checks that
on a connected socket), to the port, with the id and with exactly the question, letter case included, of a
query that is still open.
"""

import asyncio
import random
import socket
from collections.abc import Callable

from sekisho.adapters.dns.servers import ServerAddress
from sekisho.core.dns.message import answers_query

SOCKETS_PER_SERVER = 16
QUERIES_PER_SOCKET = 1000  # then it is replaced by one with another port
MAX_DATAGRAM_OCTETS = 65_535
_READS_PER_WAKE = 64

Receive = Callable[[bytes], None]  # b"" says that the resolver could not be reached


class _Socket:
    """One connected socket with its open queries by id."""

    def __init__(self, server: ServerAddress, loop: asyncio.AbstractEventLoop) -> None:
        self.waiting: dict[int, tuple[bytes, Receive]] = {}
        self.uses = 0
        self.retired = False
        self._loop = loop
        family = socket.AF_INET if server.address.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect((str(server.address), server.port))  # the kernel chooses a random port
            self.port: int = self._socket.getsockname()[1]
            loop.add_reader(self._socket.fileno(), self._readable)
        except OSError:
            self._socket.close()
            raise

    def send(self, query_id: int, query: bytes, receive: Receive) -> bool:
        self.uses += 1
        try:
            self._socket.send(query)
        except OSError:  # unreachable, refused before, or the buffer is full: as good as lost
            return False
        self.waiting[query_id] = (query, receive)
        return True

    def forget(self, query_id: int) -> None:
        self.waiting.pop(query_id, None)
        if self.retired and not self.waiting:
            self.close()

    def retire(self) -> None:
        self.retired = True
        if not self.waiting:
            self.close()

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(_READS_PER_WAKE):
            try:
                octets = self._socket.recv(MAX_DATAGRAM_OCTETS)
            except BlockingIOError:
                return
            except OSError:  # ICMP says that nobody listens there
                self._fail_all()
                return
            found = self.waiting.get(int.from_bytes(octets[:2], "big")) if len(octets) >= 12 else None
            if found is None or not answers_query(octets, found[0]):
                continue  # late or forged: the query stays open
            del self.waiting[int.from_bytes(octets[:2], "big")]
            found[1](octets)
            if self.retired and not self.waiting:
                self.close()
                return
            if not self.waiting:
                return

    def _fail_all(self) -> None:
        waiting, self.waiting = self.waiting, {}
        for _, receive in waiting.values():
            receive(b"")


class UdpChannel:
    """The sockets to one resolver."""

    def __init__(self, server: ServerAddress) -> None:
        self._server = server
        self._sockets: list[_Socket] = []
        self._random = random.SystemRandom()

    def send(self, build: Callable[[int], bytes], receive: Receive) -> Callable[[], None] | None:
        """Send `build(id)`; `receive` gets the answer or b"". Returns the function that gives the query up,
        or None if it could not be sent."""
        bits = self._random.getrandbits(32)
        try:
            link = self._pick(bits >> 16)
        except OSError:
            return None
        query_id = bits & 0xFFFF
        while query_id in link.waiting:
            query_id = self._random.getrandbits(16)
        if not link.send(query_id, build(query_id), receive):
            return None
        return lambda: link.forget(query_id)

    @property
    def ports(self) -> set[int]:
        """The source ports in use."""
        return {link.port for link in self._sockets}

    def close(self) -> None:
        for link in self._sockets:
            link.close()
        self._sockets.clear()

    def _pick(self, bits: int) -> _Socket:
        if len(self._sockets) < SOCKETS_PER_SERVER:
            link = _Socket(self._server, asyncio.get_running_loop())
            self._sockets.append(link)
            return link
        index = bits % SOCKETS_PER_SERVER
        link = self._sockets[index]
        if link.uses >= QUERIES_PER_SOCKET:
            link.retire()
            link = self._sockets[index] = _Socket(self._server, asyncio.get_running_loop())
        return link
