"""What an operator does about held mail, by name as the control socket asks."""

from typing import Any

import pytest
from tests.admin.test_operations import ask, refusal
from tests.stores.opened import OpenStore
from tests.stores.test_guard import Sender

from sekisho.admin.context import Context
from sekisho.core.policy.takeover.signals import Reason
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Outcome
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal

TARO = "taro@example.org"
OWNER = Owner("host", 0, 1)


@pytest.fixture
async def sender(context: Context, store: OpenStore) -> Sender:
    """taro, who wrote to a friend, then had a case opened and two messages held; one of them to hanako
    here."""
    await ask(context, "domain.add", name="example.org")
    for name in ("taro", "hanako"):
        await ask(context, "account.add", address=f"{name}@example.org", password="correct horse battery")
    (hanako, taro) = await ask(context, "account.list")
    clock = store.clock
    assert isinstance(clock, ManualClock)
    sender = Sender(store, clock, taro)
    _, accepted = await sender.send("friend@there.test")
    (job,) = accepted.jobs
    await store.spool.settle(
        job, (Outcome(recipient_id=job.recipients[0].id, result="delivered", reply=None),)
    )
    await store.guard.hold(
        taro.id, "password", "freeze", Reason("by-hand", 100, "The administrator held it.")
    )
    await sender.send("a@there.test", "b@there.test")
    await sender.send("c@there.test", here=hanako)
    return sender


async def states(store: OpenStore) -> list[str]:
    return sorted(row.state for message in await store.spool.queue() for row in message.recipients)


async def test_list_and_show(context: Context, store: OpenStore, sender: Sender) -> None:
    (row,) = await ask(context, "guard.list")
    assert (row.address, row.credential_id, row.action, row.held_messages, row.frozen) == (
        TARO,
        "password",
        "freeze",
        2,
        False,
    )
    details = await ask(context, "guard.show", address=TARO)
    assert [message.recipients for message in details.held] == [
        ["a@there.test", "b@there.test"],
        ["c@there.test", "hanako@example.org"],
    ]
    assert (
        details.held[0].subject == "hello"
        and details.held[0].network == "192.0.2.0/24"
        and details.held_messages == 2
    )
    assert [left.address for left in details.left] == ["friend@there.test"]
    assert str(details.cases[0].reasons[0]) == "The administrator held it."
    assert details.usual.networks == [("192.0.2.0/24", 1)] and details.usual.today_recipients == 5
    assert (await ask(context, "guard.show", address=TARO, limit=1)).held_messages == 2
    assert "no account" in await refusal(context, "guard.show", address="nobody@example.org")


async def test_release_closes_thaws_and_lets_everything_go(
    context: Context, store: OpenStore, sender: Sender, journal: MemoryJournal
) -> None:
    (case,) = await store.guard.cases()
    await context.guarding.freezer.freeze(sender.account.id, "password", 0)
    await store.guard.note(case.id, frozen_at_us=1)
    done = await ask(context, "guard.release", address=TARO)
    assert (done.messages, done.recipients, done.full, done.cases, len(done.done)) == (2, 4, 0, 1, 1)
    password = await store.credentials.credential(sender.account.id, "password")
    assert password is not None and not password.disabled_at_us
    assert (
        await states(store) == ["delivered", "waiting", "waiting", "waiting"]
        and await store.guard.cases() == []
    )
    assert await ask(context, "guard.list") == []
    assert "holds nothing" in await refusal(context, "guard.release", address=TARO)
    (entry,) = [entry for entry in journal.entries if entry.kind == "admin.guard.release"]
    assert entry.fields["recipients"] == 4 and entry.fields["actor"] == "uid:0"


async def test_purge_removes_and_freezes(context: Context, store: OpenStore, sender: Sender) -> None:
    done = await ask(context, "guard.purge", address=TARO)
    assert (done.messages, done.recipients, done.cases, len(done.done)) == (2, 4, 1, 1)
    password = await store.credentials.credential(sender.account.id, "password")
    assert password is not None and password.disabled_at_us and await store.spool.queue() == []
    (case,) = (await ask(context, "guard.show", address=TARO)).cases
    assert case.ending == "purged" and case.frozen_at_us
    assert "holds nothing" in await refusal(context, "guard.purge", address=TARO)


async def test_a_new_password_opens_what_the_guard_froze(
    context: Context, store: OpenStore, sender: Sender
) -> None:
    await ask(context, "guard.purge", address=TARO)
    await ask(context, "account.passwd", address=TARO, password="another battery staple")
    password = await store.credentials.credential(sender.account.id, "password")
    assert password is None or not password.disabled_at_us


async def test_purge_can_leave_the_credential(context: Context, store: OpenStore, sender: Sender) -> None:
    assert (await ask(context, "guard.purge", address=TARO, keep_credential=True)).done == []
    password = await store.credentials.credential(sender.account.id, "password")
    assert password is None


async def test_forgive_leaves_held_mail_for_later(context: Context, store: OpenStore, sender: Sender) -> None:
    done = await ask(context, "guard.forgive", address=TARO)
    assert (done.messages, done.cases) == (2, 1)
    (row,) = await ask(context, "guard.list")
    assert (row.address, row.credential_id, row.held_messages) == (TARO, "", 2)
    assert "no open case" in await refusal(context, "guard.forgive", address=TARO)
    _, accepted = await sender.send("d@there.test")
    assert len(accepted.jobs) == 1
    assert (await ask(context, "guard.release", address=TARO)).recipients == 4


async def test_the_queue_does_not_let_go_what_the_guard_holds(
    context: Context, store: OpenStore, sender: Sender
) -> None:
    (message_id, *_) = [message.message_id for message in await store.spool.queue()]
    assert f"sekisho guard show {TARO}" in await refusal(context, "queue.release", message_id=message_id)
    await ask(context, "guard.release", address=TARO)
    await ask(context, "queue.hold", message_id=message_id)
    assert (await ask(context, "queue.release", message_id=message_id)).recipients == 2


async def test_rights(context: Context, store: OpenStore, sender: Sender) -> None:
    assert (await ask(context, "guard.bulk", address=TARO, bulk=True)).bulk
    rights = await ask(context, "guard.recovery", address=TARO, recovery_address="Taro@Elsewhere.test")
    assert (rights.recovery_address, rights.bulk) == ("taro@elsewhere.test", True)
    assert "must be another one" in await refusal(
        context, "guard.recovery", address=TARO, recovery_address="TARO@example.org"
    )
    assert "not an address" in await refusal(context, "guard.recovery", address=TARO, recovery_address="x")
    assert (await ask(context, "guard.recovery", address=TARO, recovery_address="")).recovery_address == ""


async def test_without_a_kit_it_says_so(context: Context) -> None:
    bare: Any = Context(
        directory=context.directory,
        spool=context.spool,
        keys=context.keys,
        journal=context.journal,
        clock=context.clock,
        roles=context.roles,
        actor="uid:0",
    )
    assert "cannot be reached" in await refusal(bare, "guard.list")
