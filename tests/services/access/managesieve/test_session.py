"""ManageSieve over the memory store, as a mail program speaks it."""

import asyncio
import base64
import re
from dataclasses import dataclass

import pytest
from tests.services.smtp_world import World

from sekisho.config.schema import AccessSettings, LoginSettings
from sekisho.config.sieve import SieveSettings
from sekisho.ports.stream import ListenerInfo
from sekisho.services.access.managesieve.service import ManageSieveService, ManageSieveTools
from sekisho.services.sieve.desk import ScriptDesk
from sekisho.testing.stream import MemoryStream, connected_streams

_END = re.compile(rb"^(OK|NO|BYE)(?: [^\r\n{]*)?(?:\{(\d+)\})?\r\n", re.MULTILINE)
LOGIN = b'AUTHENTICATE "PLAIN" "%b"' % base64.b64encode(b"\0user@local.example\0secret")


@dataclass
class Talk:
    world: World
    client: MemoryStream
    task: "asyncio.Task[None]"
    heard: bytes = b""

    async def say(self, line: bytes) -> bytes:
        """One command; everything up to its OK, NO or BYE."""
        self.client.write(line + b"\r\n")
        return await self.hear()

    async def hear(self) -> bytes:
        while True:
            if (match := _END.search(self.heard)) is not None and len(self.heard) >= match.end() + int(
                match[2] or 0
            ):
                end = match.end() + int(match[2] or 0)
                said, self.heard = (
                    self.heard[:end].removesuffix(b"\r\n"),
                    self.heard[end:].removeprefix(b"\r\n" if match[2] else b""),
                )
                return said
            octets = await asyncio.wait_for(self.client.read(), 20)
            if not octets:
                return self.heard
            self.heard += octets


@pytest.fixture
async def talk() -> Talk:
    world = await World().fill()
    tools = ManageSieveTools(
        authenticator=world.authenticator,
        desk=ScriptDesk(world.store.scripts, SieveSettings(scripts=3, script_octets=2000)),
        clock=world.clock,
        journal=world.journal,
        shutdown=world.shutdown,
        access=AccessSettings(),
        login=LoginSettings(),
        errors_per_session=10,
    )
    client, server = connected_streams("192.0.2.7", port=4190, tls=True)
    task = asyncio.create_task(ManageSieveService(tools)(server, ListenerInfo("sieve", "sieve", True)))
    made = Talk(world, client, task)
    assert b'"SIEVE" "' in await made.hear()
    return made


async def test_scripts_are_brought_chosen_and_taken_away(talk: Talk) -> None:
    assert await talk.say(b"LISTSCRIPTS") == b'NO "Log in first"'
    assert (await talk.say(LOGIN)).startswith(b"OK ")
    assert await talk.say(b'PUTSCRIPT "a" {5+}\r\nkeep;') == b"OK"
    assert await talk.say(b'PUTSCRIPT "b" {8+}\r\ndiscard;') == b"OK"
    assert await talk.say(b'SETACTIVE "a"') == b"OK"
    assert await talk.say(b"LISTSCRIPTS") == b'"a" ACTIVE\r\n"b"\r\nOK'
    assert await talk.say(b'GETSCRIPT "b"') == b"{8}\r\ndiscard;\r\nOK"
    assert (await talk.say(b'DELETESCRIPT "a"')).startswith(b"NO (ACTIVE)")
    assert await talk.say(b'RENAMESCRIPT "a" "c"') == b"OK"
    assert (await talk.say(b'RENAMESCRIPT "c" "b"')).startswith(b"NO (ALREADYEXISTS)")
    assert await talk.say(b'SETACTIVE ""') == b"OK"
    assert await talk.say(b'DELETESCRIPT "c"') == b"OK"
    assert (await talk.say(b'GETSCRIPT "c"')).startswith(b"NO (NONEXISTENT)")
    assert (await talk.say(b'SETACTIVE "c"')).startswith(b"NO (NONEXISTENT)")
    assert await talk.say(b"LOGOUT") == b'OK "Bye"'
    await asyncio.wait_for(talk.task, 20)
    (closed,) = [entry for entry in talk.world.journal.entries if entry.kind == "access.closed"]
    assert (closed.fields["protocol"], closed.fields["changes"], closed.fields["reason"]) == (
        "sieve",
        6,
        "logout",
    )


async def test_what_is_no_script_is_not_kept(talk: Talk) -> None:
    await talk.say(LOGIN)
    answer = await talk.say(b'PUTSCRIPT "a" {16+}\r\nkeep;\nfrob;\nx;\n ')
    assert (
        answer.startswith(b"NO {") and b"line 2: There is no command frob" in answer and b"line 3: " in answer
    )
    assert (await talk.say(b'CHECKSCRIPT "frob;"')).startswith(b"NO ")
    assert await talk.say(b'CHECKSCRIPT "keep;"') == b"OK"
    assert (await talk.say(b'PUTSCRIPT "a/b" "keep;"')).startswith(b"NO ")
    assert (await talk.say(b'PUTSCRIPT "a" {2001+}\r\n' + b" " * 2001)) == b'NO "The script is too large"'
    assert await talk.say(b"LISTSCRIPTS") == b"OK"


async def test_space_is_told_beforehand(talk: Talk) -> None:
    await talk.say(LOGIN)
    assert await talk.say(b'HAVESPACE "a" 2000') == b"OK"
    assert (await talk.say(b'HAVESPACE "a" 2001')).startswith(b"NO (QUOTA/MAXSIZE)")
    for name in (b"a", b"b", b"c"):
        assert await talk.say(b'PUTSCRIPT "%b" "keep;"' % name) == b"OK"
    assert (await talk.say(b'HAVESPACE "d" 5')).startswith(b"NO (QUOTA/MAXSCRIPTS)")
    assert (await talk.say(b'PUTSCRIPT "d" "keep;"')).startswith(b"NO (QUOTA/MAXSCRIPTS)")


async def test_a_wrong_password_opens_nothing(talk: Talk) -> None:
    wrong = b'AUTHENTICATE "PLAIN" "%b"' % base64.b64encode(b"\0user@local.example\0wrong")
    assert await talk.say(wrong) == b'NO "The user name or the password is wrong"'
    assert await talk.say(b"LISTSCRIPTS") == b'NO "Log in first"'


async def test_an_account_that_is_closed_ends_the_session(talk: Talk) -> None:
    """THREATS 15"""
    await talk.say(LOGIN)
    await talk.world.store.directory.set_state(talk.world.accounts["user"].id, "login_disabled")
    assert (await talk.say(b"LISTSCRIPTS")).startswith(b"BYE ")
    await asyncio.wait_for(talk.task, 20)


async def test_a_server_that_ends_says_so(talk: Talk) -> None:
    await talk.say(LOGIN)
    talk.world.shutdown.set()
    assert (await talk.hear()).startswith(b"BYE (TRYLATER)")
    await asyncio.wait_for(talk.task, 20)
