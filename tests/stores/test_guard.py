"""The guard's memory in every store: debits in the accepting transaction, cases, what is held, released and
purged."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.stores.making import acceptance, delivery, relay
from tests.stores.sending import DELIVERED, LATER, MESSAGE, NO_SUCH, OWNER, Sender, outcomes, states

from sekisho.core.policy.takeover.judge import judge_by, oldest_kept
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import DAY_US
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Recipient
from sekisho.ports.directory import Account
from sekisho.ports.guard import Release
from sekisho.ports.outgoing import MAILBOX_HOP
from sekisho.ports.spool import Accepted
from sekisho.testing.clock import ManualClock


@pytest.fixture
def sender(store: Any, clock: ManualClock, alice: Account) -> Sender:
    return Sender(store, clock, alice)


async def test_ordinary_mail_goes_at_once_and_its_recipients_become_known(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    for expected in (1, 0):
        message_id, accepted = await sender.send("bob@there.test")
        assert (
            accepted.decision.verdict.action == "pass"
            and accepted.decision.case_id == 0
            and len(accepted.jobs) == 1
        )
        (sent,) = [
            sent for sent in await store.guard.sent(sender.account.id, 0) if sent.message_id == message_id
        ]
        assert (sent.strangers, sent.credential_id, sent.network, sent.client) == (
            expected,
            "password",
            "192.0.2.0/24",
            "mutt",
        )
    watched = await store.guard.watched(sender.account.id)
    assert (watched.state.first_time, watched.state.recipients, watched.state.messages) == (1, 2, 2)


async def test_whom_others_here_know_for_a_day_is_no_stranger(
    store: Any, clock: ManualClock, sender: Sender, bob: Account
) -> None:
    other = Sender(store, clock, bob)
    await sender.send("x@there.test", "y@there.test")
    await other.send("x@there.test")
    clock.advance(2 * 86_400)
    await other.send("y@there.test", "z@there.test")
    assert [sent.strangers for sent in await store.guard.sent(bob.id, 0)] == [1, 1]


async def test_five_new_recipients_in_ten_minutes_wait_a_minute(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    _, accepted = await sender.send(*(f"r{n}@there.test" for n in range(5)))
    assert accepted.decision.verdict.action == "slow" and accepted.jobs == ()
    assert await store.spool.claim(OWNER, 10) == []
    clock.advance(60)
    assert len(await store.spool.claim(OWNER, 10)) == 1


async def test_an_answer_to_a_message_that_the_account_holds_counts_less(
    store: Any, sender: Sender, alice: Account
) -> None:
    received = acceptance(store, MESSAGE, deliveries=(delivery(alice),), header_message_id="q1@there.test")
    await store.spool.accept(received)
    await sender.send("a@there.test", answered="q1@there.test")
    await sender.send("b@there.test", answered="unknown@there.test")
    hour = (await store.guard.watched(alice.id)).state.hours[-1]
    assert hour.strangers == 1 + 3


async def test_over_the_budget_everything_of_the_credential_is_held(
    store: Any, clock: ManualClock, sender: Sender, bob: Account
) -> None:
    store.guard.use(judge_by(GuardRules(first_time_per_day=3)))
    early, _ = await sender.send("r0@there.test", fresh=False)
    other_id, _ = await Sender(store, clock, sender.account, "phone").send("q@there.test", fresh=False)
    late, accepted = await sender.send("r1@there.test", "r2@there.test", "r3@there.test", here=bob)
    assert accepted.decision.case_id and accepted.decision.verdict.action == "hold" and accepted.jobs == ()
    assert accepted.delivered_account_ids == () and (await store.mail.mailbox(bob.id, "INBOX")).messages == 0
    assert await states(store, early) == {"r0@there.test": "held"} and await states(store, other_id) == {
        "q@there.test": "waiting"
    }
    assert set((await states(store, late)).values()) == {"held"} and "bob@example.test" in await states(
        store, late
    )
    queued = await store.spool.queued(late)
    assert queued.next_hops[-1] == MAILBOX_HOP
    (case,) = await store.guard.cases()
    assert (case.id, case.action, case.credential_id) == (accepted.decision.case_id, "hold", "password")
    assert case.reasons[0].signal == "first-time-budget" and "5 first-time recipients" in str(case.reasons[0])
    assert [sent.message_id for sent in await store.guard.held(sender.account.id)] == [early, late]
    assert (
        await store.guard.held_accounts() == {sender.account.id: 2}
        and (await store.guard.sent_message(late)).case_id == case.id
    )
    assert await store.guard.sent_message("unknown") is None
    assert await store.guard.holding(early) == case and await store.guard.holding(other_id) is None
    assert [c.id for c in await store.guard.unfinished()] == [case.id]
    await store.guard.note(case.id, announced_at_us=5, done=("One.",))
    await store.guard.note(case.id, done=("One.", "Two."))
    assert await store.guard.unfinished() == [] and (
        await store.guard.open_case(sender.account.id, "password")
    ).done == ("One.", "Two.")
    clock.advance(100)
    assert [job.message_id for job in await store.spool.claim(OWNER, 10)] == [other_id]


async def test_observing_only_writes_down(store: Any, sender: Sender) -> None:
    store.guard.use(judge_by(GuardRules(mode="observe", first_time_per_day=1)))
    _, accepted = await sender.send("a@there.test", "b@there.test")
    assert accepted.decision.verdict.holds and not accepted.decision.case_id and len(accepted.jobs) == 1
    assert await store.guard.cases() == []
    store.guard.use(judge_by(GuardRules(mode="off")))
    _, accepted = await sender.send("c@there.test")
    assert accepted.decision is None and len(await store.guard.sent(sender.account.id, 0)) == 1


async def test_a_released_message_goes_once_with_its_new_prefix(
    store: Any, clock: ManualClock, sender: Sender, bob: Account
) -> None:
    case_id = await sender.open_a_case()
    message_id, accepted = await sender.send("r@there.test", here=bob)
    assert accepted.decision.case_id == case_id
    clock.advance(10 * 86_400)
    copy = delivery(bob, delivery_id=f"{message_id}/{bob.id}/0", prefix=b"Return-Path: <a@x>\r\nNew: 1\r\n")
    release = Release(
        prefix=b"New: 1\r\n",
        deliveries=(copy,),
        now_us=clock.now_us(),
        expires_at_us=clock.now_us() + 5 * DAY_US,
        header_message_id="m1@example.test",
    )
    assert await store.guard.release(message_id, release) == (2, 0)
    assert await store.guard.release(message_id, release) == (0, 0)
    info = await store.mail.mailbox(bob.id, "INBOX")
    octets = await store.mail.open(info.id, 1)
    assert info.messages == 1 and await octets.read(0, 1000) == copy.prefix + MESSAGE
    (job,) = await store.spool.claim(OWNER, 10)
    assert job.recipients[0].expires_at_us == release.expires_at_us and job.size_octets == len(
        b"New: 1\r\n" + MESSAGE
    )
    opened = await store.spool.open_queued(message_id)
    assert await opened.read(0, 1000) == b"New: 1\r\n" + MESSAGE
    await store.spool.settle(job, outcomes(job, "delivered", DELIVERED))
    assert await store.spool.queued(message_id) is None and await store.spool.claim(OWNER, 10) == []
    assert await store.guard.held(sender.account.id) == []
    assert await octets.read(0, 1000) == copy.prefix + MESSAGE


async def test_only_a_mailbox_is_released_too_and_a_full_one_waits(
    store: Any, clock: ManualClock, sender: Sender, bob: Account
) -> None:
    await sender.open_a_case()
    message_id, _ = await sender.send(here=bob)
    copy = delivery(bob, delivery_id=f"{message_id}/{bob.id}/0")
    release = Release(
        prefix=b"", deliveries=(copy,), now_us=clock.now_us(), expires_at_us=clock.now_us() + DAY_US
    )
    await store.directory.set_quota(bob.id, 10)
    assert await store.guard.release(message_id, release) == (0, 1)
    assert [sent.message_id for sent in await store.guard.held(sender.account.id)] == [message_id]
    await store.directory.set_quota(bob.id, 0)
    assert await store.guard.release(message_id, release) == (1, 0)
    assert (await store.mail.mailbox(bob.id, "INBOX")).messages == 1 and await store.spool.queued(
        message_id
    ) is None


async def test_what_is_purged_is_gone_and_unlearnt(
    store: Any, clock: ManualClock, sender: Sender, bob: Account
) -> None:
    await sender.send("friend@there.test")
    clock.advance(3 * 86_400)
    case_id = await sender.open_a_case()
    message_id, _ = await sender.send("spam1@there.test", "spam2@there.test", here=bob)
    assert await store.guard.purge(sender.account.id) == (1, 3)
    assert await store.spool.queued(message_id) is None and await store.guard.purge(sender.account.id) == (
        0,
        0,
    )
    await store.guard.close_case(case_id, "purged")
    await store.guard.close_case(case_id, "forgiven")
    (case,) = await store.guard.cases(sender.account.id, only_open=False)
    assert (case.ending, case.closed_at_us) == ("purged", clock.now_us()) and await store.guard.cases() == []
    await sender.send("friend@there.test")
    await sender.send("spam1@there.test")
    assert [sent.strangers for sent in await store.guard.sent(sender.account.id, 0)] == [1, 2, 0, 1]


async def test_forgiving_lets_mail_go_again(store: Any, sender: Sender) -> None:
    store.guard.use(judge_by(GuardRules(first_time_per_day=1)))
    _, accepted = await sender.send("a@there.test", "b@there.test")
    await store.guard.close_case(accepted.decision.case_id, "forgiven")
    _, accepted = await sender.send("c@there.test")
    assert accepted.decision.case_id == 0 and len(accepted.jobs) == 1
    assert len(await store.guard.held(sender.account.id)) == 1


async def test_outcomes_are_remembered_and_bounces_open_a_case(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    store.guard.use(judge_by(GuardRules(hold_at=40)))
    waiting, _ = await sender.send("w@late.test", fresh=False)
    addresses = [f"gone{n}@there.test" for n in range(4)]
    clock.advance(700)  # another ten minutes
    jobs = [(await sender.send(address))[1].jobs[0] for address in addresses]
    clock.advance(700)
    deferred, good, *bad = jobs
    await store.spool.settle(good, outcomes(good, "delivered", DELIVERED))
    assert await store.guard.cases() == []
    for job in bad:
        clock.advance(1)
        await store.spool.settle(job, outcomes(job, "failed", NO_SUCH))
    await sender.send("another@there.test", fresh=False)
    assert await store.guard.cases() == []  # two are not yet many
    (_, accepted) = await sender.send("gone9@there.test")
    await store.spool.settle(accepted.jobs[0], outcomes(accepted.jobs[0], "failed", NO_SUCH))
    (case,) = await store.guard.cases()
    assert case.reasons[0].signal == "bounces"
    assert await states(store, waiting) == {"w@late.test": "held"}
    await store.spool.settle(deferred, outcomes(deferred, "deferred", LATER, retry_at_us=clock.now_us()))
    assert await states(store, deferred.message_id) == {"gone0@there.test": "held"}
    left = await store.guard.left(sender.account.id, 0)
    assert [(row.address, row.result) for row in left] == [
        ("gone1@there.test", "delivered"),
        ("gone2@there.test", "failed"),
        ("gone3@there.test", "failed"),
        ("gone9@there.test", "failed"),
    ]
    assert await store.guard.left(sender.account.id, clock.now_us() + 1) == []


async def test_a_job_that_met_a_case_is_put_back_untried(store: Any, sender: Sender) -> None:
    message_id, accepted = await sender.send("a@there.test")
    case_id = await sender.open_a_case()
    assert (await store.guard.holding(message_id)).id == case_id
    (job,) = accepted.jobs
    await store.spool.settle(job, outcomes(job, "held", LATER))
    queued = await store.spool.queued(message_id)
    assert (queued.recipients[0].state, queued.recipients[0].attempts) == ("held", 0)
    assert [sent.message_id for sent in await store.guard.held(sender.account.id)] == [message_id]


async def test_a_graver_verdict_makes_the_case_graver(store: Any, sender: Sender) -> None:
    case_id = await sender.open_a_case()
    await store.guard.note(case_id, announced_at_us=7)
    case = await store.guard.hold(sender.account.id, "password", "freeze", Reason("test", 200, "Worse."))
    assert (case.id, case.action, case.score) == (case_id, "freeze", 200)
    assert [c.id for c in await store.guard.unfinished()] == [case_id]
    await store.guard.note(case_id, frozen_at_us=8)
    assert await store.guard.unfinished() == []


async def test_rights_and_recovery_address(store: Any, sender: Sender, alice: Account) -> None:
    assert (await store.guard.watched(alice.id)).bulk is False
    await store.guard.set_bulk(alice.id, True)
    await store.guard.set_recovery_address(alice.id, "alice@elsewhere.test")
    await sender.send("a@there.test")
    watched = await store.guard.watched(alice.id)
    assert (watched.bulk, watched.recovery_address, watched.state.messages) == (
        True,
        "alice@elsewhere.test",
        1,
    )
    _, accepted = await sender.send(*(f"r{n}@there.test" for n in range(300)))
    assert accepted.decision.verdict.action == "pass"


async def test_old_records_are_forgotten_but_not_what_is_held(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    _, accepted = await sender.send("a@there.test")
    await store.spool.settle(accepted.jobs[0], outcomes(accepted.jobs[0], "delivered", DELIVERED))
    case_id = await sender.open_a_case()
    held_id, _ = await sender.send("b@there.test")
    await store.guard.close_case(case_id, "forgiven")
    await store.guard.sweep(oldest_kept(clock.now_us()))
    assert len(await store.guard.sent(sender.account.id, 0)) == 2
    clock.advance(800 * 86_400)
    await store.guard.sweep(oldest_kept(clock.now_us()))
    assert [sent.message_id for sent in await store.guard.sent(sender.account.id, 0)] == [held_id]
    assert (
        await store.guard.left(sender.account.id, 0) == [] and await store.guard.cases(only_open=False) == []
    )
    await sender.send("a@there.test")
    assert (await store.guard.sent(sender.account.id, 0))[-1].strangers == 1


async def test_a_purged_account_leaves_nothing_to_the_next_one(
    store: Any, sender: Sender, alice: Account
) -> None:
    await sender.send("a@there.test")
    await sender.open_a_case()
    await store.guard.set_bulk(alice.id, True)
    await store.directory.purge_account(alice.id)
    assert await store.guard.cases(only_open=False) == [] and await store.guard.sent(alice.id, 0) == []
    assert await store.guard.watched(alice.id) == replace(await store.guard.watched(1), account_id=alice.id)


async def test_an_operator_holds_all_that_an_account_sends(
    store: Any, clock: ManualClock, sender: Sender, alice: Account, bob: Account
) -> None:
    """What waits already, of any credential; what was under way and comes back; what is submitted from then
    on; and nobody else's."""
    other = Sender(store, clock, bob)
    app = Sender(store, clock, alice, "app-1")
    first, _ = await sender.send("a@there.test", fresh=False)
    second, _ = await app.send("b@there.test", fresh=False)
    under_way, accepted = await sender.send("c@there.test")
    theirs, _ = await other.send("d@there.test", fresh=False)
    await store.directory.set_state(alice.id, "sending_held")
    assert await store.guard.keep_back(alice.id) == 2
    assert await store.guard.keep_back(alice.id) == 0
    (job,) = accepted.jobs
    await store.spool.settle(job, outcomes(job, "deferred", LATER, retry_at_us=clock.now_us()))
    assert [await states(store, one) for one in (first, second, under_way, theirs)] == [
        {"a@there.test": "held"},
        {"b@there.test": "held"},
        {"c@there.test": "held"},
        {"d@there.test": "waiting"},
    ]
    item = acceptance(
        store,
        MESSAGE,
        message_id="later",
        relays=(relay("e", "there.test", clock.now_us(), fresh_lease=OWNER),),
        deliveries=(delivery(bob, delivery_id="later/0"),),
        origin="submission",
        account_id=alice.id,
        kept_back=(Recipient(Address.from_text(bob.address)),),
    )
    assert await store.spool.accept(item) == Accepted(delivered_account_ids=(), over_quota_account_ids=())
    assert await states(store, "later") == {"e@there.test": "held", bob.address: "held"}
    assert {sent.message_id for sent in await store.guard.held(alice.id)} == {
        first,
        second,
        under_way,
        "later",
    }
    assert await store.guard.held_accounts() == {alice.id: 4}
    clock.advance(86_400)
    assert [job.message_id for job in await store.spool.claim(OWNER, 10)] == [theirs]
    assert await store.guard.purge(alice.id) == (4, 5)
    assert await store.guard.held_accounts() == {}
