"""Several openings of one data directory, in threads and in forked processes, all writing at once.

Stores that live in one process alone are left out of it.
"""

import asyncio
import os
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.stores.conftest import BACKENDS
from tests.stores.making import acceptance, appended, delivery, relay

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.stores.sqlite.verify import verify
from sekisho.core.policy.takeover.judge import judge_by
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Outgoing, Sending
from sekisho.core.terms.address import Address
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Account, Domain
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import DELETED
from sekisho.ports.spool import Outcome, StaleLease

SHARED = [name for name in BACKENDS if name != "memory"]
ALL = UidSet(((1, 1_000_000),))
Work = Callable[[Any, Account, int], Awaitable[None]]


@pytest.fixture(params=SHARED)
def backend(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return BACKENDS[request.param]


async def with_store(backend: Callable[..., Any], folder: Path, number: int, work: Work) -> None:
    store = backend(folder, SystemClock(), 1000 + number)
    try:
        account = await store.directory.account_by_address(Address("alice", "example.test"))
        await work(store, account, number)
    finally:
        await store.close()


def set_up(backend: Callable[..., Any], folder: Path) -> None:
    async def make() -> None:
        store = backend(folder, SystemClock(), 1)
        await store.directory.add_domain(Domain("example.test", 0))
        await store.directory.add_account(Address("alice", "example.test"), "", "")
        await store.close()

    asyncio.run(make())


def in_threads(backend: Callable[..., Any], folder: Path, count: int, work: Work) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            asyncio.run(with_store(backend, folder, number, work))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def in_processes(backend: Callable[..., Any], folder: Path, count: int, work: Work) -> None:
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                asyncio.run(with_store(backend, folder, number, work))
                status = 0
            except BaseException:
                traceback.print_exc(file=sys.stderr)
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * count


RUNNERS = {"threads": in_threads, "processes": in_processes}


@pytest.fixture(params=RUNNERS)
def runner(request: pytest.FixtureRequest) -> Callable[..., None]:
    return RUNNERS[request.param]


def check(
    backend: Callable[..., Any], folder: Path, question: Callable[[Any, Account], Awaitable[None]]
) -> None:
    async def work(store: Any, account: Account, number: int) -> None:
        await question(store, account)

    asyncio.run(with_store(backend, folder, 99, work))
    if (folder / "data/mail.db").exists():
        assert verify(folder / "data") == []


def test_uids_ascend_and_nothing_is_lost(backend: Any, runner: Any, tmp_path: Path) -> None:
    set_up(backend, tmp_path)

    async def work(store: Any, account: Account, number: int) -> None:
        async def append(lane: int) -> None:
            last = 0
            for n in range(15):
                octets = f"{number}/{lane}/{n}".encode().ljust(20_000 if n % 5 == 0 else 10)
                _, (uid,) = await store.mail.append(account.id, "INBOX", [appended(store, octets)])
                assert uid > last
                last = uid

        await asyncio.gather(append(0), append(1), append(2))

    runner(backend, tmp_path, 3, work)

    async def question(store: Any, account: Account) -> None:
        view = await store.mail.view(account.id, "INBOX", claim_recent=False)
        assert (view.uids, view.info.messages, view.info.uidnext) == (UidSet(((1, 135),)), 135, 136)
        read = set()
        for uid in view.uids:
            octets = await store.mail.open(view.info.id, uid)
            read.add((await octets.read(0, 100)).split(b" ")[0])
        assert len(read) == 135

    check(backend, tmp_path, question)


def test_the_same_delivery_from_everybody_arrives_once(backend: Any, runner: Any, tmp_path: Path) -> None:
    set_up(backend, tmp_path)

    async def work(store: Any, account: Account, number: int) -> None:
        async def deliver(n: int) -> None:
            item = acceptance(
                store,
                b"x",
                deliveries=(delivery(account, delivery_id=f"d{n}"),),
                relays=(relay("x", f"{number}.test", 0),),
                message_id=f"{number}-{n}",
            )
            assert (await store.spool.accept(item)).delivered_account_ids == (account.id,)

        await asyncio.gather(*map(deliver, range(30)))

    runner(backend, tmp_path, 3, work)

    async def question(store: Any, account: Account) -> None:
        assert (await store.mail.mailbox(account.id, "INBOX")).messages == 30
        assert len(await store.spool.queue()) == 90

    check(backend, tmp_path, question)


def test_each_job_is_claimed_by_one_worker_at_a_time(backend: Any, runner: Any, tmp_path: Path) -> None:
    set_up(backend, tmp_path)

    async def fill(store: Any, account: Account, number: int) -> None:
        for n in range(60):
            await store.spool.accept(
                acceptance(store, b"x", relays=(relay("x", f"{n % 4}.test", 0),), message_id=f"m{n}")
            )

    asyncio.run(with_store(backend, tmp_path, 0, fill))
    log = tmp_path / "log"

    async def work(store: Any, account: Account, number: int) -> None:
        owner = Owner("host", number, 1)
        while jobs := await store.spool.claim(owner, 5):
            for job in jobs:
                with log.open("a") as lines:
                    lines.write(f"{job.message_id}\n")
                await store.spool.settle(
                    job,
                    tuple(Outcome(recipient_id=r.id, result="delivered", reply=None) for r in job.recipients),
                )
                with pytest.raises(StaleLease):
                    await store.spool.settle(
                        job,
                        tuple(
                            Outcome(recipient_id=r.id, result="delivered", reply=None) for r in job.recipients
                        ),
                    )

    runner(backend, tmp_path, 3, work)
    assert Counter(log.read_text().split()) == Counter(f"m{n}" for n in range(60))

    async def question(store: Any, account: Account) -> None:
        assert await store.spool.queue() == []

    check(backend, tmp_path, question)


def test_a_follower_sees_every_change(backend: Any, runner: Any, tmp_path: Path) -> None:
    """Writers append, flag, move and expunge; a follower that only asks for changes ends with what is really
    there."""
    set_up(backend, tmp_path)

    async def write(store: Any, account: Account, number: int) -> None:
        inbox = await store.mail.mailbox(account.id, "INBOX")
        for n in range(25):
            await store.mail.append(account.id, "INBOX", [appended(store, b"m") for _ in range(3)])
            await store.mail.store_flags(
                inbox.id, UidSet(((n, n + number),)), "add", DELETED if n % 2 else 8, (f"$k{n % 3}",)
            )
            if n % 5 == number:
                await store.mail.expunge(inbox.id)
            if n % 7 == number:
                await store.mail.copy(
                    inbox.id, UidSet(((2 * n, 2 * n + 3),)), account.id, "Archive", move=True
                )

    async def follow(store: Any, account: Account) -> None:
        inbox = await store.mail.mailbox(account.id, "INBOX")
        known, modseq, last_uid = {}, 0, 0
        while True:
            changes = await store.mail.changes_since(inbox.id, modseq)
            assert changes.info.highestmodseq >= modseq
            for uid in changes.vanished:
                known.pop(uid, None)
            for row in changes.changed:
                assert row.uid in known or row.uid > last_uid or modseq == 0
                known[row.uid] = row
            assert set(known) == set(changes.uids)
            assert len(known) == changes.info.messages
            assert changes.info.unseen == sum(not row.flags & 8 for row in known.values())
            last_uid, modseq = max(last_uid, changes.uids.last), changes.info.highestmodseq
            if (tmp_path / "done").exists():
                break
            await asyncio.sleep(0.001)
        final = await store.mail.changes_since(inbox.id, modseq)
        for uid in final.vanished:
            known.pop(uid, None)
        known |= {row.uid: row for row in final.changed}
        assert sorted(known.values(), key=lambda row: row.uid) == await store.mail.flag_rows(inbox.id, ALL)

    async def work(store: Any, account: Account, number: int) -> None:
        if number == 3:
            await follow(store, account)
            return
        await write(store, account, number)
        (tmp_path / f"ready{number}").touch()
        if all((tmp_path / f"ready{n}").exists() for n in range(3)):
            (tmp_path / "done").touch()

    runner(backend, tmp_path, 4, work)

    async def question(store: Any, account: Account) -> None:
        total = sum(info.size_octets for info in await store.mail.mailboxes(account.id))
        assert (await store.directory.account(account.id)).used_octets == total

    check(backend, tmp_path, question)


def test_quota_holds_under_pressure(backend: Any, runner: Any, tmp_path: Path) -> None:
    set_up(backend, tmp_path)

    async def limit(store: Any, account: Account, number: int) -> None:
        await store.directory.set_quota(account.id, 500)

    asyncio.run(with_store(backend, tmp_path, 0, limit))

    async def work(store: Any, account: Account, number: int) -> None:
        items = [
            acceptance(
                store, b"x" * 20, deliveries=(delivery(account, delivery_id=f"{number}/{n}", prefix=b""),)
            )
            for n in range(20)
        ]
        await asyncio.gather(*map(store.spool.accept, items))

    runner(backend, tmp_path, 3, work)

    async def question(store: Any, account: Account) -> None:
        assert (await store.directory.account(account.id)).used_octets == 500
        assert (await store.mail.mailbox(account.id, "INBOX")).messages == 25

    check(backend, tmp_path, question)


def test_one_holder_of_a_lease_and_exact_sums(backend: Any, runner: Any, tmp_path: Path) -> None:
    set_up(backend, tmp_path)
    log = tmp_path / "log"

    async def work(store: Any, account: Account, number: int) -> None:
        owner = Owner("host", number, 1)
        for _ in range(10):
            await store.counters.add("sum", 1, 1_000_000)
            epoch = await store.leases.acquire("pop3:1", owner, 600)
            if epoch is not None:
                with log.open("a") as lines:
                    lines.write(f"{epoch}\n")
                await store.leases.release("pop3:1", owner, epoch)

    runner(backend, tmp_path, 3, work)
    epochs = list(map(int, log.read_text().split()))
    assert len(set(epochs)) == len(epochs)
    assert epochs == sorted(epochs)

    async def question(store: Any, account: Account) -> None:
        assert await store.counters.total("sum", 1_000_000) == 30

    check(backend, tmp_path, question)


def test_a_budget_is_kept_by_many_at_once(backend: Any, runner: Any, tmp_path: Path) -> None:
    """Three workers with five connections each: what leaves is never more than the budget, and every message
    is counted."""
    set_up(backend, tmp_path)
    let_go = tmp_path / "let-go"

    async def work(store: Any, account: Account, number: int) -> None:
        store.guard.use(
            judge_by(
                GuardRules(
                    recipients_per_day=40, usual_fan_out=1000, newcomer_fan_out=1000, newcomer_strangers=1000
                )
            )
        )

        async def send(lane: int) -> None:
            for n in range(8):
                message_id = f"{number}-{lane}-{n}"
                now_us = SystemClock().now_us()
                sending = Sending(
                    message_id=message_id,
                    account_id=account.id,
                    credential_id="password",
                    at_us=now_us,
                    remote_recipients=1,
                )
                outgoing = Outgoing(sending, ((number * 10_000 + lane * 100 + n, 1),))
                relays = (relay("x", "there.test", now_us),)
                accepted = await store.spool.accept(
                    acceptance(
                        store,
                        b"x",
                        message_id=message_id,
                        relays=relays,
                        account_id=account.id,
                        outgoing=outgoing,
                    )
                )
                if not accepted.decision.case_id:
                    with let_go.open("a") as file:
                        file.write(".")

        await asyncio.gather(*map(send, range(5)))

    runner(backend, tmp_path, 3, work)
    assert let_go.read_text() == 40 * "."

    async def question(store: Any, account: Account) -> None:
        state = (await store.guard.watched(account.id)).state
        assert (state.recipients, state.first_time, state.hours[-1].messages) == (
            120,
            120,
            state.window.messages,
        )
        assert len(await store.guard.cases()) == 1
        # With the case all of them are held: those within the budget still waited.
        assert len(await store.guard.held(account.id)) == 120

    check(backend, tmp_path, question)
