"""One POP3 connection from greeting to close."""

import asyncio

from sekisho.core.pop3.events import (
    NEED_DATA,
    Event,
    PasswordLogin,
    Pop3Closed,
    Pop3SaslResponse,
    Quit,
    Retrieve,
    SaslAborted,
    SaslStarted,
    ScanListing,
    StartTls,
)
from sekisho.core.pop3.machine import LoginRefusal, Pop3Machine
from sekisho.core.pop3.maildrop import Maildrop
from sekisho.core.pop3.transparency import DotStuffer, TopCutter
from sekisho.core.sasl.exchange import Challenge
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.authentication import Answer, Channel, Exchange, LoginFailure, PasswordProof
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.journal import Entry
from sekisho.ports.mailstore import NoSuchMailbox
from sekisho.ports.stream import ListenerInfo, Stream, StreamTimeout
from sekisho.services.access.pop3.tools import Pop3Settings, Pop3Tools

_CHUNK_OCTETS = 65_536
_ROWS_PER_READ = 1000
# The lock dies with its connection (or its worker); the time is only a backstop.
_LOCK_SECONDS = 86_400.0
_REFUSALS: dict[LoginFailure, LoginRefusal] = {
    LoginFailure.REFUSED: "credentials",
    LoginFailure.LIMITED: "credentials",
    LoginFailure.UNAVAILABLE: "unavailable",
    LoginFailure.MALFORMED: "failed",
    LoginFailure.NOT_OFFERED: "failed",
}


def channel_of(stream: Stream) -> Channel:
    return Channel("pop3", stream.peer.address, stream.tls)


class Pop3Session:
    """`run` serves the connection; nothing of it outlives that call, the lock included."""

    def __init__(
        self,
        tools: Pop3Tools,
        settings: Pop3Settings,
        stream: Stream,
        machine: Pop3Machine,
        stopping: "asyncio.Future[None]",
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._stream = stream
        self._machine = machine
        self._stopping = stopping
        self._login_ends_at = tools.clock.monotonic() + settings.access.login_timeout_seconds
        self._exchange: Exchange | None = None
        self._identity: Identity | None = None
        self._lock: tuple[str, int] | None = None  # lease name, epoch
        self._mailbox_id = 0
        self._retrieved = self._retrieved_octets = self._removed = 0

    async def run(self, listener: ListenerInfo) -> None:
        reason = "lost"
        try:
            reason = await self._serve()
        except StreamTimeout:
            # RFC 1939 §3: close without a response and without removing anything.
            reason = "timeout"
        except StoreUnavailable:
            # In the middle of a message: half of it must not look whole.
            self._stream.abort()
            reason = "store unavailable"
        finally:
            if self._lock is not None:
                await self._release_lock(*self._lock)
            self._record_end(listener, reason)

    async def _release_lock(self, name: str, epoch: int) -> None:
        try:
            await self._tools.leases.release(name, self._tools.owner, epoch)
        except StoreUnavailable as error:
            self._tools.journal.fault("pop3 lock release", error)

    def _record_end(self, listener: ListenerInfo, reason: str) -> None:
        tls = self._stream.tls
        self._tools.journal.record(
            Entry(
                "access.closed",
                fields={
                    "protocol": "pop3",
                    "listener": listener.name,
                    "client": str(self._stream.peer.address),
                    "tls": tls.version if tls else None,
                    "account_id": self._identity.account_id if self._identity else None,
                    "retrieved": self._retrieved,
                    "retrieved_octets": self._retrieved_octets,
                    "removed": self._removed,
                    "reason": reason,
                },
            )
        )

    async def _serve(self) -> str:
        while True:
            event = self._machine.next_event()
            if self._stopping.done() and not isinstance(event, Pop3Closed | Quit):
                self._machine.shut_down()
                event = self._machine.next_event()
            if isinstance(event, Pop3Closed):
                await self._flush()
                return event.reason
            if event is NEED_DATA:
                await self._flush()
                octets = await self._read()
                if octets == b"":
                    return "lost"
                if octets is not None:
                    self._machine.receive_data(octets)
            else:
                await self._answer(event)

    async def _flush(self) -> None:
        octets = self._machine.data_to_send()
        if octets:
            self._stream.write(octets)
            await self._stream.drain(self._settings.access.pop3_idle_timeout_seconds)

    async def _read(self) -> bytes | None:
        """What the client sent next, b"" at its end, None when the worker is going down."""
        timeout = self._settings.access.pop3_idle_timeout_seconds
        if self._identity is None:
            timeout = min(timeout, max(0.001, self._login_ends_at - self._tools.clock.monotonic()))
        reading = asyncio.create_task(self._stream.read(timeout))
        either: set[asyncio.Future[bytes] | asyncio.Future[None]] = {reading, self._stopping}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()

    async def _answer(self, event: Event) -> None:
        match event:
            case StartTls():
                await self._start_tls()
            case PasswordLogin(username, password):
                proof = PasswordProof(username, password)
                await self._take(await self._tools.authenticator.verify(channel_of(self._stream), proof))
            case SaslStarted(name, initial_response):  # RFC 5034 §4
                self._exchange = self._tools.authenticator.exchange(
                    channel_of(self._stream)
                )  # THREATS 13: a new one each time
                await self._take(await self._exchange.begin(name, initial_response))
            case Pop3SaslResponse(octets):
                assert self._exchange is not None
                await self._take(await self._exchange.respond(octets))
            case SaslAborted():
                self._exchange = None
                self._machine.resume()
            case ScanListing(chunks):
                await self._flush()
                for chunk in chunks:
                    self._stream.write(chunk)
                    await self._stream.drain(self._settings.access.pop3_idle_timeout_seconds)
            case Retrieve() | Quit() if not await self._is_still_welcome():
                self._machine.expel()
            case Retrieve():
                await self._retrieve(event)
            case Quit(deleted_uids):
                await self._update(deleted_uids)
            case _:
                raise RuntimeError(f"no answer to {event!r}")

    async def _start_tls(self) -> None:
        await self._flush()
        if self._machine.has_input:
            return  # the machine ends the session
        await self._stream.start_tls_server()
        self._machine.tls_started(self._tools.authenticator.mechanisms(channel_of(self._stream)))

    # -- login -----------------------------------------------------------------------------------------------

    async def _take(self, answer: Answer) -> None:
        if isinstance(answer, Challenge):
            self._machine.challenge(answer.octets)
            return
        self._exchange = None
        if isinstance(answer, Identity):
            await self._open_maildrop(answer)
        else:
            self._machine.refuse_login(_REFUSALS[answer])

    async def _open_maildrop(self, identity: Identity) -> None:
        """Lock, then look: RFC 1939 §4 wants both before the login is confirmed."""
        name = f"pop3:{identity.account_id}"
        try:
            epoch = await self._tools.leases.acquire(name, self._tools.owner, _LOCK_SECONDS)
            if epoch is None:
                self._machine.refuse_login("in_use")
                return
            self._lock = (name, epoch)
            maildrop = await self._look(identity.account_id)
        except StoreUnavailable:
            if self._lock is not None:
                await self._release_lock(*self._lock)
                self._lock = None
            self._machine.refuse_login("unavailable")
            return
        self._identity = identity
        self._stream.place.vouch()
        self._machine.open_maildrop(maildrop)

    async def _look(self, account_id: int) -> Maildrop:
        store = self._tools.store
        view = await store.view(account_id, "INBOX", claim_recent=False)
        self._mailbox_id = view.info.id
        maildrop = Maildrop(view.info.uidvalidity)
        uids = list(view.uids)
        for first in range(0, len(uids), _ROWS_PER_READ):
            portion = UidSet.of(uids[first : first + _ROWS_PER_READ])
            for row in await store.rows(self._mailbox_id, portion):
                maildrop.add(row.uid, row.size_octets)
            await asyncio.sleep(0)  # a large maildrop must not hold up the others
        return maildrop

    async def _is_still_welcome(self) -> bool:
        """An open session does not outlive its account or its credential (THREATS 15): asked before mail is
        given out or removed."""
        if self._identity is None:
            return True
        try:
            return await self._tools.authenticator.still_valid(self._identity)
        except StoreUnavailable:
            return True  # then no message can be read or removed either

    # -- messages --------------------------------------------------------------------------------------------

    async def _retrieve(self, event: Retrieve) -> None:
        try:
            message = await self._tools.store.open(self._mailbox_id, event.uid)
            first = await message.read(0, _CHUNK_OCTETS) if message is not None else b""
        except StoreUnavailable:
            message, first = None, b""
        if message is None:
            self._machine.message_gone()
            return
        self._machine.message_follows(message.size_octets if event.body_lines is None else None)
        await self._flush()
        await self._send_message(message, first, event.body_lines)
        self._retrieved += 1

    async def _send_message(self, message: MessageOctets, octets: bytes, body_lines: int | None) -> None:
        """In ranges, each drained: a slow client holds one range, not a message. Raises StoreUnavailable."""
        stuffer = DotStuffer()
        cutter = None if body_lines is None else TopCutter(body_lines)
        offset = 0
        while offset < message.size_octets:
            if not octets:
                raise StoreUnavailable("the message is shorter than its size")
            offset += len(octets)
            self._stream.write(stuffer.feed(octets if cutter is None else cutter.feed(octets)))
            self._retrieved_octets += len(octets)
            await self._stream.drain(self._settings.access.pop3_idle_timeout_seconds)
            if cutter is not None and cutter.is_done:
                break
            octets = await message.read(offset, _CHUNK_OCTETS)
        self._stream.write(stuffer.finish())

    async def _update(self, deleted_uids: tuple[int, ...]) -> None:
        """RFC 1939 §6: remove what was marked, in one transaction."""
        is_done = True
        if deleted_uids:
            try:
                removed, _ = await self._tools.store.expunge(
                    self._mailbox_id, UidSet.of(deleted_uids), only_deleted=False
                )
                self._removed = len(removed)
            except (StoreUnavailable, NoSuchMailbox):
                is_done = False
        # Before the answer: who hears +OK may come back at once and must not find the maildrop in use.
        if self._lock is not None:
            await self._release_lock(*self._lock)
            self._lock = None
        self._machine.finish(is_done=is_done)
