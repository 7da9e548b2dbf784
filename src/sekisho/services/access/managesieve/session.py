"""One ManageSieve connection from greeting to close."""

import asyncio
from dataclasses import dataclass, field

from sekisho.config.schema import AccessSettings
from sekisho.core.managesieve.events import (
    NEED_MORE,
    LoggedOut,
    LoginAnswered,
    LoginBegun,
    LoginDropped,
    ManageSieveEvent,
    ScriptRequest,
    SessionOver,
    TlsAsked,
)
from sekisho.core.managesieve.machine import ManageSieveMachine, ManageSieveRefusal, literal, string
from sekisho.core.sasl.exchange import Challenge
from sekisho.core.sieve.faults import SieveError
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, Authenticator, Channel, Exchange, LoginFailure
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.scripts import ScriptsRefused
from sekisho.ports.stream import ListenerInfo, Stream, StreamTimeout
from sekisho.services.sieve.desk import ScriptDesk

_REFUSALS: dict[LoginFailure, ManageSieveRefusal] = {
    LoginFailure.REFUSED: "credentials",
    LoginFailure.LIMITED: "credentials",
    LoginFailure.UNAVAILABLE: "unavailable",
    LoginFailure.MALFORMED: "failed",
    LoginFailure.NOT_OFFERED: "failed",
}
_MAX_FAULTS = 20  # that one answer tells


@dataclass(slots=True, kw_only=True)
class ManageSieveSession:
    """`run` serves the connection."""

    stream: Stream
    machine: ManageSieveMachine
    authenticator: Authenticator
    desk: ScriptDesk
    clock: Clock
    journal: Journal
    access: AccessSettings
    stopping: "asyncio.Future[None]"
    _exchange: Exchange | None = None
    _identity: Identity | None = None
    _login_ends_at: float = field(init=False, default=0.0)
    _changes: int = 0

    async def run(self, listener: ListenerInfo) -> None:
        self._login_ends_at = self.clock.monotonic() + self.access.login_timeout_seconds
        reason = "lost"
        try:
            reason = await self._serve()
        except StreamTimeout:
            reason = "timeout"
        finally:
            tls = self.stream.tls
            self.journal.record(
                Entry(
                    "access.closed",
                    fields={
                        "protocol": "sieve",
                        "listener": listener.name,
                        "client": str(self.stream.peer.address),
                        "tls": tls.version if tls else None,
                        "account_id": self._identity.account_id if self._identity else None,
                        "changes": self._changes,
                        "reason": reason,
                    },
                )
            )

    async def _serve(self) -> str:
        while True:
            event = self.machine.next_event()
            if self.stopping.done() and not isinstance(event, SessionOver):
                self.machine.shut_down()
                event = self.machine.next_event()
            if isinstance(event, SessionOver):
                await self._flush()
                return event.reason
            if event is NEED_MORE:
                await self._flush()
                octets = await self._read()
                if octets == b"":
                    return "lost"
                if octets is not None:
                    self.machine.receive_data(octets)
            else:
                await self._answer(event)

    async def _flush(self) -> None:
        octets = self.machine.data_to_send()
        if octets:
            self.stream.write(octets)
            await self.stream.drain(self.access.sieve_idle_timeout_seconds)

    async def _read(self) -> bytes | None:
        """What the client sent next, b"" at its end, None when the worker is going down."""
        timeout = self.access.sieve_idle_timeout_seconds
        if self._identity is None:
            timeout = min(timeout, max(0.001, self._login_ends_at - self.clock.monotonic()))
        reading = asyncio.create_task(self.stream.read(timeout))
        either: set[asyncio.Future[bytes] | asyncio.Future[None]] = {reading, self.stopping}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()

    def _channel(self) -> Channel:
        return Channel("sieve", self.stream.peer.address, self.stream.tls)

    async def _answer(self, event: ManageSieveEvent) -> None:
        match event:
            case TlsAsked():
                await self._flush()
                if not self.machine.has_input:  # else the machine ends the session
                    await self.stream.start_tls_server()
                    self.machine.tls_started(self.authenticator.mechanisms(self._channel()))
            case LoginBegun(mechanism, initial):
                self._exchange = self.authenticator.exchange(
                    self._channel()
                )  # THREATS 13: a new one each time
                self._take(await self._exchange.begin(mechanism, initial))
            case LoginAnswered(octets):
                assert self._exchange is not None
                self._take(await self._exchange.respond(octets))
            case LoginDropped():
                self._exchange = None
                self.machine.resume()
            case LoggedOut():
                self._identity = None
                self._login_ends_at = self.clock.monotonic() + self.access.login_timeout_seconds
                self.machine.ok("Logged out")
            case ScriptRequest():
                await self._request(event)
            case _:
                raise RuntimeError(f"no answer to {event!r}")

    def _take(self, answer: Answer) -> None:
        if isinstance(answer, Challenge):
            self.machine.challenge(answer.octets)
            return
        self._exchange = None
        if isinstance(answer, Identity):
            self._identity = answer
            self.stream.place.vouch()
            self.machine.log_in(str(answer.address))
        else:
            self.machine.refuse_login(_REFUSALS[answer])

    # --- scripts

    async def _request(self, event: ScriptRequest) -> None:
        assert self._identity is not None
        try:
            if not await self.authenticator.still_valid(self._identity):  # THREATS 15
                self.machine.expel()
                return
            await self._perform(event, self._identity.account_id)
        except SieveError as error:
            self.machine.no("\r\n".join(map(str, error.faults[:_MAX_FAULTS])))
        except ScriptsRefused as error:
            self.machine.no(str(error), error.code)
        except StoreUnavailable:
            self.machine.no("The scripts cannot be read at the moment, try again later", "TRYLATER")

    async def _perform(self, event: ScriptRequest, account_id: int) -> None:
        desk, name = self.desk, event.name
        match event.command:
            case "LISTSCRIPTS":
                found = await desk.listing(account_id)
                self.machine.ok(
                    lines=[string(each.name) + (b" ACTIVE" if each.is_active else b"") for each in found]
                )
                return
            case "GETSCRIPT":
                octets = await desk.script(account_id, name)
                if octets is None:
                    self.machine.no("There is no such script", "NONEXISTENT")
                else:
                    self.machine.ok(lines=[literal(octets)])
                return
            case "CHECKSCRIPT":
                await desk.check(account_id, "", event.octets)
            case "HAVESPACE":
                await desk.have_space(account_id, name, event.size)
            case "PUTSCRIPT":
                await desk.put(account_id, name, event.octets)
            case "SETACTIVE":
                await desk.activate(account_id, name)
            case "DELETESCRIPT":
                await desk.remove(account_id, name)
            case "RENAMESCRIPT":
                await desk.rename(account_id, name, event.new_name)
        if event.command not in ("CHECKSCRIPT", "HAVESPACE"):
            self._changes += 1
        self.machine.ok()
