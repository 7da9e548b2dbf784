"""Scripts of recipients at the door: before the 250, in the accepting transaction, refused honestly or not at
all."""

from typing import Any

import pytest
from tests.services.reception.test_reception import Vouching, deliver
from tests.services.sieve_kit import activate, sieve_service
from tests.services.smtp_world import World, codes

from sekisho.core.message.header import HeaderSection
from sekisho.ports.content import StoreUnavailable

CONTENT = (
    b"From: a@b.example\r\nTo: user@local.example\r\nSubject: x\r\nMessage-ID: <1@b.example>\r\n\r\nbody"
)


@pytest.fixture
async def world() -> World:
    world = await World(inspector=Vouching()).fill()
    world.sieve = sieve_service(world)
    return world


async def test_a_message_is_filed_before_the_reply(world: World) -> None:
    script = 'require ["fileinto", "mailbox", "envelope", "body"];'
    script += (
        'if allof (envelope "from" "a@b.example", header :contains "received" "client.example", body '
        ':contains "body")'
    )
    await activate(world, "user", script + ' { fileinto :create "Lists"; }')
    assert codes(await deliver(world, CONTENT, "user@local.example")) == [250]
    (message,) = await world.mailbox("user", "Lists")
    assert (
        HeaderSection(message).first(b"return-path") == b"<a@b.example>" and await world.mailbox("user") == []
    )


async def test_a_redirect_leaves_with_the_message(world: World) -> None:
    await activate(world, "user", 'require "copy"; redirect :copy "friend@elsewhere.example";')
    assert codes(await deliver(world, CONTENT, "user@local.example")) == [250]
    (queued,) = await world.store.spool.queue()
    assert str(queued.envelope.reverse_path) == "a@b.example" and [job.next_hop for job in world.jobs] == [
        "elsewhere.example"
    ]
    assert len(await world.mailbox("user")) == 1


async def test_a_refusal_is_the_reply(world: World) -> None:
    await activate(world, "user", 'require "ereject"; ereject "Ask me first.";')
    answer = await deliver(world, CONTENT, "user@local.example")
    assert answer[0].startswith("550 5.7.1 Ask me first.")
    (entry,) = [each for each in world.journal.entries if each.kind == "reception.refused"]
    assert (entry.fields["rule"], entry.fields["because"]) == ("recipient-script", "Ask me first.")
    assert codes(await deliver(world, CONTENT, "user@local.example", "other@local.example")) == [250]
    assert [len(await world.mailbox(name)) for name in ("user", "other")] == [1, 1]


async def test_an_answer_goes_out_after_the_message_is_ours(world: World) -> None:
    await activate(world, "user", 'require "vacation"; vacation "Away.";')
    assert codes(await deliver(world, CONTENT, "user@local.example")) == [250]
    (queued,) = await world.store.spool.queue()
    assert str(queued.envelope.reverse_path) == "" and [
        str(row.recipient.address) for row in queued.recipients
    ] == ["a@b.example"]
    world.store.refuse("no disk")
    assert codes(await deliver(world, CONTENT, "user@local.example")) == [452]
    world.store.refuse("")
    assert len(await world.store.spool.queue()) == 1


async def test_everybody_may_discard(world: World) -> None:
    await activate(world, "user", "discard;")
    assert codes(await deliver(world, CONTENT, "user@local.example")) == [250]
    assert await world.mailbox("user") == []


async def test_a_store_that_cannot_be_asked_defers(world: World, monkeypatch: Any) -> None:
    async def broken(account_id: int) -> None:
        raise StoreUnavailable("no disk")

    monkeypatch.setattr(world.store.scripts, "active", broken)
    assert codes(await deliver(world, CONTENT, "user@local.example"))[0] // 100 == 4


async def test_an_own_bug_keeps_the_message(world: World, monkeypatch: Any) -> None:
    await activate(world, "user", "discard;")
    monkeypatch.setattr("sekisho.services.sieve.running.run_script", lambda *_: 1 / 0)
    assert codes(await deliver(world, CONTENT, "user@local.example")) == [250]
    assert len(await world.mailbox("user")) == 1 and [where for where, _ in world.journal.faults] == ["sieve"]
