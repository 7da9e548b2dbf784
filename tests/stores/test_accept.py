"""Accept = deliver, and what quota and repetition do to it."""

from typing import Any

import pytest
from tests.stores.making import acceptance, delivery, relay

from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Account
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Outcome, RelayRecipient
from sekisho.testing.clock import ManualClock

MESSAGE = b"Subject: hello\r\n\r\nhello\r\n"


async def test_a_copy_is_readable_with_its_own_prefix(store: Any, alice: Account, bob: Account) -> None:
    accepted = await store.spool.accept(
        acceptance(
            store, MESSAGE, deliveries=(delivery(alice, prefix=b"X: alice\r\n"), delivery(bob, prefix=b""))
        )
    )
    assert accepted.delivered_account_ids == (alice.id, bob.id)
    for account, expected in ((alice, b"X: alice\r\n" + MESSAGE), (bob, MESSAGE)):
        info = await store.mail.mailbox(account.id, "inbox")
        assert (info.messages, info.unseen, info.size_octets, info.uidnext) == (1, 1, len(expected), 2)
        octets = await store.mail.open(info.id, 1)
        assert octets.size_octets == len(expected)
        assert await octets.read(0, 1000) == expected
        assert await octets.read(5, 7) == expected[5:12]
        assert await octets.read(len(expected) - 3, 10) == expected[-3:]


@pytest.mark.parametrize("size", [0, 16_384, 16_385, 300_000])
async def test_contents_of_all_sizes(store: Any, alice: Account, size: int) -> None:
    octets = bytes(range(256)) * (size // 256 + 1)
    octets = octets[:size]
    item = acceptance(store, octets, deliveries=(delivery(alice, prefix=b"P\r\n"),))
    assert item.content.size_octets == size
    assert item.content.head(1000) == octets[:1000]
    assert await item.content.read(16_000, 1000) == octets[16_000:17_000]
    await store.spool.accept(item)
    item.content.discard()
    item.content.discard()
    info = await store.mail.mailbox(alice.id, "INBOX")
    opened = await store.mail.open(info.id, 1)
    assert await opened.read(0, size + 10) == b"P\r\n" + octets
    assert await opened.read(2, 20_000) == (b"P\r\n" + octets)[2:20_002]


async def test_what_is_repeatable_goes_into_the_queue_once_even_after_it_left(
    store: Any, clock: ManualClock, alice: Account
) -> None:
    copy, owner = delivery(alice), Owner("host", 0, 1)

    async def again() -> None:
        item = acceptance(
            store,
            MESSAGE,
            message_id="letter-1",
            deliveries=(copy,),
            relays=(relay("bob", "there.test", clock.now_us()),),
            repeatable=True,
            delivery_memory_seconds=100,
        )
        accepted = await store.spool.accept(item)
        assert accepted.delivered_account_ids == (alice.id,)

    await again()
    await again()
    (job,) = await store.spool.claim(owner, 10)
    await again()
    await store.spool.settle(
        job,
        (
            Outcome(
                recipient_id=job.recipients[0].id, result="delivered", reply=Reply.of(250, "2.0.0", "taken")
            ),
        ),
    )
    await again()
    assert await store.spool.queue() == [] and (await store.mail.mailbox(alice.id, "INBOX")).messages == 1
    clock.advance(101)
    await again()
    assert len(await store.spool.queue()) == 1


async def test_the_same_delivery_id_delivers_once_even_after_expunge(
    store: Any, clock: ManualClock, alice: Account
) -> None:
    again = delivery(alice)
    for _ in range(2):
        accepted = await store.spool.accept(
            acceptance(store, MESSAGE, deliveries=(again,), delivery_memory_seconds=100)
        )
        assert accepted.delivered_account_ids == (alice.id,)
    info = await store.mail.mailbox(alice.id, "INBOX")
    assert info.messages == 1
    await store.mail.expunge(info.id, only_deleted=False)
    await store.spool.accept(acceptance(store, MESSAGE, deliveries=(again,), delivery_memory_seconds=100))
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 0
    clock.advance(101)
    await store.spool.accept(acceptance(store, MESSAGE, deliveries=(again,), delivery_memory_seconds=100))
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 1


async def test_a_mailbox_that_does_not_exist_means_inbox(store: Any, alice: Account) -> None:
    await store.spool.accept(
        acceptance(
            store,
            MESSAGE,
            deliveries=(
                delivery(alice, mailbox="Junk", flags=1, keywords=("$Junk",)),
                delivery(alice, mailbox="No"),
            ),
        )
    )
    junk = await store.mail.view(alice.id, "Junk", claim_recent=True)
    assert (junk.info.messages, junk.keywords) == (1, ("$Junk",))
    inbox = await store.mail.view(alice.id, "INBOX", claim_recent=True)
    assert inbox.uids == inbox.recent == UidSet(((1, 1),))


async def test_a_mailbox_is_found_by_its_use(store: Any, alice: Account) -> None:
    """Whatever its owner calls it; a mailbox that is only named so is not it."""
    await store.mail.rename_mailbox(alice.id, "Junk", "Spam/迷惑")
    await store.mail.create_mailbox(alice.id, "Junk")
    for_junk = delivery(alice, special_use="\\Junk")
    await store.spool.accept(acceptance(store, MESSAGE, deliveries=(for_junk,)))
    assert (await store.mail.mailbox(alice.id, "Spam/迷惑")).messages == 1
    await store.mail.delete_mailbox(alice.id, "Spam/迷惑")
    await store.spool.accept(acceptance(store, MESSAGE, deliveries=(delivery(alice, special_use="\\Junk"),)))
    assert [(await store.mail.mailbox(alice.id, name)).messages for name in ("Junk", "INBOX")] == [0, 1]


async def test_copies_over_quota_are_left_out_and_named(store: Any, alice: Account, bob: Account) -> None:
    await store.directory.set_quota(alice.id, 10)
    accepted = await store.spool.accept(
        acceptance(store, MESSAGE, deliveries=(delivery(alice), delivery(bob)))
    )
    assert (accepted.delivered_account_ids, accepted.over_quota_account_ids) == ((bob.id,), (alice.id,))
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 0
    assert (await store.directory.account(alice.id)).used_octets == 0
    size = (await store.mail.mailbox(bob.id, "INBOX")).size_octets
    assert (await store.directory.account(bob.id)).used_octets == size


async def test_one_of_each_or_nothing(store: Any, alice: Account, bob: Account) -> None:
    await store.directory.set_quota(alice.id, 10)
    both, only_bob = frozenset((alice.id, bob.id)), frozenset((bob.id,))
    far = RelayRecipient(
        recipient=Recipient(Address("x", "far.test")), next_hop="far.test", due_at_us=0, expires_at_us=10
    )
    copies = (delivery(alice, delivery_id="a/1"), delivery(bob, delivery_id="b/1"))
    nothing = await store.spool.accept(
        acceptance(
            store, MESSAGE, deliveries=copies, relays=(far,), one_of_each=(frozenset((alice.id,)), only_bob)
        )
    )
    assert nothing.nothing_taken and (
        nothing.delivered_account_ids,
        nothing.over_quota_account_ids,
        nothing.jobs,
    ) == ((), (alice.id,), ())
    assert (await store.mail.mailbox(bob.id, "INBOX")).messages == 0 and await store.spool.queue() == []
    assert (await store.directory.account(bob.id)).used_octets == 0
    # The same copies again: nothing was remembered of them.
    some = await store.spool.accept(
        acceptance(store, MESSAGE, deliveries=copies, one_of_each=(both, only_bob))
    )
    assert not some.nothing_taken and (some.delivered_account_ids, some.over_quota_account_ids) == (
        (bob.id,),
        (alice.id,),
    )
    await store.directory.set_quota(alice.id, 0)
    rest = await store.spool.accept(
        acceptance(store, MESSAGE, deliveries=copies, one_of_each=(frozenset((alice.id,)), only_bob))
    )
    assert (
        rest.delivered_account_ids == (alice.id, bob.id)
        and (await store.mail.mailbox(bob.id, "INBOX")).messages == 1
    )


async def test_what_vouches_for_the_sender_is_kept_with_the_message(store: Any) -> None:
    far = RelayRecipient(
        recipient=Recipient(Address("x", "far.test")), next_hop="far.test", due_at_us=0, expires_at_us=10**18
    )
    envelope = Envelope(reverse_path=ReversePath(Address("sender", "elsewhere.test")), vouched="dkim")
    await store.spool.accept(acceptance(store, MESSAGE, envelope=envelope, relays=(far,)))
    (message,) = await store.spool.queue()
    (job,) = await store.spool.claim(Owner("host", 0, 1), 1)
    assert message.envelope.vouched == job.envelope.vouched == "dkim"


async def test_a_mailbox_is_made_for_a_delivery_that_says_so(store: Any, alice: Account) -> None:
    copies = (
        delivery(alice, mailbox="Lists/python", create=True),
        delivery(alice, mailbox="Lists/python", create=True),
        delivery(alice, mailbox="No/such"),
        delivery(alice, mailbox="bad//name", create=True),
        delivery(alice, mailbox="inbox", create=True),
    )
    await store.spool.accept(acceptance(store, b"Subject: x\r\n\r\nx", deliveries=copies))
    found = {one.name: one.messages for one in await store.mail.mailboxes(alice.id)}
    assert (found["Lists/python"], found["INBOX"]) == (2, 3) and "Lists" in found and "No/such" not in found


async def test_a_use_goes_before_a_name_which_is_next(store: Any, alice: Account) -> None:
    await store.mail.create_mailbox(alice.id, "Named")
    await store.mail.delete_mailbox(alice.id, "Archive")
    copies = (
        delivery(alice, mailbox="Named", special_use="\\Junk"),
        delivery(alice, mailbox="Named", special_use="\\Archive"),
    )
    await store.spool.accept(acceptance(store, b"Subject: x\r\n\r\nx", deliveries=copies))
    found = {one.name: one.messages for one in await store.mail.mailboxes(alice.id)}
    assert (found["Junk"], found["Named"], found["INBOX"]) == (1, 1, 0)
