"""Notices that reception and submission may send: delivered here, or a copy that could not be made."""

import email
from typing import Any

import pytest

from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Notify, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Alias, Domain
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.notices import NoticedMessage, NoticePorts, NoticeRules, Notices, delivered, failed
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal

HEAD = b"Subject: x\r\n\r\nbody\r\n"
FULL = Reply.of(552, "5.2.2", "The mailbox is full")


def recipient(text: str, *notify: Notify) -> Recipient:
    return Recipient(Address.from_text(text), frozenset(notify) if notify else None)


def message(sender: str | None, **envelope: Any) -> NoticedMessage:
    path = ReversePath(Address.from_text(sender) if sender else None)
    return NoticedMessage("m1", Envelope(path, **envelope), 0, HEAD, len(HEAD))


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore(ManualClock(), SeededDice())
    await store.directory.add_domain(Domain("here.example", 0))
    return store


def make(store: MemoryStore) -> Notices:
    probe = RecipientProbe(store.directory, "mail.here.example", {})
    ports = NoticePorts(store.spool, probe, ManualClock(), SeededDice(), MemoryJournal())
    return Notices(NoticeRules("mail.here.example", "en", {"far.example": "smart.example:26"}, 1000), ports)


def test_who_is_told() -> None:
    everybody = [recipient("a@x.example"), recipient("b@x.example", "SUCCESS"), recipient("c@x.example", "NEVER")]
    assert [str(told.recipient.address) for told in delivered(everybody, 5)] == ["b@x.example"]
    assert [str(told.recipient.address) for told in failed(everybody, FULL, 5)] == ["a@x.example"]


async def test_one_notice_for_each_action_by_the_configured_route(store: MemoryStore) -> None:
    told = delivered([recipient("b@here.example", "SUCCESS")], 5) + failed([recipient("a@here.example")], FULL, 5)
    first, second = await make(store).about(message("eve@far.example", ret="FULL"), told)
    for notice in (first, second):
        assert notice.origin == "dsn" and notice.envelope.reverse_path.is_null and notice.deliveries == ()
        (relay,) = notice.relays
        assert relay.next_hop == "smart.example:26" and relay.expires_at_us - relay.due_at_us == 1000
    assert b"Action: delivered\r\n" in first.content.head(10_000) and b"body" not in first.content.head(10_000)
    assert b"Status: 5.2.2\r\n" in second.content.head(10_000) and b"body" in second.content.head(10_000)
    assert await make(store).about(message("eve@far.example"), ()) == () and await make(store).about(message(None), told) == ()


async def test_the_sender_may_be_an_alias(store: MemoryStore) -> None:
    account = await store.directory.add_account(Address.from_text("alice@here.example"), "", "")
    await store.directory.put_alias(Alias("info@here.example", ("alice@here.example", "x@far.example")))
    (notice,) = await make(store).about(message("info@here.example"), failed([recipient("a@x.example")], FULL, 5))
    assert [delivery.account_id for delivery in notice.deliveries] == [account.id] and len(notice.relays) == 1
    await store.spool.accept(notice)
    info = await store.mail.mailbox(account.id, "INBOX")
    (row,) = await store.mail.rows(info.id, UidSet.of([1]))
    octets = await store.mail.open(info.id, row.uid)
    assert octets is not None
    parsed = email.message_from_bytes(await octets.read(0, 100_000))
    assert parsed["Return-Path"] == "<>" and parsed["To"] == "<info@here.example>"
