"""The authentication socket, over a stream in memory, with the real authenticator behind it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import scramp
from tests.services.authentication.world import World

from sekisho.core.terms.base64 import decode_base64, encode_base64
from sekisho.ports.authentication import Channel
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.credentials import Credential, StoredCredential
from sekisho.ports.directory import Account
from sekisho.ports.stream import ListenerInfo
from sekisho.services.authentication import outside
from sekisho.services.authentication.appsecrets import SECRET_KEY, letters_of, make_secret, secret_digest
from sekisho.services.authentication.outside import AuthSocket, channel_of
from sekisho.testing.clock import SeededDice
from sekisho.testing.records import MemoryJournal
from sekisho.testing.stream import ManualShutdown, MemoryStream, connected_streams

FACTS = "service=smtp\tnologin\tlip=192.0.2.25\trip=192.0.2.7\tsecured"
GOOD = encode_base64(b"\0alice@example.test\0correct horse").decode()
BAD = encode_base64(b"\0alice@example.test\0wrong horse").decode()


class Postfix:
    """The other server's end."""

    def __init__(self, world: World) -> None:
        self.world, self.journal, self.shutdown = world, MemoryJournal(), ManualShutdown()
        self.stream, far = connected_streams()
        socket = AuthSocket(world.authenticator, world.directory, SeededDice(), self.journal, self.shutdown)
        self.task = asyncio.create_task(self._serve(socket, far))
        self._buffer = b""

    async def _serve(self, socket: AuthSocket, far: MemoryStream) -> None:
        try:
            await socket(far, ListenerInfo("auth", "auth", False))
        finally:
            await far.close()

    def say(self, text: str) -> None:
        self.stream.write(text.encode() + b"\n")

    async def line(self) -> str:
        while b"\n" not in self._buffer:
            octets = await asyncio.wait_for(self.stream.read(), 20)
            if not octets:
                return ""
            self._buffer += octets
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode()

    async def greet(self) -> list[str]:
        lines = []
        while (line := await self.line()) != "DONE":
            lines.append(line)
        self.say("VERSION\t1\t1\nCPID\t1234")
        return lines


@pytest.fixture
async def postfix(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Postfix]:
    made = Postfix(World(monkeypatch))
    yield made
    made.stream.abort()
    made.task.cancel()
    await asyncio.wait({made.task})


async def test_the_greeting_names_the_mechanisms(postfix: Postfix) -> None:
    lines = await postfix.greet()
    assert lines[:4] == [
        "VERSION\t1\t2",
        "MECH\tSCRAM-SHA-256\tmutual-auth",
        "MECH\tPLAIN\tplaintext",
        "MECH\tLOGIN\tplaintext",
    ]
    assert len(lines[6].partition("\t")[2]) == 32


async def test_plain(postfix: Postfix) -> None:
    await postfix.greet()
    postfix.say(f"AUTH\t1\tPLAIN\t{FACTS}\tresp={GOOD}")
    assert await postfix.line() == "OK\t1\tuser=alice@example.test"
    (entry,) = postfix.world.journal.entries
    assert (entry.fields["client"], entry.fields["service"], entry.fields["mechanism"]) == (
        "192.0.2.7",
        "submission",
        "PLAIN",
    )
    postfix.say(f"AUTH\t2\tPLAIN\t{FACTS}\tresp={BAD}")
    assert await postfix.line() == "FAIL\t2" and postfix.world.slept == [pytest.approx(1.975, abs=0.05)]


async def test_login_asks_twice(postfix: Postfix) -> None:
    await postfix.greet()
    postfix.say(f"AUTH\t7\tLOGIN\t{FACTS}")
    assert await postfix.line() == "CONT\t7\tVXNlcm5hbWU6"
    postfix.say("CONT\t7\t" + encode_base64(b"alice@example.test").decode())
    assert await postfix.line() == "CONT\t7\tUGFzc3dvcmQ6"
    postfix.say("CONT\t7\t" + encode_base64(b"correct horse").decode())
    assert await postfix.line() == "OK\t7\tuser=alice@example.test"


async def test_scram(postfix: Postfix) -> None:
    await postfix.greet()
    client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@example.test", "correct horse")
    postfix.say(
        f"AUTH\t1\tSCRAM-SHA-256\t{FACTS}\tresp=" + encode_base64(client.get_client_first().encode()).decode()
    )
    client.set_server_first(decode_base64((await postfix.line()).split("\t")[2].encode()).decode())
    postfix.say("CONT\t1\t" + encode_base64(client.get_client_final().encode()).decode())
    client.set_server_final(decode_base64((await postfix.line()).split("\t")[2].encode()).decode())
    postfix.say("CONT\t1\t")
    assert await postfix.line() == "OK\t1\tuser=alice@example.test"


@pytest.mark.parametrize(
    "facts",
    [
        FACTS.removesuffix("\tsecured"),  # in the clear
        FACTS.replace("smtp", "lmtp"),
        FACTS.replace("rip=192.0.2.7\t", ""),
        FACTS.replace("rip=192.0.2.7", "rip=somewhere"),
    ],
)
async def test_what_is_not_judged(postfix: Postfix, facts: str) -> None:
    await postfix.greet()
    postfix.say(f"AUTH\t1\tPLAIN\t{facts}\tresp={GOOD}")
    assert await postfix.line() == "FAIL\t1" and postfix.world.hashed == []


@pytest.mark.parametrize(
    "request_",
    [
        f"AUTH\t1\tCRAM-MD5\t{FACTS}",
        f"AUTH\t1\tPLAIN\t{FACTS}\tresp=!!!",
        f"AUTH\t1\tPLAIN\t{FACTS}\tresp=AGEAYg",
        f"AUTH\t1\tPLAIN\t{FACTS}\tresp=" + "A" * 40_000,
        "AUTH\t1",
        "CONT\t1\tAA==",
        "LATER\t1\tx",
    ],
)
async def test_every_request_is_answered(postfix: Postfix, request_: str) -> None:
    """A Postfix waits for ever."""
    await postfix.greet()
    postfix.say(request_)
    assert await postfix.line() == "FAIL\t1"
    postfix.say(f"AUTH\t2\tPLAIN\t{FACTS}\tresp={GOOD}")
    assert await postfix.line() == "OK\t2\tuser=alice@example.test"  # and the connection goes on


@pytest.mark.parametrize("response", ["?", "A" * 40_000])
async def test_a_response_that_is_none(postfix: Postfix, response: str) -> None:
    await postfix.greet()
    postfix.say(f"AUTH\t1\tLOGIN\t{FACTS}")
    assert (await postfix.line()).startswith("CONT\t1\t")
    postfix.say(f"CONT\t1\t{response}")
    assert await postfix.line() == "FAIL\t1"


async def test_a_request_without_a_number_ends_the_connection(postfix: Postfix) -> None:
    await postfix.greet()
    postfix.say(f"AUTH\t1\tCRAM-MD5\t{FACTS}\nAUTH\tx\tPLAIN")
    assert [await postfix.line(), await postfix.line()] == ["FAIL\t1", ""]


async def test_a_store_that_is_down_is_temporary(postfix: Postfix) -> None:
    postfix.world.directory.broken = True
    await postfix.greet()
    postfix.say(f"AUTH\t1\tPLAIN\t{FACTS}\tresp={GOOD}")
    assert await postfix.line() == "FAIL\t1\ttemp\tcode=temp_fail"


async def test_a_program_of_one_sender_is_not_let_in_there(postfix: Postfix) -> None:
    secret = make_secret()
    digest = secret_digest(await postfix.world.credentials.server_key(SECRET_KEY), letters_of(secret))
    credential = Credential(
        account_id=1,
        id="service:1",
        kind="service",
        label="form",
        scopes=("smtp",),
        sender="alice@example.test",
    )
    postfix.world.credentials.stored.append(StoredCredential(credential, digest, ""))
    await postfix.greet()
    postfix.say(
        f"AUTH\t1\tPLAIN\t{FACTS}\tresp=" + encode_base64(f"\0alice@example.test\0{secret}".encode()).decode()
    )
    assert await postfix.line() == "FAIL\t1"


async def test_the_account_is_looked_at_for_imap_too(postfix: Postfix) -> None:
    postfix.world.directory.accounts["alice@example.test"] = Account(
        id=1, address="alice@example.test", state="login_disabled"
    )
    await postfix.greet()
    postfix.say(f"AUTH\t1\tPLAIN\t{FACTS.replace('smtp', 'imap')}\tresp={GOOD}")
    assert await postfix.line() == "FAIL\t1"


async def test_who_may_not_send_does_not_send_by_way_of_another_server(postfix: Postfix) -> None:
    postfix.world.directory.accounts["alice@example.test"] = Account(
        id=1, address="alice@example.test", state="sending_held"
    )
    await postfix.greet()
    postfix.say(f"AUTH\t1\tPLAIN\t{FACTS}\tresp={GOOD}")
    assert await postfix.line() == "FAIL\t1"
    postfix.say(f"AUTH\t2\tPLAIN\t{FACTS.replace('smtp', 'imap')}\tresp={GOOD}")
    assert await postfix.line() == "OK\t2\tuser=alice@example.test"  # reading goes on


@pytest.mark.parametrize(("is_down", "answer"), [(False, "FAIL\t1"), (True, "FAIL\t1\ttemp\tcode=temp_fail")])
async def test_what_changed_after_the_proof_counts(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch, is_down: bool, answer: str
) -> None:
    """A SCRAM client ends the exchange when it likes; nobody asks again after that."""
    await postfix.greet()
    client = scramp.ScramClient(["SCRAM-SHA-256"], "alice@example.test", "correct horse")
    postfix.say(
        f"AUTH\t1\tSCRAM-SHA-256\t{FACTS}\tresp=" + encode_base64(client.get_client_first().encode()).decode()
    )
    client.set_server_first(decode_base64((await postfix.line()).split("\t")[2].encode()).decode())
    postfix.say("CONT\t1\t" + encode_base64(client.get_client_final().encode()).decode())
    assert (await postfix.line()).startswith("CONT\t1\t")

    async def broken(account_id: int) -> Account:
        raise StoreUnavailable

    if is_down:
        monkeypatch.setattr(postfix.world.directory, "account", broken)
    else:
        postfix.world.directory.accounts["alice@example.test"] = Account(
            id=1, address="alice@example.test", state="login_disabled"
        )
    postfix.say("CONT\t1\t")
    assert await postfix.line() == answer


async def test_a_cancelled_exchange_says_nothing_more(postfix: Postfix) -> None:
    await postfix.greet()
    postfix.say(f"AUTH\t1\tLOGIN\t{FACTS}")
    await postfix.line()
    postfix.say(f"CANCEL\t1\nAUTH\t1\tPLAIN\t{FACTS}\tresp={GOOD}")
    assert await postfix.line() == "OK\t1\tuser=alice@example.test"


async def test_who_never_comes_back_makes_room(postfix: Postfix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "MOST_EXCHANGES", 2)
    await postfix.greet()
    for number in (1, 2, 3):
        postfix.say(f"AUTH\t{number}\tLOGIN\t{FACTS}")
        assert await postfix.line() == ("FAIL\t1" if number == 3 else f"CONT\t{number}\tVXNlcm5hbWU6")
    assert await postfix.line() == "CONT\t3\tVXNlcm5hbWU6"


async def test_another_protocol_is_written_down(postfix: Postfix) -> None:
    postfix.say("EHLO postfix.example")
    while await postfix.line():
        pass
    await postfix.task
    (entry,) = postfix.journal.entries
    assert entry.kind == "auth_socket.broken" and "VERSION" in str(entry.fields["reason"])


async def test_an_own_bug_is_temporary(postfix: Postfix, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(postfix.world.authenticator, "verify", broken)
    await postfix.greet()
    postfix.say(f"AUTH\t1\tPLAIN\t{FACTS}\tresp={GOOD}")
    assert await postfix.line() == "FAIL\t1\ttemp\tcode=temp_fail" and len(postfix.journal.faults) == 1


async def test_it_ends_with_the_worker(postfix: Postfix) -> None:
    await postfix.greet()
    postfix.shutdown.set()
    await postfix.task
    assert postfix.journal.entries == []


def test_where_clients_come_from() -> None:
    found = channel_of({"service": "pop3", "rip": "2001:db8::1", "secured": "tls"})
    assert isinstance(found, Channel) and (found.service, str(found.client), found.tls is not None) == (
        "pop3",
        "2001:db8::1",
        True,
    )
