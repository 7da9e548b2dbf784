"""Reception over the memory store: what is taken, what is refused, and what stands in the mailboxes and the
queue."""

import asyncio
import base64
import json
from typing import Any

import pytest
from tests.services.smtp_world import World, codes, reply, talk
from tests.vectors import find_vectors

from sekisho.config.schema import Limits
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.stream import ConnectionLost, IpAddress
from sekisho.probes.arrival import Arrival
from sekisho.probes.recipient import Resolution
from sekisho.services.reception.inspection import Inspection, NoInspection
from sekisho.services.reception.outwaiting import Outwait
from sekisho.services.smtp.refusal import Refusal
from sekisho.testing.stream import MemoryStream

HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@b.example>\r\n"


class Vouching(NoInspection):
    """SPF speaks for everybody."""

    async def inspect(self, arrival: Arrival, outwait: Outwait | None = None) -> Inspection:
        return Inspection(vouched="spf")


def rcpt(address: str) -> bytes:
    return f"RCPT TO:<{address}>\r\n".encode()


async def deliver(world: World, content: bytes, *recipients: str, mail: bytes = MAIL) -> list[str]:
    """One message, everything up to DATA pipelined; the reply lines to the content."""
    client = world.connect()
    opening = HELLO + mail + b"".join(map(rcpt, recipients)) + b"DATA\r\n"
    await talk(client, b"")
    client.write(opening)
    lines = await reply(client)
    while not lines[-1].startswith("354"):
        lines += await reply(client)
    return await talk(client, content + b"\r\n.\r\n")


async def test_a_mailbox_copy_carries_one_return_path_and_our_received() -> None:
    world = await World().fill()
    answer = await deliver(world, b"Subject: x\r\nReturn-Path: <forged@x>\r\n\r\nbody", "user@local.example")
    (message,) = await world.mailbox("user")
    header = HeaderSection(message)
    assert [field.name for field in header.fields] == [b"return-path", b"received", b"subject"]
    assert header.first(b"return-path") == b"<a@b.example>"
    received = header.first(b"received") or b""
    message_id = answer[0].rpartition(" ")[2].encode()
    assert b"from client.example ([192.0.2.7])" in received and b"with ESMTP id " + message_id in received
    assert b"for <user@local.example>" in received
    assert message.endswith(b"Subject: x\r\n\r\nbody\r\n")
    assert (
        world.journal.kinds() == ["reception.accepted"] and world.journal.entries[0].id == message_id.decode()
    )


async def test_two_recipients_are_not_named_and_one_account_gets_one_copy() -> None:
    world = await World().fill()
    assert codes(
        await deliver(world, b"\r\nx", "user@local.example", "both@local.example", "user+tag@local.example")
    ) == [250]
    (first,), (second,) = await world.mailbox("user"), await world.mailbox("other")
    assert b"for <" not in first and first == second


async def test_the_whole_opening_is_answered_in_one_write() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"")
    client.write(HELLO + MAIL + rcpt("user@local.example") + rcpt("nobody@local.example") + b"DATA\r\n")
    octets = await client.read()
    assert codes(octets.decode().splitlines()) == [250, 250, 250, 550, 354]


async def test_an_alias_that_leads_away_is_queued_with_our_received_only() -> None:
    world = await World().fill()
    assert codes(
        await deliver(world, b"Return-Path: <x@y>\r\nSubject: x\r\n\r\nbody", "mixed@local.example")
    ) == [250]
    assert len(await world.mailbox("user")) == 1
    (queued,) = await world.store.spool.queue()
    assert [str(row.recipient.address) for row in queued.recipients] == ["friend@elsewhere.example"]
    assert queued.next_hops == ("elsewhere.example",) and str(queued.envelope.reverse_path) == "a@b.example"
    octets = await world.store.spool.open_queued(queued.message_id)
    assert octets is not None
    assert [f.name for f in HeaderSection(await octets.read(0, 10_000)).fields] == [b"received", b"subject"]
    assert [job.next_hop for job in world.jobs] == ["elsewhere.example"]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("user@local.example", 250),
        ("USER@local.example", 250),
        ("user+a+b@local.example", 250),
        ("anybody@caught.example", 250),
        ("closed@local.example", 250),
        ("held@local.example", 250),
        ("sales+x@local.example", 250),
        ("looped@local.example", 250),
        ("postmaster@caught.example", 250),
        ("abuse@local.example", 250),
        ("postmaster@[192.0.2.25]", 250),
        ("PostMaster", 250),
        ("postmaster@mx.local.example", 250),
        ("gone@local.example", 550),
        ("nobody@local.example", 550),
        ("dead@local.example", 550),
        ("loop1@local.example", 550),
        ("user@[192.0.2.25]", 550),
        ("postmaster@[192.0.2.99]", 550),
        ("user@mx.local.example", 550),
        ("abuse@[192.0.2.25]", 550),
        ("user@elsewhere.example", 550),
        ("postmaster@elsewhere.example", 550),
    ],
)
async def test_recipients(address: str, code: int) -> None:
    world = await World().fill()
    client = world.connect()
    replies = await talk(client, b"", HELLO, MAIL, rcpt(address))
    assert codes(replies)[-1] == code


async def test_roles_reach_their_owners() -> None:
    world = await World().fill()
    await deliver(world, b"\r\nx", "postmaster", "abuse@local.example")
    assert len(await world.mailbox("user")) == 1 and len(await world.mailbox("other")) == 1


async def test_a_looping_message_is_refused() -> None:
    world = await World(Limits(received_fields=10)).fill()
    answer = await deliver(world, b"Received: x\r\n" * 11 + b"\r\nbody", "user@local.example")
    assert answer[0].startswith("554 5.4.6") and await world.mailbox("user") == []


async def test_header_caps() -> None:
    world = await World(Limits(header_octets=1000, header_fields=100)).fill()
    assert (await deliver(world, b"X: " + b"y" * 1000 + b"\r\n\r\nbody", "user@local.example"))[0].startswith(
        "552 5.3.4"
    )
    assert (await deliver(world, b"X: y\r\n" * 101 + b"\r\nbody", "user@local.example"))[0].startswith(
        "554 5.6.0"
    )
    assert codes(await deliver(world, b"X: y\r\n" * 99 + b"\r\nbody", "user@local.example")) == [250]


async def test_a_long_message_in_small_pieces() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO, MAIL, rcpt("user@local.example"), b"DATA\r\n")
    content = b"Subject: x\r\nReturn-Path: <x@y>\r\nTo: y\r\n\r\n" + b"line\r\n..dot\r\n" * 20_000
    for start in range(0, len(content), 4097):
        client.write(content[start : start + 4097])
        await asyncio.sleep(0)
    assert codes(await talk(client, b".\r\n")) == [250]
    (message,) = await world.mailbox("user")
    assert message.endswith(b"\r\nSubject: x\r\nTo: y\r\n\r\n" + b"line\r\n.dot\r\n" * 20_000)


async def test_a_full_mailbox_and_a_full_disk_are_temporary() -> None:
    world = await World().fill()
    await world.store.directory.set_quota(world.accounts["user"].id, 500)
    assert codes(await deliver(world, b"\r\n" + b"x" * 1000, "user@local.example")) == [
        452
    ]  # too large for what is left
    await deliver(world, b"\r\nx" + b"y" * 150, "user@local.example")
    await world.store.directory.set_quota(world.accounts["user"].id, 100)
    client = world.connect()
    replies = await talk(client, b"", HELLO, MAIL, rcpt("user@local.example"), rcpt("other@local.example"))
    assert replies[-2].startswith("452 4.2.2") and replies[-1].startswith("250")
    world.store.fill_up()
    assert (await talk(world.connect(), b"", HELLO, MAIL))[-1].startswith("452 4.3.1")


async def test_who_sent_hears_of_the_copy_that_had_no_room_and_of_wanted_success() -> None:
    world = await World(inspector=Vouching()).fill()
    await world.store.directory.set_quota(world.accounts["user"].id, 500)
    client = world.connect()
    wanted = b"RCPT TO:<other@local.example> NOTIFY=SUCCESS\r\n"
    silent = b"RCPT TO:<closed@local.example>\r\n"
    await talk(client, b"", HELLO, MAIL, rcpt("user@local.example"), wanted, silent, b"DATA\r\n")
    assert codes(await talk(client, b"Subject: big\r\n\r\n" + b"x" * 1000 + b"\r\n.\r\n")) == [250]
    assert await world.mailbox("user") == [] and len(await world.mailbox("other")) == 1
    notices = await world.store.spool.queue()
    assert [str(n.envelope.reverse_path) for n in notices] == ["", ""] and {n.origin for n in notices} == {
        "dsn"
    }
    texts = []
    for notice in notices:
        octets = await world.store.spool.open_queued(notice.message_id)
        assert octets is not None and str(notice.recipients[0].recipient.address) == "a@b.example"
        texts.append(await octets.read(0, 100_000))
    failure, success = sorted(texts, key=lambda text: b"Action: delivered" in text)
    assert b"Action: failed" in failure and b"Status: 5.2.2" in failure and b"user@local.example" in failure
    assert b"Action: delivered" in success and b"other@local.example" in success and b"closed@" not in success


SUCCESS = b"RCPT TO:<other@local.example> NOTIFY=SUCCESS,FAILURE,DELAY\r\n"


async def test_whoever_is_named_in_a_forged_sender_hears_nothing() -> None:
    world = await World().fill()
    await talk(
        client := world.connect(),
        b"",
        HELLO,
        b"MAIL FROM:<victim@far.example> RET=FULL\r\n",
        SUCCESS,
        b"DATA\r\n",
    )
    assert codes(await talk(client, b"Subject: buy\r\n\r\nx\r\n.\r\n")) == [250]
    assert await world.store.spool.queue() == [] and len(await world.mailbox("other")) == 1
    entry = next(entry for entry in world.journal.entries if entry.kind == "notice.withheld")
    assert entry.fields == {
        "action": "delivered",
        "reverse_path": "victim@far.example",
        "recipient": "other@local.example",
        "because": "neither SPF nor DKIM authenticates far.example",
    }


@pytest.mark.parametrize("sender", [b"MAIL FROM:<a@b.example>\r\n", b"MAIL FROM:<>\r\n"])
async def test_a_copy_that_nobody_may_be_told_of_puts_the_message_off(sender: bytes) -> None:
    world = await World().fill()
    await world.store.directory.set_quota(world.accounts["user"].id, 500)
    big = b"Subject: big\r\n\r\n" + b"x" * 1000
    answer = await deliver(
        world, big, "user@local.example", "other@local.example", "away@local.example", mail=sender
    )
    assert (
        answer[0].startswith("452 4.2.2")
        and await world.mailbox("other") == []
        and await world.store.spool.queue() == []
    )
    assert (
        world.journal.kinds()[-1] == "reception.refused"
        and world.journal.entries[-1].fields["rule"] == "mailbox-full"
    )
    # An alias of which somebody gets it is a recipient that got it.
    assert codes(await deliver(world, big, "both@local.example", mail=sender)) == [250]
    assert len(await world.mailbox("other")) == 1 and await world.mailbox("user") == []
    assert (
        world.journal.kinds()[-1] == "reception.accepted"
        and world.journal.entries[-1].fields["over_quota"] == 1
    )


async def test_the_size_that_is_declared_counts_before_the_message_comes() -> None:
    world = await World().fill()
    await world.store.directory.set_quota(world.accounts["user"].id, 500)
    for size, code in ((400, 250), (501, 452)):
        mail = b"MAIL FROM:<a@b.example> SIZE=%d\r\n" % size
        assert codes(
            (
                await talk(
                    world.connect(), b"", HELLO, mail, rcpt("user@local.example"), rcpt("other@local.example")
                )
            )[-2:]
        ) == [
            code,
            250,
        ]


async def test_a_notice_that_cannot_be_kept_does_not_undo_the_acceptance() -> None:
    world = await World(inspector=Vouching()).fill()
    real = world.store.spool.accept

    async def fill_up(acceptance: Any) -> Any:
        accepted = await real(acceptance)
        world.store.refuse("disk full")
        return accepted

    world.store.spool.accept = fill_up  # type: ignore[assignment]  # the disk fills up behind the acceptance
    client = world.connect()
    await talk(client, b"", HELLO, MAIL, b"RCPT TO:<user@local.example> NOTIFY=SUCCESS\r\n", b"DATA\r\n")
    assert codes(await talk(client, b"\r\nx\r\n.\r\n")) == [250]
    assert "notice.lost" in world.journal.kinds() and world.journal.faults == []


async def test_a_dead_store_and_an_own_bug_are_temporary() -> None:
    world = await World().fill()
    world.store.refuse("disk full")
    assert (await deliver(world, b"\r\nx", "user@local.example"))[0].startswith("452 4.3.1")
    assert world.journal.faults == []
    world.store.refuse("")

    async def broken(*_: object) -> Any:
        raise KeyError("secret internals")

    world.store.spool.accept = broken  # type: ignore[assignment]  # the bug of this test
    answer = await deliver(world, b"\r\nx", "user@local.example")
    assert answer[0].startswith("451 4.3.0 Internal error fault-1; try again later (id ")
    assert len(world.journal.faults) == 1


@pytest.mark.parametrize("error", [StoreUnavailable("the disk is gone"), RuntimeError("a bug")])
async def test_a_recipient_that_could_not_be_looked_up_takes_no_other_along(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World().fill()
    resolve = world.recipients.resolve

    async def sometimes(address: Address, own_address: IpAddress | None = None) -> Resolution:
        if address.local == "other":
            raise error
        return await resolve(address, own_address)

    monkeypatch.setattr(world.recipients, "resolve", sometimes)
    client = world.connect()
    opening = (
        b"",
        HELLO,
        MAIL,
        rcpt("user@local.example"),
        rcpt("other@local.example"),
        b"DATA\r\n",
        b"\r\nx\r\n.\r\n",
    )
    answers = codes(await talk(client, *opening))
    assert answers[:4] == [220, 250, 250, 250] and answers[4] in (451, 452) and answers[5:] == [354, 250]
    assert len(await world.mailbox("user")) == 1


async def test_a_bug_behind_the_acceptance_does_not_undo_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World(inspector=Vouching()).fill()

    def broken(*arguments: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("sekisho.services.notices.compose_dsn", broken)
    client = world.connect()
    wanted = b"RCPT TO:<user@local.example> NOTIFY=SUCCESS\r\n"
    answers = await talk(client, b"", HELLO, MAIL, wanted, b"DATA\r\n", b"\r\nx\r\n.\r\n")
    assert codes(answers)[-1] == 250 and len(await world.mailbox("user")) == 1
    assert "notice.lost" in world.journal.kinds() and len(world.journal.faults) == 1


async def test_a_batch_of_dear_recipients_lets_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await World().fill()
    resolve, turns, seen = world.recipients.resolve, 0, []

    async def dear(address: Address, own_address: IpAddress | None = None) -> Resolution:
        world.clock.advance(0.01)
        seen.append(turns)
        return await resolve(address, own_address)

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    monkeypatch.setattr(world.recipients, "resolve", dear)
    client = world.connect()
    await talk(client, b"", HELLO)
    task = asyncio.create_task(other())
    client.write(MAIL + rcpt("user@local.example") * 20)
    lines: list[str] = []
    while len(lines) < 21:
        lines += await reply(client)
    task.cancel()
    assert codes(lines) == [250] * 21 and len(set(seen)) == 20


async def test_the_session_goes_on_after_an_own_bug() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO)
    real = world.recipients.resolve

    async def broken(*_: object) -> Any:
        raise KeyError("x")

    world.recipients.resolve = broken  # type: ignore[assignment]  # the bug of this test
    assert codes(await talk(client, MAIL, rcpt("user@local.example"))) == [250, 451]
    world.recipients.resolve = real  # type: ignore[assignment]  # and its end
    assert codes(await talk(client, rcpt("user@local.example"))) == [250]


def ended(world: World) -> dict[str, float]:
    """How many connections each deadline ended."""
    names, values = ("silence", "command", "session", "progress"), world.metrics.values
    return {
        name: values.get(("sekisho_deadlines_total", (("deadline", name), ("service", "reception"))), 0)
        for name in names
    }


async def test_one_octet_a_minute_wins_no_time_for_a_command() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO)
    for octet in (b"N", b"O", b"O", b"P"):
        await until_read(client)
        assert not client.has_input
        world.clock.advance(70)
        client.write(octet)
    await until_read(client)
    assert client.other.last_timeout_seconds == 20.0
    client.write(b"\r\n")
    assert codes(await reply(client)) == [250]
    await until_read(client)
    assert client.other.last_timeout_seconds == 300.0  # from the reply on
    client.write(b"NOO")
    await until_read(client)
    world.clock.advance(301)
    client.write(b"P")
    assert (await reply(client))[0].startswith("421 4.4.2") and await reply(client) == []
    await world.tasks[-1]
    assert ended(world)["command"] == 1 and world.journal.entries[-1].fields["reason"] == "timeout: command"


async def test_content_must_make_progress() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO, MAIL, rcpt("user@local.example"), b"DATA\r\n")
    client.write(b"Subject: x\r\n\r\n")
    for _ in range(4):  # 100 octets in 40 seconds: each second would need as many
        await until_read(client)
        world.clock.advance(40)
        client.write(b"x" * 98 + b"\r\n")
    await until_read(client)
    assert client.other.last_timeout_seconds == pytest.approx(180 + 4.14 - 160)
    world.clock.advance(30)
    client.write(b"x")
    assert (await reply(client))[0].startswith("421 4.4.2")
    await world.tasks[-1]
    assert ended(world)["progress"] == 1 and await world.mailbox("user") == []


async def test_a_slow_but_steady_message_arrives() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(
        client,
        b"",
        HELLO,
        MAIL,
        rcpt("user@local.example"),
        b"DATA\r\n",
    )
    client.write(b"Subject: x\r\n\r\n")
    for _ in range(30):  # 4 KB every 30 seconds, for a quarter of an hour
        await until_read(client)
        world.clock.advance(30)
        client.write((b"x" * 98 + b"\r\n") * 41)
    client.write(b".\r\n")
    assert codes(await reply(client)) == [250] and sum(ended(world).values()) == 0


async def until_read(client: MemoryStream) -> None:
    """The server has taken what was sent, and waits."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_silence_and_the_session_cap_end_with_421() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO)
    client.other.expire()
    assert (await reply(client))[0].startswith("421 4.4.2") and await client.read() == b""
    client = world.connect()
    await talk(client, b"", HELLO, MAIL)
    assert client.other.last_timeout_seconds == 300.0
    world.clock.advance(3500)
    await talk(client, b"NOOP\r\n")
    assert client.other.last_timeout_seconds == 100.0
    world.clock.advance(200)
    client.write(b"NOOP\r\n")
    assert codes(await reply(client)) == [250] and codes(await reply(client)) == [421]
    assert await client.read() == b""
    assert world.journal.entries[-1].fields["reason"] == "timeout: session"
    assert ended(world) == {"silence": 0, "command": 1, "session": 1} | {"progress": 0}


async def test_a_silence_inside_the_content_has_its_own_deadline() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO, MAIL, rcpt("user@local.example"), b"DATA\r\n")
    client.write(b"half a mess")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert client.other.last_timeout_seconds == 180.0
    client.other.expire()
    assert (await reply(client))[0].startswith("421") and await world.mailbox("user") == []
    await world.tasks[-1]
    assert ended(world)["silence"] == 1


async def test_shutdown_waits_for_the_transaction_in_hand() -> None:
    world = await World().fill()
    idle, busy = world.connect(), world.connect()
    await talk(idle, b"", HELLO)
    await talk(busy, b"", HELLO, MAIL, rcpt("user@local.example"), b"DATA\r\n")
    world.shutdown.set()
    assert (await reply(idle))[0].startswith("421 4.3.2")
    assert await idle.read() == b""
    busy.write(b"\r\nx\r\n.\r\n")
    assert codes(await reply(busy)) == [250] and codes(await reply(busy)) == [421]
    assert len(await world.mailbox("user")) == 1
    late = world.connect()
    assert codes(await reply(late)) == [421]
    await asyncio.gather(*world.tasks)


async def test_a_cancelled_connection_stays_cancelled() -> None:
    world = await World().fill()
    await talk(world.connect(), b"", HELLO)
    world.tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await world.tasks[0]


async def test_a_lost_connection_leaves_nothing() -> None:
    world = await World().fill()
    for ending in ("close", "abort"):
        client = world.connect()
        await talk(client, b"", HELLO, MAIL, rcpt("user@local.example"))
        client.write(b"BDAT 100 LAST\r\nSubject: x\r\n\r\nhalf")
        if ending == "close":
            await client.close()
            await world.tasks[-1]
        else:
            client.abort()
            with pytest.raises(ConnectionLost):
                await world.tasks[-1]
    assert await world.mailbox("user") == [] and world.journal.faults == []


async def test_errors_and_refused_recipients_end_the_session() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO, MAIL)
    client.write(rcpt("nobody@local.example") * 200)
    octets = b""
    while piece := await client.read():
        octets += piece
    assert codes(octets.decode().splitlines()) == [550] * 100 + [421]


async def test_a_hundred_recipients_are_taken() -> None:
    world = await World(Limits(recipients=100)).fill()
    client = world.connect()
    await talk(client, b"", HELLO, MAIL)
    client.write(b"".join(rcpt(f"user+{n}@local.example") for n in range(101)))
    lines = await reply(client)
    assert codes(lines) == [250] * 100 + [452]


async def test_transactions_are_capped() -> None:
    world = await World(Limits(transactions_per_session=2)).fill()
    client = world.connect()
    replies = await talk(client, b"", HELLO, MAIL, b"RSET\r\n", MAIL, b"RSET\r\n", MAIL)
    assert replies[-1].startswith("421 4.7.0")


class Suspicious(NoInspection):
    """Refuses what says so; else adds a field, and cuts one."""

    def cuts(self, header: HeaderSection) -> list[Any]:
        return header.all(b"authentication-results")

    async def inspect(self, arrival: Arrival, outwait: Outwait | None = None) -> Inspection:
        assert arrival.hello == "client.example" and str(arrival.client.address) == "192.0.2.7"
        if arrival.header.first(b"subject") == b"spam":
            return Inspection(
                refusal=Refusal(reply=Reply.of(550, "5.7.1", "Refused by policy"), because="it says so")
            )
        return Inspection(fields=b"Authentication-Results: mx.local.example; none\r\n")


async def test_the_inspector_stands_before_acceptance() -> None:
    world = await World(inspector=Suspicious()).fill()
    assert (await deliver(world, b"Subject: spam\r\n\r\nx", "user@local.example"))[0].startswith(
        "550 5.7.1 Refused"
    )
    assert world.journal.entries[-1].fields["because"] == "it says so"
    await deliver(world, b"Authentication-Results: forged\r\nSubject: ham\r\n\r\nx", "user@local.example")
    (message,) = await world.mailbox("user")
    names = [field.name for field in HeaderSection(message).fields]
    assert (
        names == [b"return-path", b"authentication-results", b"received", b"subject"]
        and b"forged" not in message
    )


VECTORS = find_vectors("smtp")
FORMS = json.loads((VECTORS / "address-forms.json").read_text("utf-8"))["cases"] if VECTORS.exists() else []


@pytest.mark.skipif(not FORMS, reason="the vectors are not here (SEKISHO_VECTORS)")
@pytest.mark.parametrize("case", FORMS, ids=lambda case: case["id"])
async def test_address_forms(case: dict[str, Any]) -> None:
    """Never a relay, in any spelling: nothing may stand in the queue, and no reply may accept what must be
    refused."""
    world = await World().fill()
    client = world.connect()
    path = base64.b64decode(case["raw_rcpt_b64"]) if case["raw_rcpt_b64"] else case["rcpt_to"].encode()
    await talk(client, b"", HELLO)
    (mail_code,) = codes(await talk(client, f"MAIL FROM:{case['mail_from']}\r\n".encode()))
    client.write(b"RCPT TO:" + path + b"\r\n")
    (code,) = codes((await reply(client))[:1])
    accepted = mail_code == 250 and code == 250
    if accepted:
        await talk(client, b"DATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n")
    expect = case["expect"]
    if expect in ("accept", "accept-if-configured"):
        assert accepted
    elif expect == "550-unknown-user":
        assert code == 550
    elif expect != "accept-or-reject":
        assert not accepted and 400 <= max(code, mail_code) < 600
    assert await world.store.spool.queue() == [] and world.journal.faults == []
