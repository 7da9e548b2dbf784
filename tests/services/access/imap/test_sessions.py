"""Several sessions on one mailbox: whatever the order, no client's numbers ever go wrong, and both end with
the truth."""

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.services.access.imap.conftest import Client, Server, until

_FETCH = re.compile(rb"\* (\d+) FETCH \((?:UID (\d+) )?FLAGS \(([^)]*)\)")
_NUMBER = re.compile(rb"\* (\d+) (EXISTS|RECENT|EXPUNGE)")


class Mirror:
    """What a client may believe from the untagged responses alone (RFC 3501 §7)."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.messages: list[tuple[int | None, frozenset[bytes]]] = []  # (UID, flags) by number
        self.recent: set[int] = set()

    def hear(self, lines: list[bytes], *, by_number: bool = False) -> None:
        for line in lines:
            if match := _NUMBER.match(line):
                self._count(int(match[1]), match[2], by_number)
            elif match := _FETCH.match(line):
                number, uid, flags = int(match[1]), match[2] and int(match[2]), frozenset(match[3].split())
                assert 1 <= number <= len(self.messages), line
                known = self.messages[number - 1][0]
                assert known is None or uid is None or known == uid, line
                if b"\\Recent" in flags and uid:
                    self.recent.add(uid)
                self.messages[number - 1] = (known or uid or None, flags - {b"\\Recent"})

    def _count(self, number: int, what: bytes, by_number: bool) -> None:
        if what == b"EXISTS":
            assert number >= len(self.messages)  # RFC 3501 §7.3.1: only EXPUNGE makes it smaller
            self.messages += [(None, frozenset())] * (number - len(self.messages))
        elif what == b"EXPUNGE":
            assert not by_number  # RFC 3501 §7.4.1
            assert 1 <= number <= len(self.messages)
            del self.messages[number - 1]

    async def do(self, command: str) -> None:
        lines = await self.client.command(command)
        name = command.partition(" ")[0]
        self.hear(lines[:-1], by_number=name in ("FETCH", "STORE", "SEARCH"))
        assert (
            lines[-1].startswith((b"OK", b"NO [EXPUNGEISSUED]"))
            or "There is no message" in lines[-1].decode()
        ), (command, lines[-1])

    async def settle(self) -> None:
        await self.do("NOOP")
        if self.messages:
            await self.do("FETCH 1:* (UID FLAGS)")


async def open_mirror(server: Server) -> Mirror:
    mirror = Mirror(await server.connect().log_in())
    mirror.hear(await mirror.client.ok("SELECT INBOX"))
    await mirror.settle()
    return mirror


COMMANDS = [
    "NOOP",
    "CHECK",
    "EXPUNGE",
    "STORE 1 +FLAGS (\\Deleted)",
    "STORE 2 +FLAGS.SILENT (\\Deleted)",
    "STORE 1:* -FLAGS (\\Deleted)",
    "STORE 3 FLAGS (\\Seen $a)",
    "UID STORE 1:* +FLAGS (\\Flagged)",
    "UID STORE 4:5 +FLAGS.SILENT (\\Answered)",
    "UID EXPUNGE 2:4",
    "FETCH 1:* (UID FLAGS)",
    "UID FETCH 1:* (FLAGS)",
    "FETCH 2 BODY[]",
    "SEARCH DELETED",
    "UID SEARCH ALL",
    "COPY 1 INBOX",
    "MOVE 1 Archive",
    "append",
    "append-deleted",
]


async def run(steps: list[tuple[int, str]]) -> None:
    server = Server()
    await server.add_accounts()
    for _ in range(4):
        await server.append(b"Subject: x\r\n\r\nx\r\n")
    mirrors = [await open_mirror(server), await open_mirror(server)]
    try:
        for who, command in steps:
            if command.startswith("append"):
                await server.append(b"Subject: y\r\n\r\ny\r\n", flags=4 if command == "append-deleted" else 0)
            else:
                await mirrors[who].do(command)
            if who:
                await asyncio.sleep(0)
        account = server.accounts["alice@example.test"].id
        for mirror in mirrors:
            await mirror.do("NOOP")
        heard = [[flags for _, flags in mirror.messages] for mirror in mirrors]
        for mirror in mirrors:
            await mirror.settle()
        view = await server.store.mail.view(account, "INBOX", claim_recent=False)
        rows = await server.store.mail.flag_rows(view.info.id, view.uids)
        for mirror, flags in zip(mirrors, heard, strict=True):
            assert [uid for uid, _ in mirror.messages] == [row.uid for row in rows]
            bits = {1: b"\\Answered", 2: b"\\Flagged", 4: b"\\Deleted", 8: b"\\Seen", 16: b"\\Draft"}
            truth = [
                frozenset(n for b, n in bits.items() if row.flags & b) | {k.encode() for k in row.keywords}
                for row in rows
            ]
            assert [flags for _, flags in mirror.messages] == truth
            # What was told along the way is already the truth, but for messages that nobody asked about yet.
            assert all(
                told in (now, frozenset()) or silent(steps) for told, now in zip(flags, truth, strict=True)
            )
        assert not mirrors[0].recent & mirrors[1].recent  # RFC 3501 §2.3.2
    finally:
        await server.stop()


def silent(steps: list[tuple[int, str]]) -> bool:
    return any(".SILENT" in command or "BODY[]" in command for _, command in steps)


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(COMMANDS)), max_size=14))
@settings(max_examples=100, deadline=None)
def test_any_interleaving_keeps_the_numbers_right(steps: list[tuple[int, str]]) -> None:
    asyncio.run(run(steps))


async def test_flags_and_expunges_reach_an_idle_session(server: Any) -> None:
    await server.append(b"Subject: x\r\n\r\nx\r\n")
    idle, other = await server.connect().log_in(), await server.connect().log_in()
    await idle.ok("SELECT INBOX")
    await other.ok("SELECT INBOX")
    idle.send(b"i IDLE\r\n")
    assert await idle.line() == b"+ idling"
    await other.ok("STORE 1 +FLAGS (\\Deleted)")
    assert await idle.line() == b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Recent))"
    await server.append(b"Subject: y\r\n\r\ny\r\n")
    assert await idle.line() == b"* 2 EXISTS"
    assert await idle.line() == b"* 2 RECENT"
    await other.ok("EXPUNGE")
    assert await idle.line() == b"* 1 EXPUNGE"
    idle.send(b"DONE\r\n")
    assert await idle.line() == b"i OK Done"


async def test_a_lost_hint_is_made_good_by_the_recheck(server: Any, monkeypatch: Any) -> None:
    idle = await server.connect().log_in()
    await idle.ok("SELECT INBOX")
    idle.send(b"i IDLE\r\n")
    assert await idle.line() == b"+ idling"
    await until(lambda: idle.server_stream.last_timeout_seconds == 30.0)
    monkeypatch.setattr(server.store.changes, "publish", lambda change: None)
    await server.append(b"Subject: x\r\n\r\nx\r\n")
    idle.server_stream.expire()
    assert await idle.line() == b"* 1 EXISTS"


async def test_idle_ends_with_autologout(server: Any) -> None:
    idle = await server.connect().log_in()
    idle.send(b"i IDLE\r\n")
    assert await idle.line() == b"+ idling"
    server.clock.advance(1861)
    idle.server_stream.expire()
    assert (await idle.line()).startswith(b"* BYE Autologout")
    assert await idle.at_end()


async def test_login_and_silence_have_their_time(server: Any) -> None:
    client = server.connect()
    await client.line()
    assert client.server_stream.last_timeout_seconds == 60.0
    client.server_stream.expire()
    assert (await client.line()).startswith(b"* BYE Autologout")
    client = await server.connect().log_in()
    await until(lambda: client.server_stream.last_timeout_seconds == 1860.0)


async def test_sessions_end_at_shutdown(server: Any) -> None:
    waiting, idle = await server.connect().log_in(), await server.connect().log_in()
    idle.send(b"i IDLE\r\n")
    assert await idle.line() == b"+ idling"
    server.shutdown.set()
    for client in (waiting, idle):
        assert (await client.line()).startswith(b"* BYE The server is shutting down")
        assert await client.at_end()
    assert (await server.connect().line()).startswith(b"* BYE")


async def test_an_idle_client_that_does_not_read_is_waited_for(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await server.append(b"Subject: x\r\n\r\nx\r\n")
    idle, other = await server.connect().log_in(), await server.connect().log_in()
    await idle.ok("SELECT INBOX")
    await other.ok("SELECT INBOX")
    idle.send(b"i IDLE\r\n")
    assert await idle.line() == b"+ idling"
    reads = asyncio.Event()

    async def drain(timeout_seconds: float | None = None) -> None:
        await reads.wait()

    monkeypatch.setattr(idle.server_stream, "drain", drain)
    before = len(idle.server_stream.sent)
    for flag in ("\\Seen", "\\Flagged", "\\Deleted", "\\Answered", "\\Draft"):
        await other.ok(f"STORE 1 +FLAGS ({flag})")
        for _ in range(20):
            await asyncio.sleep(0)
    assert idle.server_stream.sent[before:].count(b"FETCH") == 1
    reads.set()
    idle.send(b"DONE\r\n")
    while not (line := await idle.line()).startswith(b"i OK"):
        last = line
    assert b"\\Seen" in last and b"\\Draft" in last and idle.server_stream.sent[before:].count(b"FETCH") == 2


async def test_sessions_of_a_disabled_account_end(server: Any) -> None:
    alice, bob = await server.connect().log_in(), await server.connect().log_in("bob")
    await server.store.directory.set_state(server.accounts["alice@example.test"].id, "login_disabled")
    assert (await alice.line()).startswith(b"* BYE This account")
    assert await alice.at_end()
    await server.store.directory.set_state(server.accounts["bob@example.test"].id, "sending_held")
    await bob.ok("NOOP")  # reading goes on


async def test_a_new_password_ends_the_sessions_of_the_old_one(server: Any) -> None:
    alice, bob = await server.connect().log_in(), await server.connect().log_in("bob")
    await server.store.directory.set_password(server.accounts["alice@example.test"].id, "new", "")
    assert (await alice.line()).startswith(b"* BYE This account")
    assert await alice.at_end()
    await bob.ok("NOOP")


async def test_the_session_ends_when_its_mailbox_is_deleted(server: Any) -> None:
    one, other = await server.connect().log_in(), await server.connect().log_in()
    await other.ok("CREATE x")
    await one.ok("SELECT x")
    await other.ok("DELETE x")
    one.send(b"a NOOP\r\n")
    assert (await one.line()).startswith(b"* BYE The selected mailbox was deleted")


@pytest.mark.parametrize("make_server", ["memory"], indirect=True)
async def test_a_store_that_is_unavailable_is_said_so(server: Any) -> None:
    await server.append(b"Subject: x\r\n\r\nx\r\n")
    client = await server.connect().log_in()
    await client.ok("SELECT INBOX")
    server.store.refuse("disk full")
    assert (await client.command("STORE 1 +FLAGS (\\Seen)"))[-1].startswith(b"NO [UNAVAILABLE]")
    client.send(b"x APPEND INBOX {3+}\r\nabc\r\n")
    assert (await client.line()).startswith(b"x NO [UNAVAILABLE]")
    server.store.refuse("")
    server.store.fill_up()
    client.send(b"y APPEND INBOX {3+}\r\nabc\r\n")
    assert (await client.line()).startswith(b"y NO [UNAVAILABLE]")


async def test_sessions_share_the_view_of_a_mailbox(server: Any) -> None:
    await server.append(b"Subject: x\r\n\r\nx\r\n")
    for _ in range(3):
        await (await server.connect().log_in()).ok("SELECT INBOX")
    sessions = list(server.handler._sessions)
    assert len({id(session.selected.uids) for session in sessions}) == 1


async def test_pipelined_commands_are_answered_in_order(server: Any) -> None:
    client = await server.connect().log_in()
    client.send(b"1 NOOP\r\n2 SELECT INBOX\r\n3 SEARCH ALL\r\n4 UNSELECT\r\n5 NOOP\r\n")
    for tag in (b"1", b"2", b"3", b"4", b"5"):
        assert (await client.answers(tag))[-1].startswith(b"OK")


async def test_garbage_before_login_ends_soon(server: Any) -> None:
    client = server.connect()
    await client.line()
    client.send(b"GET / HTTP/1.1\r\n" * 20)
    lines = [await client.line() for _ in range(11)]
    assert lines[-1] == b"* BYE Too many errors"
