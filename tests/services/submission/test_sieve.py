"""Scripts sort what neighbours write, too."""

import pytest
from tests.services.sieve_kit import activate, sieve_service
from tests.services.smtp_world import World
from tests.services.submission.test_submission import submit

CONTENT = b"From: user@local.example\r\nTo: other@local.example\r\nSubject: x\r\n\r\nbody"


@pytest.fixture
async def world() -> World:
    world = await World().fill()
    world.sieve = sieve_service(world)
    return world


async def test_a_neighbours_message_is_filed_and_answered(world: World) -> None:
    script = 'require ["fileinto", "mailbox", "vacation"]; fileinto :create "Neighbours"; vacation "Away.";'
    await activate(world, "other", script)
    assert (await submit(world, CONTENT, "other@local.example")).startswith("250")
    assert len(await world.mailbox("other", "Neighbours")) == 1 and await world.mailbox("other") == []
    (answer,) = await world.mailbox("user")
    assert b"Auto-Submitted: auto-replied" in answer


async def test_a_neighbours_refusal_is_the_reply(world: World) -> None:
    await activate(world, "other", 'require "ereject"; ereject "Not now.";')
    assert (await submit(world, CONTENT, "other@local.example")).startswith("550 5.7.1 Not now.")
    assert (await submit(world, CONTENT, "other@local.example", "friend@elsewhere.example")).startswith("250")
    assert len(await world.mailbox("other")) == 1


async def test_what_is_held_is_shown_to_no_script(world: World) -> None:
    await activate(world, "other", "discard;")
    mail = b"MAIL FROM:<held@local.example>\r\n"
    content = CONTENT.replace(b"user@", b"held@")
    assert (
        await submit(world, content, "other@local.example", mail=mail, name="held@local.example")
    ).startswith("250")
    (queued,) = await world.store.spool.queue()
    assert [row.state for row in queued.recipients] == ["held"]
