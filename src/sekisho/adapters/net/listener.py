"""Accept, count, read the PROXY header, do implicit TLS, hand over to a service, clean up after it."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from socket import AF_UNIX, socket

from sekisho.adapters.net.alarm import HandshakeAlarm
from sekisho.adapters.net.caps import CapRefusals
from sekisho.adapters.net.proxy import is_proxy, read_proxy_header
from sekisho.adapters.net.stream import RECEIVE_OCTETS, SocketStream
from sekisho.adapters.net.tls import ServerContexts
from sekisho.config.schema import ListenerKind
from sekisho.core.terms.reference import Reference
from sekisho.core.terms.reply import Reply
from sekisho.ports.clock import Clock
from sekisho.ports.counters import ConnectionCounts
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.ledger import client_keys
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import ConnectionHandler, ListenerInfo, StreamError

IMPLICIT_TLS_KINDS = frozenset({"submissions", "imaps", "pop3s"})
STARTTLS_KINDS = frozenset({"smtp", "submission", "imap", "pop3"})
PROXY_SECONDS = 10.0
HANDSHAKE_SECONDS = 60.0
BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class ListenerTools:
    """What every listener of a worker shares."""

    tls: ServerContexts
    counts: ConnectionCounts
    journal: Journal
    metrics: Metrics
    clock: Clock
    hostname: str
    refusals: CapRefusals


class Listener:
    """One configured listener in one worker. Make it inside the loop."""

    def __init__(
        self,
        info: ListenerInfo,
        handler: ConnectionHandler,
        tools: ListenerTools,
        proxy_from: Sequence[IPv4Network | IPv6Network] = (),
        client_ca: bytes = b"",
    ) -> None:
        """`client_ca`: PEM of the authorities whose client certificates open accounts."""
        self.info = info
        self._handler = handler
        self._tools = tools
        self._proxy_from = tuple(proxy_from)
        self._client_ca = client_ca
        self._space = memoryview(bytearray(RECEIVE_OCTETS))
        self._alarm = HandshakeAlarm(info.name, tools.journal, tools.clock)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0

    async def start(self, sockets: Sequence[socket]) -> None:
        """Accept on these bound sockets (they are closed by `stop`)."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            if sock.family == AF_UNIX:
                server = await loop.create_unix_server(self._new_stream, sock=sock, backlog=BACKLOG)
            else:
                server = await loop.create_server(self._new_stream, sock=sock, backlog=BACKLOG)
            self._servers.append(server)

    @property
    def open_connections(self) -> int:
        return len(self._tasks)

    def stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def finish(self, grace_seconds: float) -> None:
        """Stop accepting, let the connections end by themselves for so long, then cancel them."""
        self.stop_accepting()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_seconds)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    # ServerTls, for the streams

    def context(self) -> ssl.SSLContext:
        return self._tools.tls.context(self.info.kind, self._client_ca)

    def handshake_ended(self, failure: str | None) -> None:
        self._tools.metrics.count("sekisho_tls_handshakes_total", listener=self.info.name, result="failed" if failure else "ok")
        self._alarm.note(failure)

    def _new_stream(self) -> SocketStream:
        return SocketStream(self._space, on_connected=self._connected, server_tls=self)

    def _connected(self, stream: SocketStream) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: SocketStream) -> None:
        try:
            if is_proxy(stream.peer.address, self._proxy_from):
                await read_proxy_header(stream, PROXY_SECONDS)
            await self._serve_counted(stream)
        except StreamError as error:
            about = client_keys(stream.peer.address)
            fields = {"listener": self.info.name, "client": about[0], "reason": str(error)}
            self._tools.journal.record(Entry("listener.ended", "", fields, about))
        finally:
            await stream.close()

    async def _serve_counted(self, stream: SocketStream) -> None:
        kind, client, metrics = self.info.kind, stream.peer.address, self._tools.metrics
        cap = self._tools.counts.enter(kind, client)
        if cap is not None:
            metrics.count("sekisho_connections_refused_total", listener=self.info.name, cap=cap)
            reference = self._tools.refusals.reference(self.info.name, client, cap)
            if kind not in IMPLICIT_TLS_KINDS:
                stream.write(refusal(kind, self._tools.hostname, "4.7.0", "Too many connections, try again later", reference))
            return
        metrics.count("sekisho_connections_total", listener=self.info.name)
        self._count_open(1)
        try:
            if kind in IMPLICIT_TLS_KINDS:
                await stream.accept_tls(HANDSHAKE_SECONDS)
            await self._handle(stream)
        finally:
            self._count_open(-1)
            self._tools.counts.leave(kind, client)

    async def _handle(self, stream: SocketStream) -> None:
        try:
            await self._handler(stream, self.info)
        except StreamError:
            raise
        except Exception as error:
            fault = self._tools.journal.fault(self.info.kind, error)
            self._tools.metrics.count("sekisho_faults_total", where=self.info.kind)
            stream.write(refusal(self.info.kind, self._tools.hostname, "4.3.0", f"Internal error ({fault}), try again later"))

    def _count_open(self, change: int) -> None:
        self._open += change
        self._tools.metrics.gauge("sekisho_connections_open", self._open, listener=self.info.name)


def refusal(kind: str, hostname: str, status: str, text: str, reference: Reference | None = None) -> bytes:
    """The last word before we close, in the listener's protocol. `status` is an enhanced status code (RFC 3463)."""
    if kind == "auth":
        return b""  # the protocol has no words for it: the other server sees that we close
    if kind not in ("imap", "imaps", "pop3", "pop3s"):
        reply = Reply.of(421, status, f"{hostname} {text}")  # RFC 5321 §3.8
        return (reply.referring(reference) if reference is not None else reply).to_wire()
    if reference is not None:
        text = f"{text} (id {reference.id})"
    if kind in ("imap", "imaps"):
        return f"* BYE {text}\r\n".encode()  # RFC 9051 §7.1.5
    return f"-ERR [SYS/TEMP] {text}\r\n".encode()  # RFC 3206 §4


def listener_info(name: str, kind: ListenerKind, tls: ServerContexts) -> ListenerInfo:
    """STARTTLS is offered where the protocol has it and there is a certificate."""
    return ListenerInfo(name, kind, kind in STARTTLS_KINDS and tls.has_certificates)
