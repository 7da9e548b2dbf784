"""POP3 sessions over a stream in memory, with the memory store."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.services.passwords_only import PasswordsOnly
from tests.stores.opened import OpenStore

from sekisho.config.schema import AccessSettings, Limits, LoginSettings
from sekisho.core.terms.address import Address
from sekisho.core.terms.base64 import encode_base64
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.authentication import Channel, LoginFailure, PasswordProof
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Domain
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import Appended
from sekisho.ports.stream import ConnectionLost, ListenerInfo, PlaintextInjected, StreamError
from sekisho.services.access.pop3.service import Pop3Service
from sekisho.services.access.pop3.tools import Pop3Settings, Pop3Tools
from sekisho.services.authentication.standing import LoginStanding
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal
from sekisho.testing.stream import ManualShutdown, MemoryStream, connected_streams

MESSAGES = [
    b"Subject: one\r\n\r\n.first\r\n..\r\nlast\r\n",
    b"Subject: two\r\n\r\n" + b"line\r\n" * 40_000,
    b"Subject: three\r\n\r\nno end",
]


class OneAccount(PasswordsOnly):
    """An authenticator that knows alice, and bob's store is down."""

    def __init__(self, store: OpenStore, account_id: int) -> None:
        self.identity = Identity(account_id=account_id, address=Address("alice", "example.test"))
        self._standing = LoginStanding(store.directory, store.credentials, ManualClock())
        self.asked: list[PasswordProof] = []

    async def verify(self, channel: Channel, proof: PasswordProof) -> Identity | LoginFailure:
        self.asked.append(proof)
        if proof.username == "down":
            return LoginFailure.UNAVAILABLE
        return self.identity if proof.password == "good" else LoginFailure.REFUSED

    async def still_valid(self, identity: Identity) -> bool:
        return await self._standing.still_valid(identity)


class World:
    def __init__(self, store: OpenStore, account_id: int) -> None:
        self.store, self.account_id = store, account_id
        self.authenticator, self.journal, self.shutdown = (
            OneAccount(store, account_id),
            MemoryJournal(),
            ManualShutdown(),
        )
        self.clock = ManualClock()
        owner = Owner("here", 0, 1)
        tools = Pop3Tools(
            authenticator=self.authenticator,
            store=store.mail,
            leases=store.leases,
            owner=owner,
            clock=self.clock,
            journal=self.journal,
            shutdown=self.shutdown,
        )
        self.service = Pop3Service(
            tools, Pop3Settings("pop.example.test", AccessSettings(), LoginSettings(), Limits())
        )

    async def append(self, octets: bytes) -> None:
        content = self.store.spool.open_content()
        content.write(octets)
        await self.store.mail.append(self.account_id, "INBOX", [Appended(content=content)])

    async def inbox_uids(self) -> list[int]:
        return list((await self.store.mail.view(self.account_id, "INBOX", claim_recent=False)).uids)

    @asynccontextmanager
    async def client(self, *, tls: bool = True) -> AsyncIterator["Client"]:
        near, far = connected_streams(port=995, tls=tls)
        listener = ListenerInfo("pop3s" if tls else "pop3", "pop3s" if tls else "pop3", can_starttls=not tls)
        task = asyncio.create_task(self.service(far, listener))
        client = Client(near, far, task)
        try:
            assert await client.line() == b"+OK pop.example.test POP3 ready\r\n"
            yield client
        finally:
            near.abort()
            await asyncio.wait({task})
            assert isinstance(task.exception(), StreamError | None)


class Client:
    def __init__(self, stream: MemoryStream, far: MemoryStream, task: "asyncio.Task[None]") -> None:
        self.stream, self.far, self.task = stream, far, task
        self.buffer = b""

    async def until(self, is_whole: Callable[[bytes], int]) -> bytes:
        while (end := is_whole(self.buffer)) < 0:
            octets = await self.stream.read(5)
            assert octets, f"the server closed after {self.buffer!r}"
            self.buffer += octets
        found, self.buffer = self.buffer[:end], self.buffer[end:]
        return found

    async def line(self) -> bytes:
        return await self.until(lambda b: b.find(b"\n") + 1 or -1)

    async def multiline(self) -> bytes:
        """A whole answer with its last line, dots as sent."""
        return await self.until(lambda b: b.find(b"\r\n.\r\n") + 5 if b"\r\n.\r\n" in b else -1)

    async def say(self, text: str) -> bytes:
        self.stream.write(text.encode() + b"\r\n")
        return await self.line()

    async def login(self) -> bytes:
        await self.say("USER alice")
        return await self.say("PASS good")

    async def closed(self) -> bytes:
        await self.task
        rest = self.buffer
        while self.stream.has_input:
            rest += await self.stream.read(5)
        return rest


@pytest.fixture
async def world() -> World:
    store = OpenStore(ManualClock(), SeededDice())
    await store.directory.add_domain(Domain("example.test", 1))
    account = await store.directory.add_account(Address("alice", "example.test"), "", "")
    made = World(store, account.id)
    for octets in MESSAGES:
        await made.append(octets)
    return made


@pytest.mark.parametrize("change", ["password", "state", "purge"])
async def test_an_open_session_does_not_outlive_its_login(world: World, change: str) -> None:
    for last in ("RETR 2", "QUIT"):
        async with world.client() as client:
            assert (await client.login()).startswith(b"+OK")
            assert (await client.say("DELE 1")).startswith(b"+OK")
            if change == "password":
                await world.store.directory.set_password(world.account_id, "new", "")
            elif change == "state":
                await world.store.directory.set_state(world.account_id, "login_disabled")
            else:
                await world.store.directory.set_state(world.account_id, "deleted")
            assert await client.say(last) == b"-ERR [AUTH] This login is no longer valid\r\n"
            await client.closed()
        await world.store.directory.set_state(world.account_id, "active")
    assert await world.inbox_uids() == [1, 2, 3]


async def test_the_maildrop_is_free_when_quit_is_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.client() as first:
        await first.login()
        released: list[bool] = []
        release, line = world.store.leases.release, first.far.write

        async def slow_release(name: str, owner: Owner, epoch: int) -> None:
            await release(name, owner, epoch)
            released.append(True)

        def watched(octets: bytes) -> None:
            assert b"+OK Bye" not in octets or released
            line(octets)

        monkeypatch.setattr(world.store.leases, "release", slow_release)
        monkeypatch.setattr(first.far, "write", watched)
        assert await first.say("QUIT") == b"+OK Bye\r\n"
        await first.closed()
    assert released == [True]


async def test_retrieve_and_remove(world: World) -> None:
    async with world.client() as client:
        assert await client.login() == b"+OK maildrop has 3 messages (%d octets)\r\n" % sum(
            map(len, MESSAGES)
        )
        assert await client.say("RETR 1") == b"+OK %d octets\r\n" % len(MESSAGES[0])
        assert await client.multiline() == b"Subject: one\r\n\r\n..first\r\n...\r\nlast\r\n.\r\n"
        assert await client.say("RETR 2") == b"+OK %d octets\r\n" % len(MESSAGES[1])
        assert await client.multiline() == MESSAGES[1] + b".\r\n"
        assert await client.say("RETR 3") == b"+OK %d octets\r\n" % len(MESSAGES[2])
        assert await client.multiline() == MESSAGES[2] + b"\r\n.\r\n"
        await client.say("DELE 1")
        await client.say("DELE 3")
        assert await world.inbox_uids() == [1, 2, 3]
        assert await client.say("QUIT") == b"+OK Bye\r\n"
        await client.closed()
    assert await world.inbox_uids() == [2]
    end = world.journal.entries[-1]
    assert end.kind == "access.closed" and (
        end.fields["retrieved"],
        end.fields["removed"],
        end.fields["reason"],
    ) == (3, 2, "quit")


async def test_top(world: World) -> None:
    async with world.client() as client:
        await client.login()
        await client.say("TOP 1 1")
        assert await client.multiline() == b"Subject: one\r\n\r\n..first\r\n.\r\n"
        await client.say("TOP 2 0")
        assert await client.multiline() == b"Subject: two\r\n\r\n.\r\n"
        await client.say("TOP 2 15000")
        assert await client.multiline() == b"Subject: two\r\n\r\n" + b"line\r\n" * 15_000 + b".\r\n"


async def test_pipelining(world: World) -> None:
    async with world.client() as client:
        client.stream.write(
            b"USER alice\r\nPASS good\r\nSTAT\r\nUIDL\r\nTOP 1 0\r\nDELE 2\r\nNOOP\r\nQUIT\r\n"
        )
        lines = (await client.closed()).split(b"\r\n")
        assert [line[:3] for line in lines if line[:1] in (b"+", b"-")] == [b"+OK"] * 8
    assert await world.inbox_uids() == [1, 3]


async def test_unique_ids_stay(world: World) -> None:
    async def unique_ids() -> list[bytes]:
        async with world.client() as client:
            await client.login()
            await client.say("UIDL")
            lines = (await client.multiline()).split(b"\r\n")[:-2]
            await client.say("QUIT")
            await client.closed()
        return [line.split()[1] for line in lines]

    before = await unique_ids()
    view = await world.store.mail.view(world.account_id, "INBOX", claim_recent=False)
    await world.store.mail.expunge(view.info.id, UidSet.of([1]), only_deleted=False)
    await world.append(b"Subject: four\r\n\r\n")
    after = await unique_ids()
    assert after[:2] == before[1:] and after[2] not in before


async def test_the_view_is_fixed_at_login(world: World) -> None:
    async with world.client() as client:
        await client.login()
        await world.append(b"Subject: late\r\n\r\n")
        view = await world.store.mail.view(world.account_id, "INBOX", claim_recent=False)
        await world.store.mail.expunge(view.info.id, UidSet.of([2]), only_deleted=False)
        assert (await client.say("STAT")).startswith(b"+OK 3 ")
        assert await client.say("RETR 2") == b"-ERR [SYS/TEMP] The message cannot be read\r\n"
        assert (await client.say("RETR 3")).startswith(b"+OK")


async def test_a_lost_connection_removes_nothing_and_frees_the_lock(world: World) -> None:
    async with world.client() as client:
        await client.login()
        await client.say("DELE 1")
        async with world.client() as second:
            assert await second.login() == b"-ERR [IN-USE] Another POP3 session has this maildrop open\r\n"
        client.stream.abort()
        with pytest.raises(ConnectionLost):
            await client.task
    assert await world.inbox_uids() == [1, 2, 3]
    async with world.client() as third:
        assert (await third.login()).startswith(b"+OK")
        await third.stream.close()
        await third.task
    assert world.journal.entries[-1].fields["reason"] == "lost"


async def test_timeout_removes_nothing_and_says_nothing(world: World) -> None:
    async with world.client() as client:
        await client.login()
        await client.say("DELE 1")
        assert client.far.last_timeout_seconds == 600
        client.far.expire()
        assert await client.closed() == b""
    assert await world.inbox_uids() == [1, 2, 3] and world.journal.entries[-1].fields["reason"] == "timeout"


async def test_login_has_its_own_deadline(world: World) -> None:
    async with world.client() as client:
        world.clock.advance(59)
        await client.say("USER alice")
        await asyncio.sleep(0)  # let the server come back to reading
        await asyncio.sleep(0)
        assert client.far.last_timeout_seconds == pytest.approx(1)


async def test_shutdown(world: World) -> None:
    async with world.client() as client:
        await client.login()
        await client.say("DELE 1")
        world.shutdown.set()
        assert await client.closed() == b"-ERR [SYS/TEMP] The server is shutting down\r\n"
    assert await world.inbox_uids() == [1, 2, 3]


async def test_stls(world: World) -> None:
    async with world.client(tls=False) as client:
        assert (await client.login()).startswith(b"-ERR")
        assert await client.say("STLS") == b"+OK Begin TLS\r\n"
        await client.stream.start_tls_client("pop.example.test")
        assert (await client.login()).startswith(b"+OK")
    assert len(world.authenticator.asked) == 1


@pytest.mark.parametrize("later", [False, True])
async def test_stls_injection(world: World, later: bool) -> None:
    async with world.client(tls=False) as client:
        client.stream.write(b"STLS\r\n" + (b"" if later else b"USER alice\r\n"))
        if later:
            client.stream.write(b"USER alice\r\n")
        try:
            await client.task
        except PlaintextInjected:
            pass
        assert client.stream.tls is None and b"password" not in bytes(client.far.sent)
    assert world.authenticator.asked == []


async def test_sasl(world: World) -> None:
    async with world.client() as client:
        assert await client.say("AUTH PLAIN") == b"+ \r\n"
        assert (
            await client.say(encode_base64(b"\0alice\0bad").decode())
            == b"-ERR [AUTH] The user name or the password is wrong\r\n"
        )
        assert await client.say("AUTH LOGIN") == b"+ VXNlcm5hbWU6\r\n"
        assert await client.say(encode_base64(b"alice").decode()) == b"+ UGFzc3dvcmQ6\r\n"
        assert (await client.say(encode_base64(b"good").decode())).startswith(b"+OK")
    asked = [
        PasswordProof("alice", "bad", mechanism="PLAIN"),
        PasswordProof("alice", "good", mechanism="LOGIN"),
    ]
    assert world.authenticator.asked == asked


async def test_sasl_without_sense(world: World) -> None:
    async with world.client() as client:
        assert (
            await client.say("AUTH PLAIN " + encode_base64(b"nonsense").decode())
            == b"-ERR [AUTH] The authentication exchange failed\r\n"
        )
        assert (await client.say("AUTH PLAIN !")).startswith(b"-ERR")
        assert (await client.login()).startswith(b"+OK")
    assert world.authenticator.asked == [PasswordProof("alice", "good")]


async def test_three_failures_end_the_connection(world: World) -> None:
    async with world.client() as client:
        for _ in range(3):
            await client.say("USER alice")
            assert (await client.say("PASS bad")).startswith(b"-ERR [AUTH]")
        await client.closed()


async def test_what_is_not_available_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*args: object, **named: object) -> None:
        raise StoreUnavailable

    async with world.client() as client:
        await client.say("USER down")
        assert (await client.say("PASS good")).startswith(b"-ERR [SYS/TEMP]")
        with monkeypatch.context() as patch:
            patch.setattr(world.store.mail, "view", down)
            assert (await client.login()).startswith(b"-ERR [SYS/TEMP]")
        assert (await client.login()).startswith(b"+OK")  # the lock was freed
        await client.say("DELE 1")
        with monkeypatch.context() as patch:
            patch.setattr(world.store.mail, "open", down)
            assert (await client.say("RETR 2")).startswith(b"-ERR [SYS/TEMP]")
            patch.setattr(world.store.mail, "expunge", down)
            assert await client.say("QUIT") == b"-ERR [SYS/TEMP] No message was removed\r\n"
    assert await world.inbox_uids() == [1, 2, 3]


async def test_half_a_message_does_not_look_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        size_octets = 100_000

        async def read(self, offset: int, length: int) -> bytes:
            if offset:
                raise StoreUnavailable
            return b"a" * 65_536

    async def failing(mailbox_id: int, uid: int) -> Failing:
        return Failing()

    async with world.client() as client:
        await client.login()
        monkeypatch.setattr(world.store.mail, "open", failing)
        client.stream.write(b"RETR 1\r\n")
        await client.task
        assert client.far.aborted and not client.far.sent.endswith(b".\r\n")
