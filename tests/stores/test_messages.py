"""What lies in mailboxes: appending, flags, copying, moving, expunging, views and what changed since."""

from typing import Any

import pytest
from tests.stores.making import acceptance, appended, content, delivery

from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Account
from sekisho.ports.mailstore import ANSWERED, DELETED, FLAGGED, SEEN, FlagRow, NoSuchMailbox, OverQuota
from sekisho.testing.clock import ManualClock

ALL = UidSet(((1, 4_294_967_295),))


async def filled(store: Any, account: Account, count: int, name: str = "INBOX", **fields: Any) -> Any:
    await store.mail.append(
        account.id, name, [appended(store, f"m{n}".encode(), **fields) for n in range(count)]
    )
    return await store.mail.mailbox(account.id, name)


async def test_append_gives_ascending_uids_and_keeps_dates(
    store: Any, clock: ManualClock, alice: Account
) -> None:
    saved = clock.now_us()
    uidvalidity, uids = await store.mail.append(
        alice.id,
        "Sent",
        [
            appended(
                store,
                b"one",
                flags=SEEN | FLAGGED,
                keywords=("$B", "$a", "$b"),
                date_us=5_000_000,
                offset_minutes=540,
            ),
            appended(store, b"second", date_us=0),
            appended(store, b"third!"),
        ],
    )
    info = await store.mail.mailbox(alice.id, "Sent")
    assert (uidvalidity, uids) == (info.uidvalidity, (1, 2, 3))
    one, two, three = await store.mail.rows(info.id, ALL)
    assert (one.flags, one.keywords, one.internal_date_us, one.internal_offset_minutes) == (
        SEEN | FLAGGED,
        ("$B", "$a"),
        5_000_000,
        540,
    )
    assert (one.size_octets, one.prefix_octets, one.save_date_us) == (3, 0, saved)
    assert (two.internal_date_us, three.internal_date_us) == (0, saved)
    assert one.modseq == two.modseq == three.modseq == info.highestmodseq
    assert (info.messages, info.unseen, info.deleted, info.size_octets) == (3, 2, 0, 15)
    assert (
        len({row.email_id for row in (one, two, three)})
        == len({row.content_id for row in (one, two, three)})
        == 3
    )


async def test_append_is_all_or_nothing(store: Any, alice: Account) -> None:
    with pytest.raises(NoSuchMailbox):
        await store.mail.append(alice.id, "none", [appended(store)])
    await store.directory.set_quota(alice.id, 100)
    with pytest.raises(OverQuota):
        await store.mail.append(alice.id, "INBOX", [appended(store, b"x" * 60), appended(store, b"x" * 60)])
    assert (await store.mail.mailbox(alice.id, "INBOX")).uidnext == 1
    assert (await store.directory.account(alice.id)).used_octets == 0
    await store.mail.append(alice.id, "INBOX", [appended(store, b"x" * 100)])


async def test_threads_follow_references_within_one_account(store: Any, alice: Account, bob: Account) -> None:
    async def thread(account: Account, message_id: str, *references: str) -> str:
        item = acceptance(
            store, b"m", deliveries=(delivery(account),), header_message_id=message_id, references=references
        )
        await store.spool.accept(item)
        info = await store.mail.mailbox(account.id, "INBOX")
        (row,) = await store.mail.rows(info.id, UidSet(((info.uidnext - 1, info.uidnext - 1),)))
        return str(row.thread_id)

    first = await thread(alice, "<1@x>")
    assert await thread(alice, "<2@x>", "<1@x>") == first
    assert await thread(alice, "<3@x>", "<0@x>", "<2@x>") == first
    assert await thread(alice, "<4@x>", "<0@x>") == first
    assert await thread(alice, "<5@x>", "<unseen@x>") == await thread(alice, "<6@x>", "<unseen@x>") != first
    assert await thread(alice, "") != await thread(alice, "")
    assert await thread(bob, "<2@x>", "<1@x>") != first


async def test_flags_add_remove_replace(store: Any, alice: Account) -> None:
    info = await filled(store, alice, 3)
    before = info.highestmodseq
    result = await store.mail.store_flags(
        info.id, UidSet(((1, 2), (9, 12))), "add", SEEN | DELETED, ("$Forwarded",)
    )
    assert result.changed == [FlagRow(uid, before + 1, SEEN | DELETED, ("$Forwarded",)) for uid in (1, 2)]
    assert (result.highestmodseq, result.modified) == (before + 1, UidSet())
    info = await store.mail.mailbox(alice.id, "INBOX")
    assert (info.unseen, info.deleted, info.highestmodseq) == (1, 2, before + 1)
    # What does not change anything gives no new modseq, but is answered.
    result = await store.mail.store_flags(info.id, UidSet(((1, 3),)), "add", SEEN, ())
    assert [(row.uid, row.modseq) for row in result.changed] == [
        (1, before + 1),
        (2, before + 1),
        (3, before + 2),
    ]
    result = await store.mail.store_flags(
        info.id, UidSet(((1, 1),)), "remove", DELETED, ("$FORWARDED", "$never")
    )
    assert result.changed == [FlagRow(1, before + 3, SEEN)]
    result = await store.mail.store_flags(
        info.id, UidSet(((1, 2),)), "replace", ANSWERED, ("b", "$forwarded", "A")
    )
    assert [(row.flags, row.keywords) for row in result.changed] == [(ANSWERED, ("$Forwarded", "A", "b"))] * 2
    view = await store.mail.view(alice.id, "INBOX", claim_recent=False)
    assert (view.info.unseen, view.info.deleted) == (2, 0)
    assert set(view.keywords) == {"$Forwarded", "b", "A"}
    assert await store.mail.flag_rows(info.id, ALL) == (await store.mail.changes_since(info.id, 0)).changed


async def test_unchanged_since(store: Any, alice: Account) -> None:
    info = await filled(store, alice, 3)
    await store.mail.store_flags(info.id, UidSet(((2, 2),)), "add", SEEN, ())
    result = await store.mail.store_flags(
        info.id, ALL, "add", FLAGGED, (), unchanged_since=info.highestmodseq
    )
    assert result.modified == UidSet(((2, 2),))
    assert [row.uid for row in result.changed] == [1, 3]


async def test_find_by_flags(store: Any, alice: Account) -> None:
    info = await filled(store, alice, 6)
    await store.mail.store_flags(info.id, UidSet(((1, 3),)), "add", SEEN, ())
    await store.mail.store_flags(info.id, UidSet(((3, 5),)), "add", DELETED, ())
    assert await store.mail.find(info.id, without_flags=SEEN) == UidSet(((4, 6),))
    assert await store.mail.find(info.id, with_flags=DELETED) == UidSet(((3, 5),))
    assert await store.mail.find(info.id, with_flags=DELETED, without_flags=SEEN) == UidSet(((4, 5),))
    assert await store.mail.find(info.id, with_flags=SEEN | DELETED) == UidSet(((3, 3),))
    assert await store.mail.find(info.id) == UidSet(((1, 6),))
    assert await store.mail.find(999) == UidSet()
    assert (await store.mail.view(alice.id, "INBOX", claim_recent=False)).first_unseen_uid == 4
    await store.mail.store_flags(info.id, ALL, "add", SEEN, ())
    assert (await store.mail.view(alice.id, "INBOX", claim_recent=False)).first_unseen_uid is None


async def test_expunge_leaves_tombstones(store: Any, alice: Account) -> None:
    info = await filled(store, alice, 10)
    await store.mail.store_flags(info.id, UidSet(((2, 4), (9, 9))), "add", DELETED, ())
    known = (await store.mail.mailbox(alice.id, "INBOX")).highestmodseq
    gone, modseq = await store.mail.expunge(info.id, UidSet(((1, 3),)))
    assert (gone, modseq) == (UidSet(((2, 3),)), known + 1)
    gone, modseq = await store.mail.expunge(info.id)
    assert (gone, modseq) == (UidSet(((4, 4), (9, 9))), known + 2)
    assert await store.mail.expunge(info.id) == (UidSet(), known + 2)
    gone, _ = await store.mail.expunge(info.id, UidSet(((10, 10),)), only_deleted=False)
    assert gone == UidSet(((10, 10),))
    changes = await store.mail.changes_since(info.id, known)
    assert (changes.vanished, changes.changed) == (UidSet(((2, 4), (9, 10))), [])
    assert changes.uids == UidSet(((1, 1), (5, 8)))
    assert (await store.mail.changes_since(info.id, known + 1)).vanished == UidSet(((4, 4), (9, 10)))
    assert (changes.info.messages, changes.info.uidnext, changes.info.deleted) == (5, 11, 0)
    _, (uid,) = await store.mail.append(alice.id, "INBOX", [appended(store)])
    assert uid == 11
    view = await store.mail.view(alice.id, "INBOX", claim_recent=False)
    assert view.uids == UidSet(((1, 1), (5, 8), (11, 11)))
    assert await store.mail.open(info.id, 10) is None


async def test_many_holes_and_refills(store: Any, alice: Account) -> None:
    info = await filled(store, alice, 1200)
    odd = UidSet.of(range(1, 1200, 2))
    await store.mail.expunge(info.id, odd, only_deleted=False)
    await filled(store, alice, 3)
    left = UidSet.of(range(2, 1201, 2)) | UidSet(((1201, 1203),))
    assert (await store.mail.view(alice.id, "INBOX", claim_recent=False)).uids == left
    await store.mail.expunge(info.id, UidSet(((500, 1202),)), only_deleted=False)
    left = left - UidSet(((500, 1202),))
    view = await store.mail.view(alice.id, "INBOX", claim_recent=False)
    assert (view.uids, view.info.messages) == (left, len(left))
    await store.mail.expunge(info.id, None, only_deleted=False)
    assert (await store.mail.view(alice.id, "INBOX", claim_recent=False)).uids == UidSet()
    assert (await store.mail.changes_since(info.id, info.highestmodseq)).vanished == UidSet(((1, 1203),))
    assert (await store.directory.account(alice.id)).used_octets == 0


async def test_what_is_open_stays_readable(store: Any, alice: Account) -> None:
    for size in (100, 50_000):
        _, (uid,) = await store.mail.append(alice.id, "INBOX", [appended(store, b"x" * size)])
        info = await store.mail.mailbox(alice.id, "INBOX")
        octets = await store.mail.open(info.id, uid)
        await store.mail.expunge(info.id, only_deleted=False)
        assert await octets.read(0, size) == b"x" * size


async def test_copy_shares_the_email(store: Any, clock: ManualClock, alice: Account) -> None:
    await store.spool.accept(
        acceptance(store, b"y" * 30_000, deliveries=(delivery(alice, prefix=b"P: 1\r\n"),))
    )
    inbox = await filled(store, alice, 2, flags=SEEN, keywords=("$Work",), date_us=7, offset_minutes=60)
    await filled(store, alice, 1, "Archive", keywords=("$WORK",))
    clock.advance(10)
    result = await store.mail.copy(inbox.id, UidSet(((1, 3), (7, 9))), alice.id, "archive".title())
    assert (result.source_uids, result.target_uids) == ((1, 2, 3), (2, 3, 4))
    assert result.source_highestmodseq == (await store.mail.mailbox(alice.id, "INBOX")).highestmodseq
    archive = await store.mail.mailbox(alice.id, "Archive")
    assert (result.uidvalidity, archive.messages, archive.unseen) == (archive.uidvalidity, 4, 2)
    for old, new in zip(
        await store.mail.rows(inbox.id, UidSet(((1, 3),))),
        await store.mail.rows(archive.id, UidSet(((2, 4),))),
        strict=True,
    ):
        same = (
            "flags",
            "internal_date_us",
            "internal_offset_minutes",
            "size_octets",
            "content_id",
            "prefix_octets",
            "email_id",
            "thread_id",
        )
        assert [getattr(old, name) for name in same] == [getattr(new, name) for name in same]
        assert new.save_date_us == clock.now_us()
        assert new.modseq == archive.highestmodseq
    assert [row.keywords for row in await store.mail.rows(archive.id, ALL)] == [
        ("$WORK",),
        (),
        ("$WORK",),
        ("$WORK",),
    ]
    await store.mail.expunge(inbox.id, only_deleted=False)
    octets = await store.mail.open(archive.id, 2)
    assert await octets.read(0, 40_000) == b"P: 1\r\n" + b"y" * 30_000
    assert (await store.directory.account(alice.id)).used_octets == archive.size_octets


async def test_copy_into_the_same_mailbox_and_out_of_nothing(store: Any, alice: Account) -> None:
    inbox = await filled(store, alice, 2)
    result = await store.mail.copy(inbox.id, ALL, alice.id, "INBOX")
    assert (result.source_uids, result.target_uids) == ((1, 2), (3, 4))
    result = await store.mail.copy(inbox.id, UidSet(((90, 99),)), alice.id, "Sent")
    assert (result.source_uids, result.target_uids) == ((), ())
    with pytest.raises(NoSuchMailbox):
        await store.mail.copy(inbox.id, ALL, alice.id, "none")
    result = await store.mail.copy(inbox.id, ALL, alice.id, "INBOX", move=True)
    assert result.target_uids == (5, 6, 7, 8)
    view = await store.mail.view(alice.id, "INBOX", claim_recent=False)
    assert view.uids == UidSet(((5, 8),))
    assert view.info.highestmodseq == result.source_highestmodseq


async def test_move_needs_no_room_but_copy_does(store: Any, alice: Account) -> None:
    inbox = await filled(store, alice, 3)
    used = (await store.directory.account(alice.id)).used_octets
    await store.directory.set_quota(alice.id, used)
    with pytest.raises(OverQuota):
        await store.mail.copy(inbox.id, ALL, alice.id, "Archive")
    await store.directory.set_quota(alice.id, 1)
    result = await store.mail.copy(inbox.id, UidSet(((2, 3),)), alice.id, "Archive", move=True)
    assert (result.source_uids, result.target_uids) == ((2, 3), (1, 2))
    changes = await store.mail.changes_since(inbox.id, inbox.highestmodseq)
    assert (changes.vanished, changes.info.highestmodseq) == (UidSet(((2, 3),)), result.source_highestmodseq)
    assert (await store.directory.account(alice.id)).used_octets == used


async def test_copy_to_another_account(store: Any, alice: Account, bob: Account) -> None:
    inbox = await filled(store, alice, 2)
    await store.mail.copy(inbox.id, ALL, bob.id, "INBOX")
    await store.mail.copy(inbox.id, ALL, bob.id, "INBOX", move=True)
    assert (await store.directory.account(alice.id)).used_octets == 0
    target = await store.mail.mailbox(bob.id, "INBOX")
    assert (target.messages, (await store.directory.account(bob.id)).used_octets) == (4, target.size_octets)
    octets = await store.mail.open(target.id, 4)
    assert await octets.read(0, 10) == b"m1"


async def test_recent_is_claimed_once(store: Any, alice: Account) -> None:
    await filled(store, alice, 2)
    assert (await store.mail.view(alice.id, "INBOX", claim_recent=False)).recent == UidSet(((1, 2),))
    assert (await store.mail.view(alice.id, "inbox", claim_recent=True)).recent == UidSet(((1, 2),))
    view = await store.mail.view(alice.id, "INBOX", claim_recent=True)
    assert (view.recent, view.info.first_recent_uid) == (UidSet(), 3)
    await filled(store, alice, 1)
    assert (await store.mail.view(alice.id, "INBOX", claim_recent=True)).recent == UidSet(((3, 3),))
    with pytest.raises(NoSuchMailbox):
        await store.mail.view(alice.id, "none", claim_recent=True)


async def test_structures_are_a_cache(store: Any) -> None:
    await store.mail.save_structures({"a": b"1", "b": b"2"})
    await store.mail.save_structures({"a": b"3"})
    assert await store.mail.structures(["a", "b", "c"]) == {"a": b"3", "b": b"2"}


async def test_contents_that_were_discarded_or_given_away_are_not_taken(store: Any, alice: Account) -> None:
    writer = content(store, b"z" * 20_000)
    writer.discard()
    writer.discard()
    item = appended(store, b"z" * 20_000)
    await store.mail.append(alice.id, "INBOX", [item])
    item.content.discard()
    info = await store.mail.mailbox(alice.id, "INBOX")
    octets = await store.mail.open(info.id, 1)
    assert await octets.read(0, 30_000) == b"z" * 20_000
