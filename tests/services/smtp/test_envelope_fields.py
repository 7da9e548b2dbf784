"""Every field of the envelope goes from MAIL and RCPT to the queue's row; a new one needs no line on the
way, and is missed if it is lost."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.services.smtp_world import World, talk

from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.core.smtp import commands
from sekisho.core.smtp.events import ContentEnds, MailFrom, RcptTo
from sekisho.core.smtp.server import ServerMachine
from sekisho.core.smtp.session import ServerSettings
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.probes.recipient import RecipientProbe

SENDER = ReversePath(Address("user", "local.example"))
# For each field a value that is not its default. A new field needs one here, and nothing else.
WANTED: dict[str, Any] = {
    "reverse_path": SENDER,
    "recipients": (),  # RCPT says them
    "body": "8BITMIME",
    "smtputf8": True,
    "ret": "HDRS",
    "envid": "QQ314159",
    "declared_octets": 4711,
    "vouched": "spf",  # no parameter of MAIL: reception finds it out
    "requiretls": True,
}
OK = Reply.of(250, "2.0.0", "OK")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WiderEnvelope(Envelope):
    """As the next extension will have it."""

    tomorrow: str = ""


def test_the_table_names_every_field() -> None:
    names = {field.name for field in dataclasses.fields(Envelope)}
    assert names == WANTED.keys(), "a field without a value here is not walked"
    for field in dataclasses.fields(Envelope):
        assert WANTED[field.name] != field.default or field.name == "recipients", field.name


def test_the_machine_hands_on_what_it_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """From MAIL over some RCPT to the end of the content: the same envelope, and its recipients."""
    given = WiderEnvelope(**WANTED, tomorrow="x")
    monkeypatch.setattr(commands, "parse_mail", lambda argument, rules: given)
    machine = ServerMachine(ServerSettings(role="reception", hostname="mx.example"))
    machine.receive_data(
        b"EHLO c.example\r\nMAIL FROM:<user@local.example>\r\n"
        b"RCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n"
    )
    seen: list[Envelope] = []
    while not isinstance(event := machine.next_event(), ContentEnds):
        if isinstance(event, MailFrom):
            seen.append(event.envelope)
        if type(event).__name__ == "Need":
            assert b"354" in machine.data_to_send()
            machine.receive_data(b"Subject: x\r\n\r\nx\r\n.\r\n")
        elif type(event).__name__ != "ContentChunk":
            machine.answer(OK if isinstance(event, MailFrom | RcptTo) else None)
    recipients = tuple(Recipient(Address(name, "x.example")) for name in "ab")
    assert seen == [given]
    assert event.envelope == dataclasses.replace(given, recipients=recipients)


async def test_every_field_arrives_in_the_queue_s_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the machine, the transaction, the acceptance and SQLite."""
    given = Envelope(**WANTED)
    monkeypatch.setattr(commands, "parse_mail", lambda argument, rules: given)
    world = World()
    settings = StoreSettings(free_disk_octets=1)
    store: Any = SqliteStore(tmp_path, world.clock, world.dice, LocalChanges(), settings)
    world.store = store
    world.recipients = RecipientProbe(store.directory, "mx.local.example", {})
    await world.fill()
    client = world.connect("submissions")
    login = b"AUTH PLAIN AHVzZXJAbG9jYWwuZXhhbXBsZQBzZWNyZXQ=\r\n"
    await talk(client, b"", b"EHLO c.example\r\n", login)
    replies = await talk(
        client,
        b"MAIL FROM:<user@local.example>\r\n",
        b"RCPT TO:<friend@there.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;f+2Bx@there.example\r\n",
        b"DATA\r\n",
        b"From: user@local.example\r\nSubject: x\r\n\r\nx\r\n.\r\n",
    )
    assert replies[-1].startswith("250"), replies
    (job,) = world.jobs
    queued = await store.spool.queued(job.message_id)
    for envelope in (job.envelope, queued.envelope):
        lost = [name for name, value in WANTED.items() if getattr(envelope, name) != value]
        assert not lost, f"lost on the way to the queue: {lost}"
    sent = Recipient(
        Address("friend", "there.example"), frozenset({"SUCCESS", "DELAY"}), "rfc822;f+x@there.example"
    )
    assert [row.recipient for row in queued.recipients] == [sent]
    await store.close()
