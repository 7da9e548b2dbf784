"""The tree of mailboxes: names, parents, renaming, deleting, UIDVALIDITY, subscriptions."""

from typing import Any

import pytest
from tests.stores.conftest import MAILBOXES
from tests.stores.making import appended

from sekisho.core.terms.uidset import UidSet
from sekisho.ports.changes import AccountChanged
from sekisho.ports.directory import Account
from sekisho.ports.mailstore import MailboxExists, MailboxRefused, NoSuchMailbox


async def names(store: Any, account: Account) -> list[str]:
    return [info.name for info in await store.mail.mailboxes(account.id)]


async def test_a_new_account_has_its_first_mailboxes(store: Any, alice: Account) -> None:
    found = {info.name: (info.special_use, info.subscribed) for info in await store.mail.mailboxes(alice.id)}
    assert found == {
        "Archive": ("\\Archive", True),
        "Drafts": ("\\Drafts", True),
        "INBOX": (None, True),
        "Junk": ("\\Junk", True),
        "Sent": ("\\Sent", True),
        "Trash": ("\\Trash", True),
    }
    assert len({info.mailbox_id for info in await store.mail.mailboxes(alice.id)}) == 6


async def test_create_makes_missing_parents(store: Any, alice: Account) -> None:
    info = await store.mail.create_mailbox(alice.id, "a/b/c/", "\\Flagged")
    assert (info.name, info.special_use, info.subscribed, info.messages, info.uidnext) == (
        "a/b/c",
        "\\Flagged",
        False,
        0,
        1,
    )
    assert {"a", "a/b", "a/b/c"} <= set(await names(store, alice))
    assert (await store.mail.mailbox(alice.id, "a/b")).special_use is None
    with pytest.raises(MailboxExists):
        await store.mail.create_mailbox(alice.id, "a/b")
    with pytest.raises(MailboxExists):
        await store.mail.create_mailbox(alice.id, "iNbOx")


@pytest.mark.parametrize(
    "name", ["", "/", "a//b", "/a", "a*", "a%", "a\nb", "a\x00", "\x7f", "x" * 1001, "/".join("x" * 51)]
)
async def test_bad_names_are_refused(store: Any, alice: Account, name: str) -> None:
    before = await names(store, alice)
    with pytest.raises(MailboxRefused):
        await store.mail.create_mailbox(alice.id, name)
    assert await names(store, alice) == before


async def test_names_are_composed_and_inbox_has_no_case(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "Cafe\u0301")
    assert (await store.mail.mailbox(alice.id, "Caf\u00e9")).name == "Caf\u00e9"
    await store.mail.create_mailbox(alice.id, "inbox/会議")
    assert "INBOX/会議" in await names(store, alice)
    with pytest.raises(NoSuchMailbox):
        await store.mail.mailbox(alice.id, "sent")


async def test_only_so_many_mailboxes(store: Any, alice: Account) -> None:
    for number in range(MAILBOXES - 6):
        await store.mail.create_mailbox(alice.id, f"m{number}")
    with pytest.raises(MailboxRefused):
        await store.mail.create_mailbox(alice.id, "one-more")
    assert len(await names(store, alice)) == MAILBOXES


async def test_rename_takes_inferiors_along_and_keeps_messages(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "a/b/c")
    await store.mail.create_mailbox(alice.id, "ab")
    await store.mail.append(alice.id, "a/b", [appended(store)])
    before = await store.mail.mailbox(alice.id, "a/b")
    await store.mail.rename_mailbox(alice.id, "a/b", "x/y/b")
    assert {"a", "x", "x/y", "x/y/b", "x/y/b/c", "ab"} <= set(await names(store, alice))
    assert not {"a/b", "a/b/c"} & set(await names(store, alice))
    after = await store.mail.mailbox(alice.id, "x/y/b")
    assert (after.id, after.mailbox_id, after.uidvalidity, after.messages) == (
        before.id,
        before.mailbox_id,
        before.uidvalidity,
        1,
    )


async def test_rename_is_refused_where_it_must_be(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "a/b")
    with pytest.raises(MailboxExists):
        await store.mail.rename_mailbox(alice.id, "a/b", "Sent")
    with pytest.raises(MailboxRefused):
        await store.mail.rename_mailbox(alice.id, "a", "a/b/c")
    with pytest.raises(NoSuchMailbox):
        await store.mail.rename_mailbox(alice.id, "none", "other")
    with pytest.raises(MailboxRefused):
        await store.mail.rename_mailbox(alice.id, "a", "bad*")
    assert {"a", "a/b"} <= set(await names(store, alice))


async def test_renaming_inbox_moves_its_messages(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "INBOX/below")
    await store.mail.append(alice.id, "INBOX", [appended(store, flags=8, keywords=("$K",)), appended(store)])
    used = (await store.directory.account(alice.id)).used_octets
    inbox = await store.mail.mailbox(alice.id, "INBOX")
    await store.mail.rename_mailbox(alice.id, "INBOX", "old/mail")
    moved = await store.mail.view(alice.id, "old/mail", claim_recent=False)
    assert (moved.info.messages, moved.info.unseen, moved.keywords) == (2, 1, ("$K",))
    after = await store.mail.mailbox(alice.id, "INBOX")
    assert (after.id, after.messages, after.uidvalidity, after.uidnext) == (
        inbox.id,
        0,
        inbox.uidvalidity,
        inbox.uidnext,
    )
    assert (await store.mail.changes_since(inbox.id, inbox.highestmodseq)).vanished == UidSet(((1, 2),))
    assert "INBOX/below" in await names(store, alice)
    assert (await store.directory.account(alice.id)).used_octets == used
    assert moved.info.uidvalidity > inbox.uidvalidity


async def test_delete_is_refused_for_inbox_and_for_parents(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "a/b")
    for name in ("INBOX", "inbox", "a"):
        with pytest.raises(MailboxRefused):
            await store.mail.delete_mailbox(alice.id, name)
    with pytest.raises(NoSuchMailbox):
        await store.mail.delete_mailbox(alice.id, "a/c")


async def test_delete_gives_the_octets_back(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "a")
    _, uids = await store.mail.append(alice.id, "a", [appended(store, b"x" * 20_000), appended(store)])
    info = await store.mail.mailbox(alice.id, "a")
    octets = await store.mail.open(info.id, uids[0])
    await store.mail.delete_mailbox(alice.id, "a")
    assert (await store.directory.account(alice.id)).used_octets == 0
    with pytest.raises(NoSuchMailbox):
        await store.mail.changes_since(info.id, 0)
    assert await store.mail.rows(info.id, UidSet(((1, 9),))) == []
    assert await store.mail.open(info.id, uids[0]) is None
    assert await octets.read(19_990, 100) == b"x" * 10


async def test_uidvalidity_of_a_name_only_grows(store: Any, alice: Account) -> None:
    first = await store.mail.create_mailbox(alice.id, "a")
    other = await store.mail.create_mailbox(alice.id, "b")
    await store.mail.delete_mailbox(alice.id, "b")
    await store.mail.rename_mailbox(alice.id, "a", "b")
    renamed = await store.mail.mailbox(alice.id, "b")
    assert (renamed.id, renamed.mailbox_id) == (first.id, first.mailbox_id)
    assert renamed.uidvalidity > other.uidvalidity
    again = await store.mail.create_mailbox(alice.id, "a")
    assert again.uidvalidity > first.uidvalidity
    await store.mail.rename_mailbox(alice.id, "b", "c")
    assert (await store.mail.mailbox(alice.id, "c")).uidvalidity == renamed.uidvalidity
    every = [info.uidvalidity for info in await store.mail.mailboxes(alice.id)]
    assert len(set(every)) == len(every)


async def test_subscriptions_outlive_mailboxes(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "a")
    await store.mail.set_subscribed(alice.id, "a", True)
    await store.mail.set_subscribed(alice.id, "a", True)
    await store.mail.set_subscribed(alice.id, "never/there", True)
    await store.mail.set_subscribed(alice.id, "Junk", False)
    assert (await store.mail.mailbox(alice.id, "a")).subscribed
    await store.mail.delete_mailbox(alice.id, "a")
    assert await store.mail.subscriptions(alice.id) == [
        "Archive",
        "Drafts",
        "INBOX",
        "Sent",
        "Trash",
        "a",
        "never/there",
    ]
    await store.mail.set_subscribed(alice.id, "inbox", False)
    assert not (await store.mail.mailbox(alice.id, "INBOX")).subscribed


async def test_accounts_do_not_see_each_other(store: Any, alice: Account, bob: Account) -> None:
    await store.mail.create_mailbox(alice.id, "mine")
    await store.mail.append(alice.id, "INBOX", [appended(store)])
    with pytest.raises(NoSuchMailbox):
        await store.mail.mailbox(bob.id, "mine")
    assert (await store.mail.mailbox(bob.id, "INBOX")).messages == 0
    assert await store.mail.mailboxes(12345) == []


async def test_changes_are_published(store: Any, alice: Account, bob: Account) -> None:
    changes = store.changes.published
    for step in (
        store.mail.create_mailbox(alice.id, "a"),
        store.mail.rename_mailbox(alice.id, "a", "b"),
        store.mail.append(alice.id, "b", [appended(store)]),
        store.mail.delete_mailbox(alice.id, "b"),
    ):
        changes.clear()
        await step
        assert changes == [AccountChanged(alice.id)]
