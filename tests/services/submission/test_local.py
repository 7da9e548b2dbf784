"""Submission over the Unix socket: the system user decides who one is."""

import asyncio

import pytest
from tests.services.smtp_world import World, codes, talk

from sekisho.core.message.header import HeaderSection
from sekisho.ports.stream import ListenerInfo
from sekisho.services.submission.local import LocalSubmission
from sekisho.testing.stream import MemoryStream, connected_streams

USERS = {
    "root": "user@local.example",
    "1000": "other@local.example",
    "dead": "gone@local.example",
    "typo": "nonsense",
}
NAMES = {0: "root", 1001: "nobody", 1002: "dead", 1003: "typo"}


def connect(world: World, uid: int | None, users: dict[str, str] = USERS) -> MemoryStream:
    client, server = connected_streams()
    server.peer_uid = uid
    local = LocalSubmission(world.submission(), world.store.directory, users, NAMES.get)

    async def serve() -> None:
        try:
            await local(server, ListenerInfo("local", "local", False))
        finally:
            await server.close()

    world.tasks.append(asyncio.create_task(serve()))
    return client


async def test_root_sends_as_its_account() -> None:
    world = await World().fill()
    client = connect(world, 0)
    replies = await talk(
        client, b"", b"EHLO localhost\r\n", b"AUTH PLAIN AAAA\r\n", b"MAIL FROM:<user@local.example>\r\n"
    )
    assert codes(replies) == [220, 250, 503, 250] and not any(
        "AUTH" in line or "STARTTLS" in line for line in replies[:10]
    )
    await talk(client, b"RCPT TO:<other@local.example>\r\n", b"DATA\r\n")
    assert codes(await talk(client, b"From: user@local.example\r\nSubject: cron\r\n\r\nx\r\n.\r\n")) == [250]
    (message,) = await world.mailbox("other")
    assert (HeaderSection(message).first(b"received") or b"").startswith(
        b"by mx.local.example with local id "
    )


async def test_a_uid_is_as_good_as_a_name_and_senders_are_still_enforced() -> None:
    world = await World().fill()
    client = connect(world, 1000)
    replies = await talk(
        client,
        b"",
        b"EHLO x\r\n",
        b"MAIL FROM:<user@local.example>\r\n",
        b"MAIL FROM:<other@local.example>\r\n",
    )
    assert codes(replies) == [220, 250, 550, 250]


@pytest.mark.parametrize("uid", [None, 1001, 1002, 1003, 4242])
async def test_others_are_refused_in_the_greeting(uid: int | None) -> None:
    world = await World().fill()
    client = connect(world, uid)
    assert codes(await talk(client, b"")) == [554] and await client.read() == b""
    assert world.journal.kinds() == ["submission.local_refused"]


async def test_everybody_else_may_have_an_account() -> None:
    world = await World().fill()
    assert codes(await talk(connect(world, 4242, {"*": "user@local.example"}), b"")) == [220]
