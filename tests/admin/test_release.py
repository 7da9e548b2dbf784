"""What the door kept away was wanted: copies leave Junk, senders are trusted."""

from dataclasses import dataclass
from typing import Any

import pytest
from tests.admin.test_operations import PASSWORD, ask, refusal
from tests.services.door_kit import door_kit
from tests.stores.opened import OpenStore

from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.admin.context import Context
from sekisho.config.schema import RoleOwners
from sekisho.core.message.trace import TraceHop, format_received, new_message_id
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.records import by_position
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Account
from sekisho.ports.journal import Entry
from sekisho.ports.learning import JUNK_KEYWORD, NOT_JUNK_KEYWORD
from sekisho.ports.mailstore import SpecialUse
from sekisho.ports.spool import Acceptance, MailboxDelivery
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal

SHOP = "news@shop.example"


class Watch:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.moves: list[tuple[int, SpecialUse | None, str, int]] = []

    def moved(self, account_id: int, source: SpecialUse | None, target: str, uids: UidSet) -> None:
        self.moves.append((account_id, source, target, len(uids)))

    def marked(self, account_id: int, mailbox_id: int, uids: UidSet, *, is_junk: bool) -> None:
        raise AssertionError


@dataclass
class Scene:
    context: Context
    store: OpenStore
    ledger: MemoryLedger
    watch: Watch
    accounts: list[Account]

    @classmethod
    async def make(cls) -> "Scene":
        clock, watch = ManualClock(), Watch()
        store, ledger, roles = (
            OpenStore(clock, SeededDice()),
            MemoryLedger(clock),
            RoleOwners(postmaster="a@b.example", abuse="a@b.example"),
        )
        stores = (store.directory, store.spool, store.keys)
        context = by_position(
            Context, *stores, MemoryJournal(), clock, roles, "uid:0", ledger, door_kit=door_kit(store, watch)
        )
        await ask(context, "domain.add", name="example.org")
        accounts = [
            await ask(context, "account.add", address=f"{name}@example.org", password=PASSWORD)
            for name in ("taro", "hanako")
        ]
        return cls(context, store, ledger, watch, accounts)

    def note(self, kind: str, id_: str, **fields: Any) -> None:
        self.ledger.keep(self.context.clock.now_us(), Entry(kind, id_, fields))

    async def deliver(self, mailbox: str, number: int = 0) -> str:
        """A message to both accounts, accepted as the door does."""
        now_us = self.context.clock.now_us()
        id_ = new_message_id(now_us, bytes([number] * 8))
        content, recipients = (
            self.store.spool.open_content(),
            tuple(Recipient(Address.from_text(one.address)) for one in self.accounts),
        )
        content.write(b"From: news@shop.example\r\n\r\nx")
        prefix = b"Return-Path: <news@shop.example>\r\n" + format_received(
            TraceHop(by="mx.example.org", message_id=id_, at_us=now_us)
        )
        deliveries = tuple(
            MailboxDelivery(
                delivery_id=f"{id_}/{one.id}/0",
                account_id=one.id,
                prefix=prefix,
                mailbox=mailbox,
                keywords=(JUNK_KEYWORD,),
            )
            for one in self.accounts
        )
        envelope = Envelope(reverse_path=ReversePath(Address.from_text(SHOP)), recipients=recipients)
        await self.store.spool.accept(
            Acceptance(
                message_id=id_,
                envelope=envelope,
                content=content,
                prefix=prefix,
                deliveries=deliveries,
                relays=(),
                origin="reception",
            )
        )
        self.note("reception.evidence", id_, rule="content-junk", verdict="junk")
        self.note(
            "reception.accepted",
            id_,
            reverse_path=SHOP,
            recipient=" ".join(one.address for one in self.accounts),
        )
        return id_

    def put_off(self, id_: str, reply: str = "451 4.7.1 later", **fields: Any) -> None:
        known = {"rule": "bad-reputation", "author": SHOP, "organization": "", "client": "192.0.2.7"}
        self.note("reception.evidence", id_, **(known | fields))
        self.note("reception.refused", id_, reply=reply, recipient="taro@example.org", rule="")

    async def messages(self, account: Account, mailbox: str) -> int:
        return len((await self.store.mail.view(account.id, mailbox, claim_recent=False)).uids)


@pytest.fixture
async def scene() -> Scene:
    return await Scene.make()


async def test_every_copy_leaves_junk_and_learners_hear_of_it(scene: Scene) -> None:
    other, id_ = await scene.deliver("Junk", 1), await scene.deliver("Junk", 2)
    released = await ask(scene.context, "door.release", id=id_.upper())
    assert (
        released.moved == released.trusted == ["taro@example.org", "hanako@example.org"]
        and released.sender == SHOP
    )
    for account in scene.accounts:
        assert (await scene.messages(account, "INBOX"), await scene.messages(account, "Junk")) == (1, 1)
        inbox = await scene.store.mail.view(account.id, "INBOX", claim_recent=False)
        (row,) = await scene.store.mail.rows(inbox.info.id, inbox.uids)
        assert row.keywords == (NOT_JUNK_KEYWORD,)
    assert scene.watch.moves == [(account.id, "\\Junk", "INBOX", 1) for account in scene.accounts]
    assert "No copy" in await refusal(scene.context, "door.release", id=id_)
    assert (await ask(scene.context, "door.release", id=other)).id == other


async def test_a_copy_that_somebody_moved_already_stays(scene: Scene) -> None:
    id_ = await scene.deliver("Junk")
    hanako = scene.accounts[1]
    junk = await scene.store.mail.view(hanako.id, "Junk", claim_recent=False)
    await scene.store.mail.copy(junk.info.id, junk.uids, hanako.id, "Archive", move=True)
    assert (await ask(scene.context, "door.release", id=id_)).moved == ["taro@example.org"]


async def test_whose_sender_was_put_off_trusts_it(scene: Scene) -> None:
    scene.put_off("m1")
    released = await ask(scene.context, "door.release", id="m1")
    assert (released.trusted, released.network, released.temporary) == (
        ["taro@example.org"],
        "192.0.2.0/24",
        True,
    )
    key = f"pair:{SHOP} {scene.accounts[0].id} 192.0.2.0/24"
    assert (await scene.store.reputation.histories([key]))[key].is_trusted
    scene.put_off("m2", "550 5.7.1 no", organization="shop.example", rule="dnsbl-listed")
    released = await ask(scene.context, "door.release", id="m2")
    assert (released.network, released.temporary) == ("", False)
    assert f"pair:{SHOP} {scene.accounts[0].id}" in await scene.store.reputation.histories(
        [f"pair:{SHOP} {scene.accounts[0].id}"]
    )


async def test_what_trust_cannot_help_is_said(scene: Scene) -> None:
    scene.put_off("m1", "550 5.7.1 no", rule="own-domain")
    assert "does not change the rule own-domain" in await refusal(scene.context, "door.release", id="m1")
    scene.put_off("m2", author="")
    assert "has no author" in await refusal(scene.context, "door.release", id="m2")
    scene.note("reception.recipient_refused", "k3q7-1", rule="no-such-recipient")
    assert "not the id of a message" in await refusal(scene.context, "door.release", id="k3q7-1")
    assert "Nothing is known" in await refusal(scene.context, "door.release", id="nothing")


async def test_who_was_asked_to_come_again_need_not_wait(scene: Scene) -> None:
    key = "network:192.0.2.0/24 shop.example"
    scene.put_off("m1", rule="greylist", greylist_key=key)
    assert (await ask(scene.context, "door.release", id="m1")).temporary
    tried = await scene.store.greylist.tried(key)
    assert tried is not None and tried.passed_at_us == scene.context.clock.now_us()
