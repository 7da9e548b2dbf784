"""`ports.stream.Stream` over an asyncio transport, with TLS of our own: the same on uvloop and stock asyncio.

The transport always stays plain TCP. After STARTTLS its octets go through a `TlsLayer`; they are decrypted as
they come, so a command that arrives in the same flight as the client's Finished is kept, and what came in
plaintext can never be read as TLS.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, cast

from sekisho.adapters.net.endpoints import NOWHERE, endpoint_of, has_arrived, peer_uid_of
from sekisho.adapters.net.settle import settle
from sekisho.adapters.net.tlslayer import PIECE_OCTETS, RECORD_OCTETS, ClientTls, ServerTls, TlsLayer
from sekisho.ports.stream import (
    ConnectionLost,
    GaveWay,
    Place,
    PlaintextInjected,
    StreamTimeout,
    TlsFailed,
    TlsInfo,
)

RECEIVE_OCTETS = 65536  # one buffer per listener: octets are copied out before the loop goes on
HELD_OCTETS = 65536  # received and unread: above this the peer is throttled
WAITING_OCTETS = 65536  # unsent: above this `drain` waits
CLOSE_SECONDS = 3.0
NO_PLACE = Place()
HANDSHAKE_RECORDS = (0x15, 0x16)  # alert, handshake: what a TLS peer may begin with (RFC 8446 §5.1)


class SocketStream(asyncio.BufferedProtocol):
    """`on_connected` is called once, when `peer` and `local` are known."""

    __slots__ = (
        "_chunks", "_client_tls", "_closed", "_closing", "_deadline", "_drained", "_ended", "_flush_soon",
        "_gone", "_handshake", "_held", "_loop", "_lost", "_on_connected", "_out", "_out_octets", "_reader",
        "_reading_paused", "_server_tls", "_space", "_timer", "_timer_at", "_tls", "_transport",
        "_writing_paused", "local", "peer", "peer_uid", "place", "tls",
    )  # fmt: skip

    def __init__(
        self,
        space: memoryview,
        *,
        on_connected: Callable[["SocketStream"], None] | None = None,
        server_tls: ServerTls | None = None,
        client_tls: ClientTls | None = None,
    ) -> None:
        """`space` is the receive buffer shared by the streams of one loop."""
        self._space = space
        self._on_connected = on_connected
        self._server_tls = server_tls
        self._client_tls = client_tls
        self._loop = asyncio.get_running_loop()
        self.peer = self.local = NOWHERE
        self.tls: TlsInfo | None = None
        self.peer_uid: int | None = None
        self.place = NO_PLACE
        self._chunks: list[bytes] = []
        self._held = 0
        self._out: list[bytes | memoryview] = []
        self._out_octets = 0
        self._flush_soon = self._reading_paused = self._writing_paused = False
        self._closing = self._ended = self._gone = False
        self._lost: str | None = None  # why nothing more will come
        self._tls: TlsLayer | None = None
        self._reader: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = math.inf

    # ------------------------------------------------------------------ what the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WAITING_OCTETS, low=WAITING_OCTETS // 4)
        # Both loops have set TCP_NODELAY; their socket object is dear, and only a Unix socket's is asked for.
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not isinstance(peer, tuple):
            sock: Any = transport.get_extra_info("socket")
            if sock is not None and sock.family == socket.AF_UNIX:
                self.peer_uid = peer_uid_of(sock)
        self.peer, self.local = endpoint_of(peer), endpoint_of(local)
        if self._on_connected is not None:
            self._on_connected(self)
            self._on_connected = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._space

    def buffer_updated(self, nbytes: int) -> None:
        if self._closing or self._ended or self._lost is not None:
            return
        if self._tls is None:
            self._chunks.append(bytes(self._space[:nbytes]))
            self._held += nbytes
        else:
            self._receive_tls(self._tls, self._space[:nbytes])
        if self._held >= HELD_OCTETS and not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        if self._tls is None or self._tls.ended:
            self._ended = True
            self._wake_reader()
            return True  # replies may still go out
        # RFC 8446 §6.1: a truncation
        during = "during the handshake" if self.tls is None else "without close_notify"
        self._lose(f"end of file {during}")
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        self._gone = True
        if not self._ended:
            self._lose(f"connection lost: {exc}" if exc else "connection closed")
        elif self._lost is None:
            self._lost = "connection closed"
        self._out.clear()
        self._out_octets = 0
        self._wake_reader()
        self._wake_drained()
        self._stop_timer()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._flush()
        if not self._out and not self._writing_paused:
            self._wake_drained()

    # ------------------------------------------------------------------ reading

    @property
    def has_input(self) -> bool:
        return bool(self._chunks)

    @property
    def may_have_input(self) -> bool:
        return bool(self._chunks or self._lost or self._ended) or has_arrived(self._transport)

    @property
    def is_closing(self) -> bool:
        return self._closing or self._lost is not None

    def unread(self, octets: bytes) -> None:
        if octets:
            self._chunks.insert(0, octets)
            self._held += len(octets)

    async def read(self, timeout_seconds: float | None = None) -> bytes:
        while not self._chunks:
            if self._ended and not self._closing:
                return b""
            if self._lost is not None or self._closing:
                raise ConnectionLost(self._lost or "closed by us")
            self._flush()
            await self._wait_for_input(timeout_seconds)
        chunks = self._chunks
        octets = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._held = 0
        self._resume_reading()
        return octets

    def _resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    async def _wait_for_input(self, timeout_seconds: float | None) -> None:
        if self._reader is not None:
            raise RuntimeError("two readers on one stream")
        self._reader = self._loop.create_future()
        if timeout_seconds is not None:
            self._deadline = self._loop.time() + timeout_seconds
            if self._timer_at > self._deadline:
                self._start_timer()
        try:
            await self._reader
        finally:
            self._reader = None
            self._deadline = math.inf

    def _wake_reader(self) -> None:
        settle(self._reader)

    # One timer stands for many reads: it is not moved at each command, but looks at the deadline.

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = math.inf

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = math.inf
        if self._reader is None or self._reader.done() or self._deadline == math.inf:
            return
        if self._loop.time() >= self._deadline - 0.001:
            self._reader.set_exception(StreamTimeout("nothing came in time"))
        else:
            self._start_timer()

    # ------------------------------------------------------------------ writing

    def write(self, octets: bytes) -> None:
        if not octets or self._closing or self._lost is not None:
            return
        self._out.append(octets)
        self._out_octets += len(octets)
        if not self._flush_soon:
            self._flush_soon = True
            self._loop.call_soon(self._flush_now)

    async def send(self, octets: bytes, timeout_seconds: float | None = None) -> None:
        """Spares the turn of the loop that `write` asks for."""
        if octets and not self._closing and self._lost is None:
            self._out.append(octets)
            self._out_octets += len(octets)
        await self.drain(timeout_seconds)

    def _flush_now(self) -> None:
        self._flush_soon = False
        self._flush()

    def _flush(self) -> None:
        """Hand to the transport what it takes; while it says pause, or a handshake runs, octets wait here."""
        waits = self._writing_paused or self._handshake is not None
        if not self._out or waits or self._transport.is_closing():
            return
        pieces = self._out
        octets = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._out_octets = 0
        if self._tls is None:
            self._transport.write(octets)
        else:
            self._send_tls(self._tls, memoryview(octets))

    def _send_tls(self, tls: TlsLayer, octets: memoryview) -> None:
        position, end = 0, len(octets)
        try:
            while position < end and not self._writing_paused:
                stop = min(end, position + WAITING_OCTETS)
                self._transport.write(tls.seal(octets[position:stop]))
                position = stop
        except ssl.SSLError as error:
            self._lose(f"TLS: {tls.reason(error)}")
            self._transport.abort()
            return
        if position < end:
            rest = octets[position:]
            self._out.insert(0, rest)
            self._out_octets += len(rest)

    def _send(self, octets: bytes) -> None:
        if octets and not self._transport.is_closing():
            self._transport.write(octets)

    async def drain(self, timeout_seconds: float | None = None) -> None:
        self._flush()
        if self._lost is not None:
            raise ConnectionLost(self._lost)
        if self._out_octets < WAITING_OCTETS and not self._writing_paused:
            return
        if self._drained is None or self._drained.done():
            self._drained = self._loop.create_future()
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.shield(self._drained)
        except TimeoutError:
            raise StreamTimeout("the peer does not read") from None
        if self._lost is not None:
            raise ConnectionLost(self._lost)

    def _wake_drained(self) -> None:
        settle(self._drained)

    # ------------------------------------------------------------------ TLS

    async def start_tls_server(self, timeout_seconds: float = 60.0) -> TlsInfo:
        return await self._upgrade(timeout_seconds, self._server_layer)

    async def accept_tls(self, timeout_seconds: float = 60.0) -> TlsInfo:
        """Implicit TLS: octets that are here already (behind a PROXY header) belong to the handshake."""
        early = b"".join(self._chunks)
        self._chunks.clear()
        self._held = 0
        return await self._upgrade(timeout_seconds, self._server_layer, early)

    async def start_tls_client(
        self, server_name: str, *, verify: Literal["none", "pkix"] = "none", timeout_seconds: float = 60.0
    ) -> TlsInfo:
        if self._client_tls is None:
            raise RuntimeError("this stream has no client side")
        context = self._client_tls.context(verify)
        name = server_name.rstrip(".") or None
        make = partial(TlsLayer, context, server_side=False, server_name=name)
        info = await self._upgrade(timeout_seconds, make)
        self.tls = replace(info, sni=name, verified=verify == "pkix")
        return self.tls

    def _server_layer(self) -> TlsLayer:
        """A new layer with the certificates of this moment."""
        if self._server_tls is None:
            raise RuntimeError("this stream has no server side")
        return TlsLayer(self._server_tls.context(), server_side=True)

    async def _upgrade(
        self, timeout_seconds: float, make_layer: Callable[[], TlsLayer], early: bytes = b""
    ) -> TlsInfo:
        if self._tls is not None:
            raise RuntimeError("TLS is on already")
        await self._finish_plaintext(timeout_seconds)
        failure: str | None = "cancelled"
        try:
            info = await self._run_handshake(make_layer(), timeout_seconds, early)
            failure = None
            return info
        except ValueError as error:  # a server name that no certificate can have
            failure = str(error)
            self.abort()
            raise TlsFailed(failure) from error
        except TimeoutError:
            failure = "timeout"
            self.abort()
            raise StreamTimeout("the handshake took too long") from None
        except (ConnectionLost, TlsFailed, PlaintextInjected) as error:
            failure = str(error)
            raise
        finally:
            self._handshake = None
            if self._server_tls is not None:
                self._server_tls.handshake_ended(failure)

    async def _finish_plaintext(self, timeout_seconds: float) -> None:
        """Send the 220; then nothing received may be left, or it would later pass for protected."""
        self._flush()
        if self._out or self._writing_paused:
            await self.drain(timeout_seconds)
        if self._chunks:  # RFC 3207 §6, RFC 9051 §6.2.1
            self.abort()
            raise PlaintextInjected("octets stood between STARTTLS and the handshake")
        if self._lost is not None or self._ended or self._closing:
            raise ConnectionLost(self._lost or "end of file before the handshake")

    async def _run_handshake(self, tls: TlsLayer, timeout_seconds: float, early: bytes) -> TlsInfo:
        self._tls = tls
        waiter = self._handshake = self._loop.create_future()
        self._resume_reading()
        if early:
            self._receive_tls(tls, memoryview(early))
        elif not tls.server_side:  # a server has nothing to say before the client's hello
            self._step_handshake(tls)
        timer = self._loop.call_later(timeout_seconds, self._end_handshake, TimeoutError())
        try:
            await waiter
        finally:
            timer.cancel()
        assert self.tls is not None
        return self.tls

    def _receive_tls(self, tls: TlsLayer, octets: memoryview) -> None:
        if not tls.begun and octets[0] not in HANDSHAKE_RECORDS:
            self.abort()
            self._end_handshake(PlaintextInjected("plaintext came instead of a handshake"))
            return
        try:
            for start in range(0, len(octets), RECORD_OCTETS):
                tls.feed(octets[start : start + RECORD_OCTETS])
                if self.tls is None and not self._step_handshake(tls):
                    continue
                self._held += tls.decrypt(self._chunks)
        except ssl.SSLError as error:
            self._lose(f"TLS: {tls.reason(error)}")
        if tls.ended:
            self._ended = True
        self._send(tls.take())  # an alert, or the reply to a key update
        if self._lost is not None:
            self._transport.close()

    def _step_handshake(self, tls: TlsLayer) -> bool:
        if self._handshake is None or self._handshake.done():
            return False
        try:
            done = tls.handshake()
        except ssl.SSLError as error:
            failure = TlsFailed(tls.reason(error), fault=tls.fault(error))
            self._lost = str(failure)
            self._send(tls.take())  # the alert that tells the peer why
            self._transport.close()
            self._end_handshake(failure)
            return False
        self._send(tls.take())
        if done:
            self.tls = tls.info()
            self.place.moved()
            self._end_handshake(None)
        return done

    def _end_handshake(self, error: Exception | None) -> None:
        waiter, self._handshake = self._handshake, None
        settle(waiter, error)

    # ------------------------------------------------------------------ the end

    def give_way(self, reason: str) -> bool:
        """End whatever wait the client has us in with GaveWay; False if we do not wait for the client."""
        waiting = [self._reader, self._drained, self._handshake]
        found = [future for future in waiting if future is not None and not future.done()]
        for future in found:
            future.set_exception(GaveWay(reason))
            future.exception()  # seen, if nobody waits any more
        if self._drained is not None and self._drained in found:
            self.abort()  # who does not read what we say reads no last words
        return bool(found)

    def _lose(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._end_handshake(ConnectionLost(reason))
        self._wake_reader()
        self._wake_drained()

    def abort(self) -> None:
        if self._lost is None:
            self._lost = "aborted"
        self._out.clear()
        self._out_octets = 0
        self._chunks.clear()
        self._held = 0
        self._transport.abort()
        self._wake_reader()

    async def close(self) -> None:
        """Flush, close_notify, FIN; what does not go out within CLOSE_SECONDS is cut off."""
        if self._gone:
            self._closing = True
            return
        first = self._closed is None
        if self._closed is None:
            self._closed = self._loop.create_future()
        timer = self._loop.call_later(CLOSE_SECONDS, self._transport.abort)  # which ends both waits below
        try:
            await self._close_politely()
            await (self._closed if first else asyncio.shield(self._closed))
        except ConnectionLost:
            pass
        finally:
            timer.cancel()
            self._closing = True
            self._transport.abort()

    async def _close_politely(self) -> None:
        if self._closing:
            return
        if self._tls is None or self._out_octets > PIECE_OCTETS:
            self._flush()
        self._closing = True
        if self._lost is not None:
            self._transport.close()
            return
        self._chunks.clear()
        # what the kernel holds unread would turn our FIN into a reset and eat the last reply
        self._resume_reading()
        while self._out_octets > PIECE_OCTETS or (self._out and (self.tls is None or self._writing_paused)):
            await self.drain()
            self._flush()
        if self._tls is not None and self.tls is not None:
            self._send_last(self._tls)
        self._transport.close()

    def _send_last(self, tls: TlsLayer) -> None:
        """The last words and close_notify, in one segment."""
        octets = b"".join(self._out)
        self._out.clear()
        self._out_octets = 0
        self._send(tls.seal_last(octets))
