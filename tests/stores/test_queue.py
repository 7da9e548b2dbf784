"""The queue: claims by ready destination, attempts counted before the work, settling fenced by epochs."""

from typing import Any

import msgspec
import pytest
from tests.stores.making import acceptance, delivery, relay

from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.changes import QueueChanged
from sekisho.ports.directory import Account
from sekisho.ports.leases import Owner
from sekisho.ports.spool import DestinationState, Outcome, QueueJob, StaleLease
from sekisho.testing.clock import ManualClock

ONE, TWO = Owner("host", 0, 1), Owner("host", 1, 2)
BUSY = Reply.of(451, "4.7.1", "Come back later")
GONE = Reply.of(550, "5.1.1", "No such user")
FINE = Reply.of(250, "2.0.0", "Ok")


def outcomes(job: QueueJob, result: Any, reply: Reply | None = None, **fields: Any) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(recipient_id=recipient.id, result=result, reply=reply, **fields)
        for recipient in job.recipients
    )


async def queue(
    store: Any, clock: ManualClock, *addresses: str, octets: bytes = b"hello", **fields: Any
) -> str:
    relays = []
    for address in addresses:
        local, _, domain = address.partition("@")
        relays.append(relay(local, domain, clock.now_us(), **fields))
    item = acceptance(store, octets, relays=tuple(relays), origin="submission", account_id=7)
    await store.spool.accept(item)
    return item.message_id


async def test_a_job_has_the_recipients_of_one_next_hop(store: Any, clock: ManualClock) -> None:
    envelope = Envelope(
        reverse_path=ReversePath(Address("se nder", "here.test")),
        body="8BITMIME",
        smtputf8=True,
        ret="HDRS",
        envid="e+1",
        declared_octets=5,
    )
    recipient = Recipient(Address("\u00fc", "b.test"), frozenset({"SUCCESS", "DELAY"}), "rfc822;u@b.test")
    loose = Recipient(Address("a..b", "docomo.ne.jp", loose_dots=True))
    base = relay("x", "a.test", clock.now_us())
    item = acceptance(
        store,
        b"body",
        envelope=envelope,
        relays=(
            base,
            msgspec.structs.replace(base, recipient=recipient, next_hop="b.test"),
            msgspec.structs.replace(base, recipient=loose, next_hop="b.test"),
        ),
        origin="dsn",
        account_id=42,
    )
    await store.spool.accept(item)
    jobs = await store.spool.claim(ONE, 10)
    assert sorted((job.next_hop, len(job.recipients)) for job in jobs) == [("a.test", 1), ("b.test", 2)]
    job = next(job for job in jobs if job.next_hop == "b.test")
    assert job.envelope == envelope
    assert [r.recipient for r in job.recipients] == [recipient, loose]
    assert job.recipients[1].recipient.address.loose_dots
    assert (job.message_id, job.owner, job.origin, job.account_id) == (item.message_id, ONE, "dsn", 42)
    assert job.size_octets == len(b"Received: here\r\nbody")
    assert job.arrived_at_us == clock.now_us()
    assert job.epoch > 0
    assert {(r.state, r.attempts, r.last_attempt_at_us) for r in job.recipients} == {
        ("claimed", 1, clock.now_us())
    }
    octets = await store.spool.open_queued(item.message_id)
    assert await octets.read(0, 100) == b"Received: here\r\nbody"
    assert await store.spool.claim(TWO, 10) == []


async def test_a_fresh_lease_is_claimed_by_the_accepting_worker(store: Any, clock: ManualClock) -> None:
    relays = (
        relay("x", "a.test", clock.now_us(), fresh_lease=ONE),
        relay("y", "a.test", clock.now_us(), fresh_lease=ONE),
        relay("z", "b.test", clock.now_us(), fresh_lease=ONE),
        relay("held", "b.test", clock.now_us(), fresh_lease=ONE, held=True),
        relay("early", "c.test", clock.now_us() + 1, fresh_lease=ONE),
    )
    item = acceptance(store, b"body", relays=relays)
    accepted = await store.spool.accept(item)
    assert [(job.next_hop, len(job.recipients)) for job in accepted.jobs] == [("a.test", 2), ("b.test", 1)]
    assert await store.spool.claim(TWO, 10) == []
    for job in accepted.jobs:
        assert [(r.state, r.attempts) for r in job.recipients] == [("claimed", 1)] * len(job.recipients)
        await store.spool.settle(job, outcomes(job, "delivered", FINE))
    queued = await store.spool.queued(item.message_id)
    assert [r.state for r in queued.recipients] == ["delivered", "delivered", "delivered", "held", "waiting"]


async def test_no_fresh_lease_while_the_destination_backs_off(store: Any, clock: ManualClock) -> None:
    await queue(store, clock, "x@a.test")
    (job,) = await store.spool.claim(ONE, 1)
    later = clock.now_us() + 60_000_000
    await store.spool.settle(
        job, outcomes(job, "deferred", BUSY, retry_at_us=clock.now_us()), not_before_us=later
    )
    item = acceptance(store, b"", relays=(relay("y", "a.test", clock.now_us(), fresh_lease=ONE),))
    assert (await store.spool.accept(item)).jobs == ()
    assert await store.spool.next_due_at_us() == later


async def test_deliveries_and_relays_are_one_transaction(
    store: Any, clock: ManualClock, alice: Account
) -> None:
    item = acceptance(
        store, b"x" * 20_000, deliveries=(delivery(alice),), relays=(relay("x", "a.test", clock.now_us()),)
    )
    store.changes.published.clear()
    accepted = await store.spool.accept(item)
    assert accepted.delivered_account_ids == (alice.id,)
    assert QueueChanged() in store.changes.published
    (job,) = await store.spool.claim(ONE, 9)
    await store.spool.settle(job, outcomes(job, "delivered"))
    assert await store.spool.open_queued(item.message_id) is None
    info = await store.mail.mailbox(alice.id, "INBOX")
    octets = await store.mail.open(info.id, 1)
    assert (await octets.read(0, 30_000)).endswith(b"x" * 20_000)


async def test_what_is_done_goes_and_what_waits_stays(store: Any, clock: ManualClock) -> None:
    message_id = await queue(store, clock, "x@a.test", "y@a.test", "z@b.test", octets=b"x" * 30_000)
    jobs = {job.next_hop: job for job in await store.spool.claim(ONE, 9)}
    a = jobs["a.test"]
    retry = clock.now_us() + 300_000_000
    await store.spool.settle(
        a,
        (
            Outcome(recipient_id=a.recipients[0].id, result="failed", reply=GONE),
            Outcome(
                recipient_id=a.recipients[1].id,
                result="deferred",
                reply=BUSY,
                retry_at_us=retry,
                delay_notified=True,
            ),
        ),
    )
    await store.spool.settle(jobs["b.test"], outcomes(jobs["b.test"], "delivered", FINE))
    queued = await store.spool.queued(message_id)
    assert [r.state for r in queued.recipients] == ["failed", "waiting", "delivered"]
    assert [r.last_reply for r in queued.recipients] == [str(GONE), str(BUSY), str(FINE)]
    assert (
        queued.recipients[1].due_at_us,
        queued.recipients[1].delay_notified,
        queued.recipients[1].attempts,
    ) == (retry, True, 1)
    assert queued.next_hops == ("a.test", "a.test", "b.test")
    assert await store.spool.next_due_at_us() == retry
    assert await store.spool.claim(ONE, 9) == []
    clock.advance(300)
    (job,) = await store.spool.claim(TWO, 9)
    assert [(r.attempts, r.delay_notified, r.last_reply) for r in job.recipients] == [(2, True, str(BUSY))]
    await store.spool.settle(job, outcomes(job, "delivered", FINE))
    assert await store.spool.queued(message_id) is None
    assert await store.spool.next_due_at_us() is None
    assert await store.spool.queue() == []


async def test_settle_is_fenced(store: Any, clock: ManualClock) -> None:
    message_id = await queue(store, clock, "x@a.test")
    (first,) = await store.spool.claim(ONE, 9)
    await store.leases.free_owner(ONE)
    (second,) = await store.spool.claim(TWO, 9)
    assert second.epoch != first.epoch
    with pytest.raises(StaleLease):
        await store.spool.settle(first, outcomes(first, "delivered"), notices=(acceptance(store, b"dsn"),))
    assert (await store.spool.queued(message_id)).recipients[0].state == "claimed"
    await store.spool.settle(second, outcomes(second, "delivered"))
    for job in (first, second):
        with pytest.raises(StaleLease):
            await store.spool.settle(job, outcomes(job, "delivered"))


async def test_settle_wants_an_outcome_for_everybody(store: Any, clock: ManualClock) -> None:
    message_id = await queue(store, clock, "x@a.test", "y@a.test")
    (job,) = await store.spool.claim(ONE, 9)
    with pytest.raises(ValueError, match="one outcome"):
        await store.spool.settle(job, outcomes(job, "delivered")[:1])
    assert {r.state for r in (await store.spool.queued(message_id)).recipients} == {"claimed"}


async def test_notices_are_accepted_with_the_outcome(store: Any, clock: ManualClock, alice: Account) -> None:
    await queue(store, clock, "x@a.test")
    (job,) = await store.spool.claim(ONE, 9)
    local = acceptance(store, b"dsn" * 10_000, deliveries=(delivery(alice),), origin="dsn")
    remote = acceptance(store, b"dsn", relays=(relay("sender", "c.test", clock.now_us()),), origin="dsn")
    assert await store.spool.settle(job, outcomes(job, "failed", GONE), notices=(local, remote)) == ()
    assert (await store.mail.mailbox(alice.id, "INBOX")).messages == 1
    assert [(q.message_id, q.origin) for q in await store.spool.queue()] == [(remote.message_id, "dsn")]


async def test_a_notice_for_a_full_mailbox_is_named(store: Any, clock: ManualClock, alice: Account) -> None:
    await store.directory.set_quota(alice.id, 10)
    await queue(store, clock, "x@a.test")
    (job,) = await store.spool.claim(ONE, 9)
    notice = acceptance(store, b"dsn" * 10, deliveries=(delivery(alice),), origin="dsn")
    assert await store.spool.settle(job, outcomes(job, "failed", GONE), notices=(notice,)) == (notice,)
    assert await store.spool.queue() == []


async def test_three_crashes_park_it(store: Any, clock: ManualClock) -> None:
    message_id = await queue(store, clock, "x@a.test")
    for attempt in (1, 2, 3):
        (job,) = await store.spool.claim(ONE, 9)
        assert job.recipients[0].attempts == attempt
        await store.leases.free_host("host")
    assert (await store.spool.queued(message_id)).recipients[0].state == "parked"
    assert await store.spool.claim(ONE, 9) == []
    assert await store.spool.next_due_at_us() is None
    assert await store.spool.retry(message_id) == 1
    (job,) = await store.spool.claim(ONE, 9)
    # A settled attempt is no crash: the count begins anew.
    await store.spool.settle(job, outcomes(job, "deferred", BUSY, retry_at_us=clock.now_us()))
    for _ in range(2):
        (job,) = await store.spool.claim(ONE, 9)
        await store.leases.free_owner(ONE)
    (job,) = await store.spool.claim(ONE, 9)


async def test_free_host_frees_only_that_host(store: Any, clock: ManualClock) -> None:
    await queue(store, clock, "x@a.test")
    await queue(store, clock, "x@b.test")
    (mine,) = await store.spool.claim(Owner("hos", 0, 1), 1)
    (other,) = await store.spool.claim(Owner("host2", 0, 1), 1)
    await store.leases.free_host("host")
    assert await store.spool.claim(ONE, 9) == []
    await store.leases.free_host("hos")
    assert [job.message_id for job in await store.spool.claim(ONE, 9)] == [mine.message_id]
    await store.spool.settle(other, outcomes(other, "delivered"))


async def test_an_interrupted_attempt_does_not_count(store: Any, clock: ManualClock) -> None:
    await queue(store, clock, "x@a.test")
    for _ in range(5):
        (job,) = await store.spool.claim(ONE, 9)
        assert job.recipients[0].attempts == 1
        await store.spool.settle(
            job, outcomes(job, "deferred", None, retry_at_us=clock.now_us(), interrupted=True)
        )


async def test_back_off_holds_the_whole_destination(store: Any, clock: ManualClock) -> None:
    for _ in range(3):
        await queue(store, clock, "x@slow.test")
    other = await queue(store, clock, "x@fast.test")
    (job,) = [job for job in await store.spool.claim(ONE, 2) if job.next_hop == "slow.test"][:1]
    later = clock.now_us() + 120_000_000
    await store.spool.settle(
        job, outcomes(job, "deferred", BUSY, retry_at_us=clock.now_us() + 5_000_000), not_before_us=later
    )
    assert await store.spool.destinations() == [DestinationState("slow.test", later, 1, str(BUSY))]
    await store.leases.free_owner(ONE)
    assert [job.message_id for job in await store.spool.claim(TWO, 9)] == [other]
    assert await store.spool.next_due_at_us() == later
    clock.advance(120)
    jobs = await store.spool.claim(TWO, 9)
    assert len(jobs) == 3
    await store.spool.settle(
        jobs[0], outcomes(jobs[0], "deferred", BUSY, retry_at_us=later), not_before_us=later + 1
    )
    assert (await store.spool.destinations())[0].failures == 2
    await store.spool.settle(jobs[1], outcomes(jobs[1], "delivered"))
    assert await store.spool.destinations() == []
    assert await store.spool.next_due_at_us() == later


async def test_claim_is_fair_over_destinations_and_bounded(store: Any, clock: ManualClock) -> None:
    for _ in range(6):
        await queue(store, clock, "x@big.test")
    clock.advance(1)
    await queue(store, clock, "x@small.test")
    jobs = await store.spool.claim(ONE, 7)
    assert len(jobs) == 7
    assert len({(job.message_id, job.next_hop) for job in jobs}) == 7


async def test_hold_release_drop(store: Any, clock: ManualClock) -> None:
    message_id = await queue(store, clock, "x@a.test", "y@b.test")
    assert await store.spool.hold(message_id, True) == 2
    assert await store.spool.claim(ONE, 9) == []
    assert await store.spool.next_due_at_us() is None
    assert await store.spool.retry(message_id) == 0
    assert await store.spool.hold(message_id, False) == 2
    assert len(await store.spool.claim(ONE, 9)) == 2
    assert await store.spool.hold(message_id, True) == 0
    assert await store.spool.hold("none", True) == 0
    assert await store.spool.drop(message_id) == 2
    assert await store.spool.drop(message_id) == 0
    assert await store.spool.queued(message_id) is None
    assert await store.spool.open_queued(message_id) is None


async def test_held_from_the_start(store: Any, clock: ManualClock) -> None:
    message_id = await queue(store, clock, "x@a.test", held=True)
    assert (await store.spool.queued(message_id)).recipients[0].state == "held"
    assert await store.spool.claim(ONE, 9) == []
    assert await store.spool.hold(message_id, False) == 1
    assert len(await store.spool.claim(ONE, 9)) == 1


async def test_retry_makes_everything_due_and_clears_back_off(store: Any, clock: ManualClock) -> None:
    for domain in ("a.test", "b.test"):
        await queue(store, clock, f"x@{domain}")
    for job in await store.spool.claim(ONE, 9):
        later = clock.now_us() + 10**10
        await store.spool.settle(job, outcomes(job, "deferred", BUSY, retry_at_us=later), not_before_us=later)
    assert await store.spool.claim(ONE, 9) == []
    assert await store.spool.retry(None) == 2
    assert await store.spool.destinations() == []
    assert len(await store.spool.claim(ONE, 9)) == 2


async def test_queue_lists_oldest_first(store: Any, clock: ManualClock) -> None:
    ids = []
    for _ in range(3):
        ids.append(await queue(store, clock, "x@a.test"))
        clock.advance(1)
    assert [q.message_id for q in await store.spool.queue()] == ids
    assert [q.message_id for q in await store.spool.queue(2)] == ids[:2]
    (first, *_) = await store.spool.queue()
    assert (first.account_id, first.origin, first.size_octets) == (
        7,
        "submission",
        len(b"Received: here\r\nhello"),
    )
