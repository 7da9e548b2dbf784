"""An IMAP server over the memory store, and connections to it in memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.services.passwords_only import PasswordsOnly
from tests.stores.opened import OpenStore

from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings, prepare
from sekisho.config.schema import AccessSettings, LoginSettings
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure, PasswordProof
from sekisho.ports.directory import Account, Domain
from sekisho.ports.mailstore import Appended
from sekisho.ports.stream import ListenerInfo, StreamError
from sekisho.services.access.imap.context import ImapPorts
from sekisho.services.access.imap.handler import ImapHandler
from sekisho.services.authentication.standing import LoginStanding
from sekisho.services.teaching import Teacher, TeacherPorts
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.stream import ManualShutdown, MemoryStream, connected_streams

PLAIN = ListenerInfo("imap", "imap", can_starttls=True)
IMPLICIT = ListenerInfo("imaps", "imaps", can_starttls=False)


class OnePassword(PasswordsOnly):
    """Everybody's password is "secret"; "broken" finds the service down."""

    def __init__(self, server: "Server") -> None:
        self._server = server

    async def verify(self, channel: Channel, proof: PasswordProof) -> Identity | LoginFailure:
        if proof.password == "broken":
            return LoginFailure.UNAVAILABLE
        account = self._server.accounts.get(proof.username)
        if account is None or proof.password != "secret" or proof.authzid not in ("", proof.username):
            return LoginFailure.REFUSED
        return Identity(
            account_id=account.id,
            address=Address.from_text(account.address),
            valid_until_us=self._server.logins_until_us,
        )

    async def still_valid(self, identity: Identity) -> bool:
        store = self._server.store
        return await LoginStanding(store.directory, store.credentials, self._server.clock).still_valid(
            identity
        )


class Server:
    def __init__(self, data_dir: Path | None = None, **access: Any) -> None:
        """Over the memory store, or over SQLite in `data_dir`."""
        self.clock = ManualClock()
        self.store: Any = OpenStore(self.clock, SeededDice())
        if data_dir is not None:
            prepare(data_dir)
            self.store = SqliteStore(
                data_dir, self.clock, SeededDice(), LocalChanges(), StoreSettings(free_disk_octets=1)
            )
        self.journal, self.metrics, self.shutdown = MemoryJournal(), MemoryMetrics(), ManualShutdown()
        self.accounts: dict[str, Account] = {}
        self.teacher = Teacher(
            TeacherPorts(self.store.mail, self.store.judgements, self.journal, self.metrics)
        )
        ports = ImapPorts(
            store=self.store.mail,
            spool=self.store.spool,
            directory=self.store.directory,
            authenticator=OnePassword(self),
            changes=self.store.changes,
            journal=self.journal,
            metrics=self.metrics,
            clock=self.clock,
            shutdown=self.shutdown,
            junk=self.teacher,
        )
        self.handler = ImapHandler(ports, AccessSettings(**access), LoginSettings(), "mx.example.test")
        self.tasks: list[asyncio.Task[None]] = []
        self.logins_until_us = 0

    async def add_accounts(self) -> None:
        await self.store.directory.add_domain(Domain("example.test", 0))
        for name in ("alice", "bob"):
            self.accounts[f"{name}@example.test"] = await self.store.directory.add_account(
                Address(name, "example.test"), "a", "s"
            )

    def connect(self, *, tls: bool = True) -> "Client":
        near, far = connected_streams(port=993 if tls else 143, tls=tls)
        self.tasks.append(asyncio.create_task(self._serve(far, tls)))
        return Client(near, far, self.tasks[-1])

    async def _serve(self, stream: MemoryStream, tls: bool) -> None:
        try:
            await self.handler(stream, IMPLICIT if tls else PLAIN)
        except StreamError:
            stream.abort()
        await stream.close()

    async def append(
        self, octets: bytes, mailbox: str = "INBOX", account: str = "alice@example.test", **fields: Any
    ) -> int:
        writer = self.store.spool.open_content()
        writer.write(octets)
        _, uids = await self.store.mail.append(
            self.accounts[account].id, mailbox, [Appended(content=writer, **fields)]
        )
        return uids[0]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        if isinstance(self.store, SqliteStore):
            await self.store.close()


class Client:
    """A client's end: sends octets, reads lines and literals."""

    def __init__(self, stream: MemoryStream, server_stream: MemoryStream, task: "asyncio.Task[None]") -> None:
        self.stream, self.server_stream, self.task = stream, server_stream, task
        self.buffer = b""
        self._tags = 0

    def send(self, octets: bytes) -> None:
        self.stream.write(octets)

    async def line(self) -> bytes:
        """The next line without CRLF, literals included."""
        out = b""
        while True:
            while b"\n" not in self.buffer:
                await self._more()
            line, _, self.buffer = self.buffer.partition(b"\n")
            out += line + b"\n"
            if not line.endswith(b"}\r") or not line.rpartition(b"{")[2][:-2].isdigit():
                return out[:-2]
            size = int(line.rpartition(b"{")[2][:-2])
            while len(self.buffer) < size:
                await self._more()
            out, self.buffer = out + self.buffer[:size], self.buffer[size:]

    async def _more(self) -> None:
        octets = await asyncio.wait_for(self.stream.read(), 20)
        if not octets:
            raise EOFError(self.buffer)
        self.buffer += octets

    async def at_end(self) -> bool:
        try:
            return not self.buffer and await asyncio.wait_for(self.stream.read(), 20) == b""
        except StreamError:
            return True

    async def command(self, text: bytes | str) -> list[bytes]:
        """Send one command; the answers, the last one without its tag."""
        octets = text.encode() if isinstance(text, str) else text
        self._tags += 1
        tag = b"t%d" % self._tags
        self.send(tag + b" " + octets + b"\r\n")
        return await self.answers(tag)

    async def answers(self, tag: bytes) -> list[bytes]:
        lines = []
        while True:
            line = await self.line()
            if line.startswith(tag + b" "):
                return [*lines, line[len(tag) + 1 :]]
            lines.append(line)

    async def ok(self, text: bytes | str) -> list[bytes]:
        """The same, which must end in OK; returns the untagged ones."""
        lines = await self.command(text)
        assert lines[-1].startswith(b"OK"), lines
        return lines[:-1]

    async def log_in(self, who: str = "alice") -> "Client":
        assert (await self.line()).startswith(b"* OK")
        await self.ok(f"LOGIN {who}@example.test secret")
        return self


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


@pytest.fixture(params=["memory", "sqlite"])
async def make_server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    servers: list[Server] = []

    async def make(**access: Any) -> Server:
        servers.append(Server(tmp_path / "data" if request.param == "sqlite" else None, **access))
        await servers[-1].add_accounts()
        return servers[-1]

    yield make
    for server in servers:
        await server.stop()


@pytest.fixture
async def server(make_server: Callable[..., Awaitable[Server]]) -> Server:
    return await make_server()
