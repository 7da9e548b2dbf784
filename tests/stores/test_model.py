"""A random walk over one account: every store must answer like the memory store, step by step.

For the memory store itself this only shows that it is deterministic; for any other it compares two
independent implementations.
"""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.stores.making import acceptance, appended, delivery

from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Account, DirectoryError, Domain
from sekisho.ports.mailstore import MailboxExists, MailboxRefused, NoSuchMailbox, OverQuota
from sekisho.testing.clock import ManualClock, SeededDice

NAMES = ("INBOX", "Archive", "a", "a/b", "a/b/c", "b", "INBOX/x", "c/d", "bad*")
KEYWORDS = ("$Work", "$work", "Blue", "$Forwarded")
REFUSALS = (NoSuchMailbox, MailboxExists, MailboxRefused, OverQuota, DirectoryError)


class Walk:
    """One side: the store, its account, and modseqs that were seen, by mailbox name."""

    def __init__(self, store: Any, account: Account, clock: ManualClock, seed: int) -> None:
        self.store, self.account, self.clock = store, account, clock
        self.random = random.Random(seed)
        self.seen: dict[str, list[int]] = {}
        self.deliveries = 0

    async def step(self) -> Any:
        """One operation; what it answered, without ids that may differ."""
        steps: list[Callable[[], Awaitable[Any]]] = [
            self.append,
            self.append,
            self.accept,
            self.store_flags,
            self.store_flags,
            self.expunge,
            self.copy,
            self.changes,
            self.changes,
            self.view,
            self.find,
            self.create,
            self.rename,
            self.delete,
            self.quota,
            self.subscribe,
        ]
        self.clock.advance(self.random.choice((0, 0, 0.5, 3)))
        step = self.random.choice(steps)
        try:
            return step.__name__, await step()
        except REFUSALS as refusal:
            return step.__name__, type(refusal)

    def name(self) -> str:
        return self.random.choice(NAMES)

    def uids(self) -> UidSet:
        runs = []
        for _ in range(self.random.randint(1, 3)):
            first = self.random.randint(1, 60)
            runs.append((first, first + self.random.choice((0, 0, 1, 5, 40))))
        return UidSet.from_runs(runs)

    def keywords(self) -> tuple[str, ...]:
        return tuple(self.random.sample(KEYWORDS, self.random.choice((0, 0, 1, 2))))

    async def mailbox_id(self, name: str) -> int:
        return int((await self.store.mail.mailbox(self.account.id, name)).id)

    async def append(self) -> Any:
        count, name = self.random.randint(1, 5), self.name()
        items = [
            appended(
                self.store,
                b"x" * self.random.choice((0, 10, 100, 17_000)),
                flags=self.random.choice((0, 0, 8, 4, 12, 31)),
                keywords=self.keywords(),
                message_id=f"<{self.random.randint(1, 9)}@x>",
                references=(f"<{self.random.randint(1, 9)}@x>",),
                date_us=self.random.choice((None, 5)),
            )
            for _ in range(count)
        ]
        return (await self.store.mail.append(self.account.id, name, items))[1]

    async def accept(self) -> Any:
        if self.random.random() < 0.7:
            self.deliveries += 1
        item = delivery(
            self.account,
            delivery_id=f"d{self.deliveries}",
            mailbox=self.random.choice((None, *NAMES)),
            flags=self.random.choice((0, 8)),
            keywords=self.keywords(),
        )
        accepted = await self.store.spool.accept(
            acceptance(self.store, b"m", deliveries=(item,), delivery_memory_seconds=20)
        )
        return len(accepted.delivered_account_ids), len(accepted.over_quota_account_ids)

    async def store_flags(self) -> Any:
        name, uids, how = self.name(), self.uids(), self.random.choice(("add", "remove", "replace"))
        flags, keywords = self.random.randint(0, 31), self.keywords()
        since = self.random.choice((None, *self.seen.get(name, ())[-3:]))
        result = await self.store.mail.store_flags(
            mailbox_id=await self.mailbox_id(name),
            uids=uids,
            how=how,
            flags=flags,
            keywords=keywords,
            unchanged_since=since,
        )
        return result.changed, result.modified, result.highestmodseq

    async def expunge(self) -> Any:
        name, uids = self.name(), self.random.choice((None, self.uids(), self.uids()))
        only_deleted = self.random.random() < 0.8
        return await self.store.mail.expunge(await self.mailbox_id(name), uids, only_deleted=only_deleted)

    async def copy(self) -> Any:
        source, target, uids, move = self.name(), self.name(), self.uids(), self.random.random() < 0.5
        result = await self.store.mail.copy(
            await self.mailbox_id(source), uids, self.account.id, target, move=move
        )
        return result.source_uids, result.target_uids, result.source_highestmodseq

    async def changes(self) -> Any:
        name = self.name()
        since = self.random.choice(self.seen.get(name, [0])[-5:])
        found = await self.store.mail.changes_since(await self.mailbox_id(name), since)
        return self.facts(found.info), found.uids, found.vanished, found.changed

    async def view(self) -> Any:
        name, claim = self.name(), self.random.random() < 0.5
        view = await self.store.mail.view(self.account.id, name, claim_recent=claim)
        return self.facts(view.info), view.uids, view.recent, view.first_unseen_uid, view.keywords

    def facts(self, info: Any) -> Any:
        self.seen.setdefault(info.name, []).append(info.highestmodseq)
        ids = {"id", "account_id", "mailbox_id"}
        return {name: getattr(info, name) for name in info.__struct_fields__ if name not in ids}

    async def find(self) -> Any:
        name = self.name()
        with_flags, without_flags = self.random.choice(
            ((0, 8), (4, 0), (8, 4), (1, 2), (0, 0), (12, 0), (0, 4))
        )
        return await self.store.mail.find(
            await self.mailbox_id(name), with_flags=with_flags, without_flags=without_flags
        )

    async def create(self) -> Any:
        return self.facts(
            await self.store.mail.create_mailbox(
                self.account.id, self.name(), self.random.choice((None, "\\Flagged"))
            )
        )

    async def rename(self) -> Any:
        return await self.store.mail.rename_mailbox(self.account.id, self.name(), self.name())

    async def delete(self) -> Any:
        return await self.store.mail.delete_mailbox(self.account.id, self.name())

    async def quota(self) -> Any:
        return await self.store.directory.set_quota(
            self.account.id, self.random.choice((0, 0, 0, 40_000, 100_000))
        )

    async def subscribe(self) -> Any:
        return await self.store.mail.set_subscribed(self.account.id, self.name(), self.random.random() < 0.5)

    async def everything(self) -> Any:
        """The whole state, for comparing at the end."""
        found = []
        threads: dict[str, int] = {}
        emails: dict[str, int] = {}
        for info in await self.store.mail.mailboxes(self.account.id):
            rows = await self.store.mail.rows(info.id, UidSet(((1, 10_000),)))
            facts = []
            for row in rows:
                octets = await self.store.mail.open(info.id, row.uid)
                read = await octets.read(0, 100_000)
                thread = threads.setdefault(row.thread_id, len(threads))
                email = emails.setdefault(row.email_id, len(emails))
                plain = (row.uid, row.modseq, row.flags, row.keywords, row.internal_date_us, row.save_date_us)
                facts.append((*plain, row.size_octets, row.prefix_octets, thread, email, read))
            found.append((self.facts(info), facts))
        return (
            found,
            (await self.store.directory.account(self.account.id)).used_octets,
            await self.store.mail.subscriptions(self.account.id),
        )


async def walk_together(store: Any, clock: ManualClock, seed: int, length: int) -> Walk:
    await store.directory.add_domain(Domain(f"walk{seed}.test", 0))
    account = await store.directory.add_account(Address("walker", f"walk{seed}.test"), "", "")
    twin_clock = ManualClock(clock.now_us())
    twin = MemoryStore(twin_clock, SeededDice(99), mailboxes_per_account=60)
    await twin.directory.add_domain(Domain("walk.test", 0))
    twin_account = await twin.directory.add_account(Address("walker", "walk.test"), "", "")
    here, there = Walk(store, account, clock, seed), Walk(twin, twin_account, twin_clock, seed)
    for number in range(length):
        answer, expected = await here.step(), await there.step()
        assert answer == expected, f"step {number} of seed {seed}"
    assert await here.everything() == await there.everything()
    return here


@pytest.mark.parametrize("seed", range(6))
async def test_walks(store: Any, clock: ManualClock, seed: int) -> None:
    await walk_together(store, clock, seed, 120)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 130))
async def test_long_walks(store: Any, clock: ManualClock, seed: int) -> None:
    await walk_together(store, clock, seed, 600)
