"""Each reply that refuses or defers carries an id, and what is written down is found by it."""

import re
from typing import Any

import pytest
from tests.services.smtp_world import World, reply, talk

from sekisho.admin.why.sentences import RULES
from sekisho.config.ledger import LedgerSettings
from sekisho.config.schema import Limits
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry
from sekisho.probes.arrival import Arrival
from sekisho.services.reception.inspection import Inspection, NoInspection
from sekisho.services.reception.outwaiting import Outwait
from sekisho.services.smtp.connection import Connection, SessionTools
from sekisho.services.smtp.refusal import Refusal, Refusals
from sekisho.testing.clock import SeededDice
from sekisho.testing.stream import connected_streams

HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@b.example>\r\n"
RCPT = b"RCPT TO:<user@local.example>\r\n"
MESSAGE = (
    b"Message-ID: <x@b.example>\r\nSubject: =?utf-8?B?5Lya6K2w?=\r\nFrom: user@local.example\r\n\r\n"
    b"x\r\n.\r\n"
)


class Refusing(NoInspection):
    async def inspect(self, arrival: Arrival, outwait: Outwait | None = None) -> Inspection:
        return Inspection(refusal=Refusal.of(550, "5.7.1", "Not today"))


async def said(world: World, *commands: bytes, kind: str = "smtp") -> str:
    """The last reply to these commands."""
    client = world.connect(kind)
    lines = await talk(client, b"")
    for command in commands:
        lines = await talk(client, command)
    return lines[-1]


def entry_of(world: World, line: str) -> Entry:
    match = re.search(r"\(id ([a-z0-9-]+)\)\Z", line)
    assert match, line
    (entry,) = [
        entry
        for entry in world.journal.entries
        if entry.id == match[1] and not entry.kind.endswith(".connection")
    ]
    assert entry.fields.get("rule", "") in {"", "content", *RULES}
    assert entry.fields["reply"] == line.removesuffix(f" (id {entry.id})")
    return entry


@pytest.mark.parametrize(
    ("commands", "kind", "rule"),
    [
        (
            (HELLO, MAIL, b"RCPT TO:<nobody@local.example>\r\n"),
            "reception.recipient_refused",
            "no-such-recipient",
        ),
        ((HELLO, MAIL, b"RCPT TO:<x@elsewhere.example>\r\n"), "reception.recipient_refused", "relay-denied"),
        ((HELLO, b"MAIL FROM:<a@b.example> SIZE=999999\r\n"), "reception.command_refused", None),
        ((HELLO, MAIL, RCPT, b"DATA\r\n", b"x\r\n" * 30_000 + b".\r\n"), "reception.refused", "content"),
        (
            (HELLO, MAIL, RCPT, b"DATA\r\n", b"Received: x\r\n" * 200 + b"\r\n.\r\n"),
            "reception.refused",
            "content",
        ),
        ((HELLO, MAIL, RCPT, b"DATA\r\n", MESSAGE), "reception.refused", None),
    ],
)
async def test_refusals_of_reception(commands: tuple[bytes, ...], kind: str, rule: str | None) -> None:
    world = await World(limits=Limits(message_octets=50_000), inspector=Refusing()).fill()
    entry = entry_of(world, await said(world, *commands))
    assert (entry.kind, entry.fields.get("rule") or None) == (kind, rule)
    assert entry.fields["client"] == "192.0.2.7" in entry.about
    assert entry.fields["session"] in entry.about


async def test_a_refused_message_is_found_by_all_it_names() -> None:
    world = await World(inspector=Refusing()).fill()
    entry = entry_of(world, await said(world, HELLO, MAIL, RCPT, b"DATA\r\n", MESSAGE))
    assert {"x@b.example", "a@b.example", "user@local.example"} < set(entry.about)
    assert "subject" not in entry.fields


async def test_subjects_only_where_they_are_wanted() -> None:
    world = await World(ledger=LedgerSettings(subjects=True)).fill()
    await said(world, HELLO, MAIL, RCPT, b"DATA\r\n", MESSAGE)
    await said(
        world,
        HELLO,
        b"AUTH PLAIN AHVzZXJAbG9jYWwuZXhhbXBsZQBzZWNyZXQ=\r\n",
        MAIL.replace(b"a@b", b"user@local"),
        RCPT,
        b"DATA\r\n",
        MESSAGE,
        kind="submissions",
    )
    accepted = [entry for entry in world.journal.entries if entry.kind.endswith(".accepted")]
    assert [entry.fields["subject"] for entry in accepted] == ["会議", "会議"]


LOGIN = b"AUTH PLAIN AHVzZXJAbG9jYWwuZXhhbXBsZQBzZWNyZXQ=\r\n"
MINE = b"MAIL FROM:<user@local.example>\r\n"


@pytest.mark.parametrize(
    ("commands", "kind", "rule"),
    [
        ((HELLO, b"AUTH PLAIN AHVzZXJAbG9jYWwuZXhhbXBsZQB3cm9uZw==\r\n"), "submission.command_refused", None),
        ((HELLO, LOGIN, b"MAIL FROM:<other@local.example>\r\n"), "submission.refused", "not-your-address"),
        (
            (HELLO, LOGIN, MINE, b"RCPT TO:<nobody@local.example>\r\n"),
            "submission.recipient_refused",
            "no-such-recipient",
        ),
        (
            (HELLO, LOGIN, MINE, b"RCPT TO:<x@[192.0.2.1]>\r\n"),
            "submission.recipient_refused",
            "address-literal",
        ),
        ((HELLO, LOGIN, MINE, b"RCPT TO:<x@host>\r\n"), "submission.recipient_refused", "not-qualified"),
        (
            (HELLO, LOGIN, MINE, RCPT, b"DATA\r\n", b"Subject: x\r\n\r\nx\r\n.\r\n"),
            "submission.refused",
            "content",
        ),
        (
            (HELLO, LOGIN, MINE, RCPT, b"DATA\r\n", b"From: other@local.example\r\n\r\nx\r\n.\r\n"),
            "submission.refused",
            "not-your-address",
        ),
    ],
)
async def test_refusals_of_submission(commands: tuple[bytes, ...], kind: str, rule: str | None) -> None:
    world = await World().fill()
    entry = entry_of(world, await said(world, *commands, kind="submissions"))
    assert (entry.kind, entry.fields.get("rule") or None) == (kind, rule)
    assert entry.fields["session"] in entry.about


async def test_each_failed_login_has_an_entry_of_its_own() -> None:
    world = await World().fill()
    client = world.connect("submissions")
    await talk(client, b"", HELLO)
    wrong = b"AUTH PLAIN AHVzZXJAbG9jYWwuZXhhbXBsZQB3cm9uZw==\r\n"
    entries = [entry_of(world, (await talk(client, wrong))[0]) for _ in range(2)]
    session = entries[0].fields["session"]
    assert [entry.id for entry in entries] == [f"{session}-1", f"{session}-2"]


async def test_what_nobody_wrote_down_is_written_down() -> None:
    """A full disk, an own bug: the session itself keeps the record."""
    world = await World().fill()

    async def broken(*_: object) -> Any:
        raise StoreUnavailable("disk full")

    world.recipients.resolve = broken  # type: ignore[assignment]
    entry = entry_of(world, await said(world, HELLO, MAIL, RCPT))
    assert (entry.kind, entry.fields["command"], entry.fields["argument"]) == (
        "reception.command_refused",
        "RCPT",
        "user@local.example",
    )
    assert "user@local.example" in entry.about

    async def no_room() -> bool:
        return False

    world.store.spool.has_room = no_room  # type: ignore[assignment]
    entry = entry_of(world, await said(world, HELLO, MAIL))
    assert (entry.fields["command"], entry.fields["argument"]) == ("MAIL", "a@b.example")


async def test_the_connection_is_found_by_the_same_id() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"", HELLO, MAIL)
    first = (await talk(client, b"RCPT TO:<nobody@local.example>\r\n"))[0]
    second = (await talk(client, b"RCPT TO:<nobody2@local.example>\r\n"))[0]
    await talk(client, RCPT, b"DATA\r\n", MESSAGE, b"QUIT\r\n")
    await client.read()
    one, two = entry_of(world, first), entry_of(world, second)
    session = one.fields["session"]
    assert (one.id, two.id) == (f"{session}-1", f"{session}-2")
    (connection,) = [entry for entry in world.journal.entries if entry.kind == "reception.connection"]
    assert connection.id == session and connection.about == ("192.0.2.7", "192.0.2.0/24")
    (accepted,) = [entry for entry in world.journal.entries if entry.kind == "reception.accepted"]
    assert session in accepted.about


async def test_a_refusal_after_one_of_the_machine_has_an_id_of_its_own() -> None:
    world = await World(limits=Limits(message_octets=50_000)).fill()
    large = await said(
        world,
        HELLO,
        MAIL,
        RCPT,
        b"DATA\r\n",
        b"x\r\n" * 30_000 + b".\r\n",
        MAIL,
        b"RCPT TO:<nobody@local.example>\r\n",
    )
    assert entry_of(world, large).kind == "reception.recipient_refused"


async def test_the_last_words_name_the_session() -> None:
    world = await World().fill()
    client = world.connect()
    await talk(client, b"")
    world.shutdown.set()
    (line,) = await reply(client)
    match = re.fullmatch(r"421 4\.3\.2 .* \(id ([a-z2-7]{8})\)", line)
    assert match
    await client.read()
    assert (
        world.journal.entries[-1].id == match[1] and world.journal.entries[-1].kind == "reception.connection"
    )


async def test_a_page_is_named_where_there_is_one() -> None:
    world = await World(ledger=LedgerSettings(why_url="https://mail.example/why/{id}")).fill()
    client = world.connect()
    await talk(client, b"", HELLO, MAIL)
    first, second = await talk(client, b"RCPT TO:<nobody@local.example>\r\n")
    id_ = world.journal.entries[-1].id
    assert first == f"550-5.1.1 No such recipient here (id {id_})"
    assert second == f"550 5.1.1 See https://mail.example/why/{id_}"


def test_each_refusal_is_told_under_the_id_of_its_entry() -> None:
    world = World()
    _client, server = connected_streams("192.0.2.7")
    connection = Connection("reception", server, SeededDice())
    tools = SessionTools(
        clock=world.clock,
        dice=world.dice,
        journal=world.journal,
        metrics=world.metrics,
        shutdown=world.shutdown,
    )
    refusals = Refusals(connection, tools)
    mine = Refusal.of(550, "5.7.1", "No", "relay-denied")
    own = Refusal(reply=mine.reply, id="20200101-x")
    said = [
        refusals.command("MAIL", "a@b.example", mine),
        refusals.message(Envelope(reverse_path=ReversePath()), own, None),
    ]
    said.append(refusals.greeting(mine))
    assert re.fullmatch(r"[a-z2-7]{8}", connection.session)
    ids = [f"{connection.session}-1", "20200101-x", f"{connection.session}-2"]
    assert [entry.id for entry in world.journal.entries] == ids
    assert [str(reply) for reply in said] == [f"550 5.7.1 No (id {id_})" for id_ in ids]


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), KeyError("secret")])
async def test_the_store_and_bugs_at_the_end_of_data(error: Exception) -> None:
    world = await World().fill()

    async def broken(*_: object) -> Any:
        raise error

    world.store.spool.accept = broken  # type: ignore[assignment]
    line = await said(world, HELLO, MAIL, RCPT, b"DATA\r\n", MESSAGE)
    assert "secret" not in line
    assert entry_of(world, line).fields["command"] == "DATA"
