"""The authentication socket: other mail servers of this machine (Postfix, Exim, Dovecot) let us judge the
logins of their clients."""

import asyncio
import os
from collections.abc import Awaitable, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from sekisho.core.sasl.dovecot import AuthServerMachine, Begun, Cancelled, Continued
from sekisho.core.sasl.exchange import Challenge
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Answer, Authenticator, Channel, Exchange, LoginFailure, ServiceName
from sekisho.ports.clock import Dice
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Directory
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.stream import ListenerInfo, Shutdown, Stream, StreamError, TlsInfo

# What other servers call their services.
SERVICES: Mapping[str, ServiceName] = {
    "smtp": "submission",
    "submission": "submission",
    "imap": "imap",
    "pop3": "pop3",
}
MOST_EXCHANGES = 256  # at once, on one connection
_THEIRS = TlsInfo(version="outside", cipher="")  # which TLS it is, the protocol does not tell


class AuthSocket:
    """Implements `ports.stream.ConnectionHandler`. Whoever may open the socket is believed what it says about
    its clients."""

    def __init__(
        self,
        authenticator: Authenticator,
        directory: Directory,
        dice: Dice,
        journal: Journal,
        shutdown: Shutdown,
    ) -> None:
        self._authenticator, self._directory, self._dice = authenticator, directory, dice
        self._journal, self._shutdown = journal, shutdown

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        stopping = asyncio.ensure_future(self._shutdown.wait())
        connection = _Connection(self._authenticator, self._directory, self._dice, self._journal, stream)
        try:
            reason = await connection.run(stopping)
        finally:
            stopping.cancel()
            connection.drop()
        if reason:
            self._journal.record(
                Entry(
                    "auth_socket.broken",
                    fields={"listener": listener.name, "uid": stream.peer_uid, "reason": reason},
                )
            )


class _Login(NamedTuple):
    service: ServiceName
    exchange: Exchange


class _Connection:
    def __init__(
        self, authenticator: Authenticator, directory: Directory, dice: Dice, journal: Journal, stream: Stream
    ) -> None:
        self._authenticator, self._directory, self._journal, self._stream = (
            authenticator,
            directory,
            journal,
            stream,
        )
        # Channel binding is between the client and the other server's certificate: never by way of us.
        offered = authenticator.mechanisms(Channel("submission", stream.peer.address, _THEIRS))
        unique = int.from_bytes(dice.octets(4), "big")
        self._machine = AuthServerMachine(offered, os.getpid(), unique, dice.octets(16).hex())
        self._exchanges: dict[int, _Login] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self, stopping: "asyncio.Future[None]") -> str:
        """Until the other side leaves or the worker stops; returns what was wrong, or ""."""
        while True:
            event = self._machine.next_event()
            if isinstance(event, Begun | Continued | Cancelled):
                self._take(event)
                continue
            await self._flush()  # before we wait or leave: the machine refuses some requests by itself
            if event is not None:
                return event.reason
            reading = asyncio.ensure_future(self._stream.read())
            either: set[asyncio.Future[bytes] | asyncio.Future[None]] = {reading, stopping}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                octets = reading.result() if reading.done() else b""
            finally:
                reading.cancel()
            if not octets:
                return ""
            self._machine.receive_data(octets)

    def drop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._exchanges.clear()

    async def _flush(self) -> None:
        octets = self._machine.data_to_send()
        if octets:
            await self._stream.send(octets)

    def _take(self, event: Begun | Continued | Cancelled) -> None:
        number = event.number
        if isinstance(event, Cancelled):
            self._end(number)
            if number in self._tasks:
                self._tasks[number].cancel()
            return
        if isinstance(event, Begun):
            channel = channel_of(event.facts)
            if channel is None:
                self._machine.refuse(number)
                return
            if number in self._tasks or (
                len(self._exchanges) >= MOST_EXCHANGES and not self._forget_oldest()
            ):
                self._machine.refuse(number, temporarily=True)
                return
            login = self._exchanges[number] = _Login(channel.service, self._authenticator.exchange(channel))
            work = login.exchange.begin(event.mechanism, event.initial)
        else:
            login = self._exchanges[number]
            work = login.exchange.respond(event.octets)
        task = self._tasks[number] = asyncio.ensure_future(self._answer(number, login.service, work))
        task.add_done_callback(lambda done: self._done(number, done))

    async def _answer(self, number: int, service: ServiceName, work: Awaitable[Answer]) -> None:
        answer = await work
        if isinstance(answer, Identity):
            answer = await self._may_begin(service, answer)
        if isinstance(answer, Challenge):
            self._machine.challenge(number, answer.octets)
        elif isinstance(answer, Identity):
            self._machine.accept(number, str(answer.address))
        else:
            self._machine.refuse(number, temporarily=answer is LoginFailure.UNAVAILABLE)
        if not isinstance(answer, Challenge):
            self._end(number)
        await self._flush()

    async def _may_begin(self, service: ServiceName, identity: Identity) -> Identity | LoginFailure:
        """Our own services ask at each message whether the login counts; of the other server's sessions only
        the beginning is ours."""
        try:
            if not await self._authenticator.still_valid(identity):  # THREATS 15
                return LoginFailure.REFUSED
            account = await self._directory.account(identity.account_id)
        except StoreUnavailable:
            return LoginFailure.UNAVAILABLE
        if (
            identity.sender is not None
        ):  # a program that may send as one address only cannot be held to it there
            return LoginFailure.REFUSED
        is_held = account is None or (service == "submission" and account.state == "sending_held")
        return LoginFailure.REFUSED if is_held else identity

    def _forget_oldest(self) -> bool:
        """Of those whose client said nothing more: not every server tells us when it gave up."""
        waiting = next((number for number in self._exchanges if number not in self._tasks), None)
        if waiting is None:
            return False
        self._machine.refuse(waiting)
        self._end(waiting)
        return True

    def _end(self, number: int) -> None:
        self._exchanges.pop(number, None)

    def _done(self, number: int, task: "asyncio.Task[None]") -> None:
        if self._tasks.get(number) is task:
            del self._tasks[number]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, StreamError):  # that one shows at the next read
            self._journal.fault("auth_socket", error)
            self._machine.refuse(number, temporarily=True)
            self._end(number)
            self._stream.write(self._machine.data_to_send())


def channel_of(facts: Mapping[str, str]) -> Channel | None:
    """What the other server says about its client's connection; None if that does not do: no service of ours,
    or no address."""
    service = SERVICES.get(facts.get("service", ""))
    try:
        client = ip_address(facts.get("rip", ""))
    except ValueError:
        return None
    return Channel(service, client, _THEIRS if "secured" in facts else None) if service else None
