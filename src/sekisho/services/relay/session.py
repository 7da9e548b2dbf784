"""One outgoing connection: the client machine on a stream, with a deadline for each command."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sekisho.config.schema import RelaySettings
from sekisho.core.smtp.client.commands import Extensions, transactions_per_session
from sekisho.core.smtp.client.content import ContentError
from sekisho.core.smtp.client.machine import (
    ClientMachine,
    Closed,
    ContentWanted,
    Event,
    Ready,
    TlsReady,
    TlsRefused,
    TransactionDone,
)
from sekisho.core.terms.envelope import Envelope
from sekisho.core.terms.reply import Reply
from sekisho.core.tlspolicy.demand import Proof, SeenTls, TlsDemand, failed_handshake, lack_of, proof_of
from sekisho.ports.clock import Clock
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.stream import (
    CertificateFault,
    ConnectionLost,
    Dialer,
    Endpoint,
    IpAddress,
    Stream,
    StreamError,
    StreamTimeout,
    TlsFailed,
)

CHUNK_OCTETS = 65536
GOODBYE_SECONDS = 3.0
# Before the final dot: turns of the loop in which it takes from the kernel what the server said too early.
PEEK_TURNS = 2
_FAILURES: dict[CertificateFault, str] = {
    "": "validation-failure",
    "expired": "certificate-expired",
    "mismatch": "certificate-host-mismatch",
    "untrusted": "certificate-not-trusted",
}
# One exchange (an envelope of 100 recipients, say) may not last longer, however slowly the replies drip.
MAX_WAIT_SECONDS = 1800.0


class HostFailed(Exception):
    """No session with that address. `reply`: the server's words or our own; `in_handshake`: TLS is to
    blame, and without it there may be one; `failure`: what TLS reports call it (RFC 8460 §4.3), "" if TLS
    is not to blame."""

    def __init__(self, reply: Reply, *, in_handshake: bool = False, failure: str = "") -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.in_handshake = in_handshake
        self.failure = failure


class IsOurselves(Exception):
    """The connection ended at one of our own listeners."""


class BrokenContent(Exception):
    """The content must not be sent (bare CR, LF or NUL); the connection is aborted."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address of one host."""

    host: str
    endpoint: Endpoint

    def __str__(self) -> str:
        return f"{self.host} [{self.endpoint.address}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """What a session must be. `use_tls` False: only where nothing is demanded, after a handshake that
    failed."""

    demand: TlsDemand
    clock: Clock
    use_tls: bool = True

    @property
    def verify(self) -> Literal["none", "pkix"]:
        return "pkix" if self.demand.level == "pkix" or self.demand.tries_pkix else "none"


class RelaySession:
    """EHLO to QUIT. `used`: transactions begun; `last_reason`: why it closed; `tls_refused`: how STARTTLS was
    answered, if not with 220; `demand`: what it had to be, and is; `judged_at`: when that was asked."""

    def __init__(
        self,
        target: Target,
        stream: Stream,
        machine: ClientMachine,
        settings: RelaySettings,
        terms: SessionTerms,
    ) -> None:
        self.target = target
        self.demand = terms.demand
        self.judged_at = terms.clock.monotonic()
        self._terms = terms
        self.name = str(target)
        self.used = 0
        self.last_reason = ""
        self.tls_refused: Reply | None = None
        self._stream = stream
        self._machine = machine
        self._settings = settings

    @classmethod
    async def open(
        cls,
        target: Target,
        *,
        ehlo_name: str,
        settings: RelaySettings,
        dialer: Dialer,
        terms: SessionTerms,
        is_ourselves: Callable[[Stream], bool],
    ) -> "RelaySession":
        """Connect, greet, and start TLS where it is offered; raises `HostFailed`, `IsOurselves`.

        A session that is not what `terms` demand is never given.
        """
        source = settings.source_ipv6 if target.endpoint.address.version == 6 else settings.source_ipv4
        try:
            stream = await dialer.connect(
                target.endpoint.address,
                target.endpoint.port,
                source=_as_address(source),
                timeout_seconds=settings.connect_timeout_seconds,
            )
        except StreamTimeout:
            raise HostFailed(Reply.of(451, "4.4.1", f"No answer from {target}", cause="silent")) from None
        except (OSError, StreamError) as error:
            raise HostFailed(
                Reply.of(451, "4.4.1", f"Cannot connect to {target}: {_why(error)}", cause="no-connection")
            ) from error
        if is_ourselves(stream):
            stream.abort()
            raise IsOurselves(str(target))
        session = cls(target, stream, ClientMachine(ehlo_name), settings, terms)
        try:
            await session._begin()
        except BaseException:
            stream.abort()
            raise
        return session

    async def _begin(self) -> None:
        settings = self._settings
        event = await self._advance(settings.greeting_timeout_seconds)
        if isinstance(event, Ready) and self._terms.use_tls and "STARTTLS" in event.extensions:
            self._machine.start_tls()
            event = await self._advance(settings.command_timeout_seconds)
            if isinstance(event, TlsReady):
                await self._shake_hands()
                event = await self._advance(settings.command_timeout_seconds)
            elif isinstance(event, TlsRefused):
                self.tls_refused = event.reply
                if event.reply.is_positive:
                    # RFC 3207 §4 knows 220, 501 and 454: what this server waits for now nobody can say.
                    reply = Reply.of(
                        451, "4.4.2", f"{self.name} answered STARTTLS with: {event.reply}", cause="tls"
                    )
                    raise HostFailed(reply, in_handshake=True, failure="validation-failure")
        if isinstance(event, Closed):
            broken = Reply.of(
                451, "4.4.2", f"The session with {self.name} failed: {event.reason}", cause="broken"
            )
            raise HostFailed(event.reply or broken)
        self._check()

    def _check(self) -> None:
        """RFC 7672 §2.2, RFC 8461 §4.2: nothing is said to a host that is not what it must be."""
        lack = lack_of(self.demand, self.seen, self._terms.clock.now_us())
        if lack is not None:
            raise HostFailed(lack.reply, failure=lack.failure)

    async def _shake_hands(self) -> None:
        """Where nothing is demanded: encrypted, not authenticated (RFC 7435 §3). The stream refuses octets
        that came before (THREATS 3)."""
        demand = self.demand
        try:
            await self._stream.start_tls_client(
                demand.server_name,
                verify=self._terms.verify,
                timeout_seconds=self._settings.command_timeout_seconds,
            )
        except (TlsFailed, ConnectionLost, StreamTimeout) as error:
            failure = _FAILURES[error.fault] if isinstance(error, TlsFailed) else "validation-failure"
            if demand.needs_tls:
                raise HostFailed(failed_handshake(demand, failure).reply, failure=failure) from error
            reply = Reply.of(451, "4.4.2", f"The TLS handshake with {self.name} failed", cause="tls")
            raise HostFailed(reply, in_handshake=True, failure=failure) from error
        except StreamError as error:
            reply = Reply.of(451, "4.4.2", f"{self.name} sent octets before the TLS handshake", cause="tls")
            raise HostFailed(reply, failure="validation-failure") from error
        self._check()
        self._machine.tls_started()

    async def _advance(self, timeout_seconds: float) -> Event:
        """The next event. Each command and each reply begins a new wait (RFC 5321 §4.5.3.2), all of them
        within `MAX_WAIT_SECONDS`.

        Whatever ends the connection becomes an event.
        """
        machine, stream, loop = self._machine, self._stream, asyncio.get_running_loop()
        deadline = latest = 0.0
        heard = -1
        while True:
            await self._hear()
            event = machine.next_event()
            octets = machine.data_to_send()
            if octets:
                stream.write(octets)
            if event is not None:
                if isinstance(event, Closed):
                    self.last_reason = event.reason
                return event
            now = loop.time()
            latest = latest or now + MAX_WAIT_SECONDS
            if octets or machine.replies_heard != heard:
                heard = machine.replies_heard
                deadline = min(now + timeout_seconds, latest)
            try:
                machine.receive_data(await stream.read(max(deadline - now, 0.001)))
            except StreamTimeout:
                machine.connection_lost(f"no answer within {timeout_seconds:g} seconds")
            except StreamError as error:
                machine.connection_lost(str(error) or "the connection was lost")

    async def _hear(self) -> None:
        """Hand the machine what came already: a reply that is here before its command was written is none."""
        try:
            while self._stream.has_input:
                self._machine.receive_data(await self._stream.read(0.001))
        except StreamError as error:
            self._machine.connection_lost(str(error) or "the connection was lost")

    @property
    def extensions(self) -> Extensions:
        return self._machine.extensions

    @property
    def seen(self) -> SeenTls:
        """What TLS it has."""
        tls = self._stream.tls
        if tls is None:
            return SeenTls()
        return SeenTls(
            version=tls.version, chain=tls.peer_chain, verified=tls.verified, server_name=tls.sni or ""
        )

    @property
    def proof(self) -> Proof:
        return proof_of(self.demand, self.seen)

    @property
    def tls_version(self) -> str:
        """ "TLSv1.3", or "" without TLS."""
        return self._stream.tls.version if self._stream.tls is not None else ""

    @property
    def is_spent(self) -> bool:
        """Has it carried as many transactions as we, or the server, allow?"""
        limit = transactions_per_session(self.extensions)
        return self.used >= self._settings.messages_per_connection or (
            limit is not None and self.used >= limit
        )

    @property
    def is_usable(self) -> bool:
        """Idle, open, and the server has said nothing meanwhile (a 421, or the end)."""
        return self._machine.is_idle and not self._stream.is_closing and not self._stream.has_input

    @property
    def is_over(self) -> bool:
        """Can nothing be said any more?"""
        return self._machine.is_closed or self._stream.is_closing

    @property
    def awaits_final_reply(self) -> bool:
        """Was everything sent and not yet answered?"""
        return self._machine.awaits_final_reply

    async def transact(self, envelope: Envelope, octets: MessageOctets, head: bytes) -> TransactionDone:
        """One MAIL … DATA. `head`: the first octets of the message, already read.

        Raises `BrokenContent` and `StoreUnavailable`; then the connection is aborted and nothing was
        delivered.
        """
        machine, settings = self._machine, self._settings
        self.used += 1
        await self._hear()
        if self.is_over:
            return TransactionDone((None,) * len(envelope.recipients))
        machine.send_envelope(envelope)
        event = await self._advance(settings.command_timeout_seconds)
        if isinstance(event, ContentWanted):
            try:
                await self._send_content(octets, head)
            except ContentError as error:
                self.abort()
                raise BrokenContent(str(error)) from error
            except StoreUnavailable:
                self.abort()
                raise
            event = await self._advance(settings.final_timeout_seconds)
        if not isinstance(event, TransactionDone):
            raise RuntimeError(f"unexpected event {event!r}")
        if machine.is_closed:
            await self._advance(0.001)  # the Closed behind it, for its reason
            self.abort()
        return event

    async def _send_content(self, octets: MessageOctets, head: bytes) -> None:
        """Chunk by chunk; a small message goes in one write together with its final dot."""
        machine, stream, size = self._machine, self._stream, octets.size_octets
        chunk, offset = head, 0
        while True:
            machine.send_content(chunk)
            offset += len(chunk)
            if offset >= size:
                break
            stream.write(machine.data_to_send())
            try:
                await stream.drain(self._settings.data_timeout_seconds)
            except StreamError as error:
                machine.connection_lost(str(error) or "the connection was lost")
                return
            if stream.has_input:
                return  # the server does not wait for the end: hear why
            chunk = await octets.read(offset, CHUNK_OCTETS)
            if not chunk:
                raise StoreUnavailable("the stored message is shorter than it should be")
        if stream.may_have_input:
            for _ in range(PEEK_TURNS):
                await asyncio.sleep(0)
            await self._hear()
        if not machine.is_closed:
            machine.end_content()

    def abort(self) -> None:
        self._stream.abort()

    async def quit(self) -> None:
        """QUIT, wait for its answer a moment, close (RFC 5321 §4.1.1.10). Raises only its own cancellation,
        then aborts."""
        try:
            if self.is_usable:  # so nothing was said unasked
                self._machine.quit()
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._advance(GOODBYE_SECONDS)
            await self._stream.close()
        except TimeoutError:
            self._stream.abort()
        except asyncio.CancelledError:
            self._stream.abort()
            raise


def _as_address(value: object) -> IpAddress | None:
    return value  # type: ignore[return-value]  # pydantic's IPvAnyAddress is an IPv4Address or IPv6Address at run time


def _why(error: OSError | StreamError) -> str:
    """The system's word for it, without addresses or paths (law 8)."""
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else type(error).__name__
