"""Accept, count, read the PROXY header, do implicit TLS, hand over to a service, clean up after it."""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from socket import socket

from sekisho.adapters.net.acceptor import Acceptor
from sekisho.adapters.net.alarm import HandshakeAlarm
from sekisho.adapters.net.caps import CapRefusals
from sekisho.adapters.net.crowd import DESCRIPTORS, GAVE_WAY, Crowd, Guest
from sekisho.adapters.net.proxy import is_proxy, read_proxy_header
from sekisho.adapters.net.stream import RECEIVE_OCTETS, SocketStream
from sekisho.adapters.net.tls import ServerContexts
from sekisho.core.terms.reference import Reference
from sekisho.core.terms.reply import Reply
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.ledger import client_keys
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import ConnectionHandler, GaveWay, ListenerInfo, ServiceKind, StreamError

IMPLICIT_TLS_KINDS = frozenset({"submissions", "imaps", "pop3s"})
STARTTLS_KINDS = frozenset({"smtp", "submission", "imap", "pop3", "sieve"})
UNIX_KINDS = frozenset({"local", "auth"})
PROXY_SECONDS = 10.0
HANDSHAKE_SECONDS = 60.0
BACKLOG = 1024
TOO_MANY = "Too many connections, try again later"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTools:
    """What every listener of a worker shares."""

    tls: ServerContexts
    crowd: Crowd
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
        self._acceptors: list[Acceptor] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0

    def use(
        self,
        info: ListenerInfo,
        tools: ListenerTools,
        proxy_from: Sequence[IPv4Network | IPv6Network] = (),
        client_ca: bytes = b"",
    ) -> None:
        """By these the next connections are taken; the listener outlives them, since it owns the sockets and
        knows who is connected."""
        self.info, self._tools, self._proxy_from, self._client_ca = info, tools, tuple(proxy_from), client_ca

    async def start(self, sockets: Sequence[socket]) -> None:
        """Accept on these bound sockets (they are closed by `stop`)."""
        crowd = self._tools.crowd
        for sock in sockets:
            sock.listen(BACKLOG)
            acceptor = Acceptor(sock, self._accept, lambda: crowd.has_descriptors, crowd.relieve, self._spurn)
            acceptor.start()
            self._acceptors.append(acceptor)

    @property
    def open_connections(self) -> int:
        return len(self._tasks)

    def stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors.clear()

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
        self._tools.metrics.count(
            "sekisho_tls_handshakes_total", listener=self.info.name, result="failed" if failure else "ok"
        )
        if failure != GAVE_WAY:
            self._alarm.note(failure)

    def _accept(self, sock: socket) -> None:
        self._tools.crowd.open += 1
        task = asyncio.get_running_loop().create_task(self._serve(sock))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tools.crowd.open -= 1
        self._tasks.discard(task)

    def _spurn(self, sock: socket) -> None:
        self._tools.metrics.count(
            "sekisho_connections_refused_total", listener=self.info.name, cap=DESCRIPTORS
        )
        if self.info.kind not in IMPLICIT_TLS_KINDS:
            try:
                sock.send(refusal(self.info.kind, self._tools.hostname, "4.3.2", TOO_MANY))
            except OSError:
                pass

    async def _serve(self, sock: socket) -> None:
        stream = SocketStream(self._space, server_tls=self)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: stream, sock)
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                return  # it left at once
            raise
        try:
            if is_proxy(stream.peer.address, self._proxy_from):
                await read_proxy_header(stream, PROXY_SECONDS)
            await self._serve_counted(stream)
        except StreamError as error:
            if not isinstance(error, GaveWay):
                self._record_end(stream, error)
        finally:
            await stream.close()

    def _record_end(self, stream: SocketStream, error: StreamError) -> None:
        about = client_keys(stream.peer.address)
        fields = {"listener": self.info.name, "client": about[0], "reason": str(error)}
        self._tools.journal.record(Entry("listener.ended", "", fields, about))

    async def _serve_counted(self, stream: SocketStream) -> None:
        kind, metrics, crowd = self.info.kind, self._tools.metrics, self._tools.crowd
        task = asyncio.current_task()
        assert task is not None
        guest = Guest(crowd, kind, self.info.name, stream, task.cancel)
        cap = crowd.enter(guest)
        if cap is not None:
            metrics.count("sekisho_connections_refused_total", listener=self.info.name, cap=cap)
            self._turn_away(stream, "4.7.0" if cap != DESCRIPTORS else "4.3.2", cap)
            return
        metrics.count("sekisho_connections_total", listener=self.info.name)
        self._count_open(1)
        stream.place = guest
        try:
            if kind in UNIX_KINDS:
                guest.vouch()
            elif kind in IMPLICIT_TLS_KINDS:
                await stream.accept_tls(HANDSHAKE_SECONDS)
            await self._handle(stream)
        except GaveWay:
            self._turn_away(stream, "4.3.2", "gave_way")
            raise
        except asyncio.CancelledError:
            if not guest.gone or task.uncancel() > 0:  # not only by the crowd
                raise
            self._turn_away(stream, "4.3.2", "gave_way")
        finally:
            self._count_open(-1)
            crowd.leave(guest)

    def _turn_away(self, stream: SocketStream, status: str, cap: str) -> None:
        """With its last words, where they can be said."""
        reference = self._tools.refusals.reference(self.info.name, stream.peer.address, cap)
        if self.info.kind not in IMPLICIT_TLS_KINDS or stream.tls is not None:
            stream.write(refusal(self.info.kind, self._tools.hostname, status, TOO_MANY, reference))

    async def _handle(self, stream: SocketStream) -> None:
        try:
            await self._handler(stream, self.info)
        except StreamError:
            raise
        except Exception as error:
            fault = self._tools.journal.fault(self.info.kind, error)
            self._tools.metrics.count("sekisho_faults_total", where=self.info.kind)
            stream.write(
                refusal(
                    self.info.kind,
                    self._tools.hostname,
                    "4.3.0",
                    f"Internal error ({fault}), try again later",
                )
            )

    def _count_open(self, change: int) -> None:
        self._open += change
        self._tools.metrics.gauge("sekisho_connections_open", self._open, listener=self.info.name)


def refusal(kind: str, hostname: str, status: str, text: str, reference: Reference | None = None) -> bytes:
    """The last word before we close, in the listener's protocol. `status` is an enhanced status code (RFC
    3463)."""
    if kind == "auth":
        return b""  # the protocol has no words for it: the other server sees that we close
    if kind not in ("imap", "imaps", "pop3", "pop3s", "sieve"):
        reply = Reply.of(421, status, f"{hostname} {text}")  # RFC 5321 §3.8
        return (reply.referring(reference) if reference is not None else reply).to_wire()
    if reference is not None:
        text = f"{text} (id {reference.id})"
    if kind in ("imap", "imaps"):
        return f"* BYE {text}\r\n".encode()  # RFC 9051 §7.1.5
    if kind == "sieve":
        return f'BYE (TRYLATER) "{text}"\r\n'.encode()  # RFC 5804 §1.2; no text of ours has a quote
    return f"-ERR [SYS/TEMP] {text}\r\n".encode()  # RFC 3206 §4


def listener_info(name: str, kind: ServiceKind, tls: ServerContexts) -> ListenerInfo:
    """STARTTLS is offered where the protocol has it and there is a certificate."""
    return ListenerInfo(name, kind, kind in STARTTLS_KINDS and tls.has_certificates)
