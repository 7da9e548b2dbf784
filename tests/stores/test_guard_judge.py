"""A store has no opinion about an account: it asks the judge that it was given, with what it has on
record, and does what it is told."""

import ast
from pathlib import Path
from typing import Any

import pytest
from tests.stores.making import acceptance, delivery
from tests.stores.sending import DELIVERED, LATER, MESSAGE, OWNER, Sender, outcomes, states

import sekisho.adapters.stores
from sekisho.core.policy.takeover.judge import (
    CaseClosed,
    HoldOrdered,
    JobSettled,
    Occasion,
    OnRecord,
    Ruling,
    judge_by,
    oldest_kept,
)
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import Outgoing, key_of
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import DAY_US, State
from sekisho.core.policy.takeover.verdict import PASSED, Verdict
from sekisho.ports.directory import Account
from sekisho.testing.clock import ManualClock

ODD = Verdict("hold", 7, 0, (Reason("odd", 7, "The judge of this test says so."),))
WORSE = Verdict("freeze", 8, 0, (Reason("odd", 8, "And again."),))


class Scripted:
    """Says what it was told to say, and remembers what it was asked."""

    def __init__(self, *rulings: Ruling | None) -> None:
        self.rulings = list(rulings)
        self.asked: list[tuple[Occasion, OnRecord]] = []

    def __call__(self, occasion: Occasion, record: OnRecord) -> Ruling | None:
        self.asked.append((occasion, record))
        return self.rulings.pop(0) if self.rulings else Ruling()


def given(store: Any, *rulings: Ruling | None) -> Scripted:
    judge = Scripted(*rulings)
    store.guard.use(judge)
    return judge


@pytest.fixture
def sender(store: Any, clock: ManualClock, alice: Account) -> Sender:
    return Sender(store, clock, alice)


async def test_the_judge_is_asked_once_with_what_is_on_record(
    store: Any, clock: ManualClock, sender: Sender, alice: Account, bob: Account
) -> None:
    """Whom the account wrote to, whom the house did, whether it holds what it answers: read, not judged."""
    friend, neighbour, stranger = (
        key_of(f"{name}@there.test") for name in ("friend", "neighbour", "stranger")
    )
    given(store, Ruling(met=(friend,)), Ruling(met=(neighbour,)))
    await sender.send("friend@there.test")
    friend_us = clock.now_us()
    await Sender(store, clock, bob).send("neighbour@there.test")
    await store.guard.set_bulk(alice.id, True)
    received = acceptance(store, MESSAGE, deliveries=(delivery(alice),), header_message_id="q1@there.test")
    await store.spool.accept(received)
    clock.advance(3 * 86_400)
    judge = given(store)
    _, accepted = await sender.send(
        "friend@there.test", "neighbour@there.test", "stranger@there.test", here=bob, answered="q1@there.test"
    )
    ((occasion, record),) = judge.asked
    assert isinstance(occasion, Outgoing) and [key for key, _ in occasion.elsewhere] == [
        friend,
        neighbour,
        stranger,
    ]
    assert dict(record.known) == {friend: friend_us} and set(record.house) == {neighbour}
    assert record.bulk and record.has_answered and record.case == "" and record.state == State()
    assert accepted.decision.verdict is PASSED and accepted.decision.case_id == 0 and len(accepted.jobs) == 1
    await sender.send("stranger@there.test", answered="unknown@there.test")
    assert not judge.asked[1][1].has_answered and stranger not in judge.asked[1][1].known


async def test_a_neighbour_of_today_is_not_yet_the_house_s(
    store: Any, clock: ManualClock, sender: Sender, bob: Account
) -> None:
    key = key_of("x@there.test")
    judge = given(store, Ruling(met=(key,)))
    await Sender(store, clock, bob).send("x@there.test")
    clock.advance(3600)
    await sender.send("x@there.test")
    assert set(judge.asked[1][1].house) == set()
    clock.advance(86_400)
    await sender.send("x@there.test")
    assert set(judge.asked[2][1].house) == {key}


async def test_its_state_is_kept_and_given_back_next_time(store: Any, sender: Sender) -> None:
    judge = given(store, Ruling(state=State(messages=77)), Ruling())
    await sender.send("a@there.test")
    await sender.send("a@there.test")
    await sender.send("a@there.test")
    assert [record.state.messages for _, record in judge.asked] == [0, 77, 77]
    assert (await store.guard.watched(sender.account.id)).state.messages == 77


async def test_only_whom_the_judge_says_it_met_becomes_known(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    one, two = key_of("one@there.test"), key_of("two@there.test")
    judge = given(store, Ruling(met=(two,)))
    await sender.send("one@there.test", "two@there.test")
    clock.advance(60)
    await sender.send("one@there.test", "two@there.test")
    assert one not in judge.asked[1][1].known and two in judge.asked[1][1].known


async def test_it_holds_however_harmless_the_message_looks(
    store: Any, clock: ManualClock, sender: Sender, bob: Account
) -> None:
    """The case is opened as told, with what waits of the credential since then; nothing is delivered, here
    or elsewhere."""
    too_early, _ = await sender.send("old@there.test", fresh=False)
    clock.advance(100)
    waiting, _ = await sender.send("new@there.test", fresh=False)
    other, _ = await Sender(store, clock, sender.account, "phone").send("q@there.test", fresh=False)
    since_us = clock.now_us() - 50_000_000
    judge = given(store, Ruling(verdict=ODD, case="hold", since_us=since_us, holds=True, strangers=5))
    message_id, accepted = await sender.send("friend@there.test", here=bob)
    (case,) = await store.guard.cases()
    assert accepted.decision.verdict is ODD and accepted.decision.case_id == case.id and accepted.jobs == ()
    assert (case.action, case.score, case.since_us, case.reasons) == ("hold", 7, since_us, ODD.reasons)
    assert (
        set((await states(store, message_id)).values()) == {"held"} and accepted.delivered_account_ids == ()
    )
    assert await states(store, waiting) == {"new@there.test": "held"}
    assert await states(store, too_early) == {"old@there.test": "waiting"}
    assert await states(store, other) == {"q@there.test": "waiting"}
    sent = await store.guard.sent_message(message_id)
    assert (sent.case_id, sent.score, sent.strangers) == (case.id, 7, 5)
    await sender.send("another@there.test")
    assert judge.asked[1][1].case == "hold"


async def test_it_lets_pass_however_odd_the_verdict_sounds(store: Any, sender: Sender) -> None:
    """A verdict is what the journal is told; what is done about it stands in the ruling. An open case
    holds nothing by itself."""
    await sender.open_a_case()
    given(store, Ruling(verdict=WORSE))
    message_id, accepted = await sender.send("a@there.test")
    assert accepted.decision.case_id == 0 and len(accepted.jobs) == 1
    assert (await store.guard.sent_message(message_id)).case_id == 0
    assert [case.action for case in await store.guard.cases()] == ["hold"]


async def test_it_makes_an_open_case_graver(store: Any, sender: Sender) -> None:
    case_id = await sender.open_a_case()
    given(store, Ruling(verdict=WORSE, case="freeze", since_us=0, holds=True))
    _, accepted = await sender.send("a@there.test")
    (case,) = await store.guard.cases()
    assert (case.id, case.action, case.score) == (
        case_id,
        "freeze",
        8,
    ) and accepted.decision.case_id == case_id
    assert case.since_us > 0


async def test_it_says_how_long_a_message_waits(store: Any, clock: ManualClock, sender: Sender) -> None:
    given(store, Ruling(wait_us=7_000_000))
    _, accepted = await sender.send("a@there.test")
    assert accepted.jobs == ()
    clock.advance(6)
    assert await store.spool.claim(OWNER, 10) == []
    clock.advance(1)
    assert len(await store.spool.claim(OWNER, 10)) == 1


async def test_without_a_ruling_nothing_is_written(store: Any, sender: Sender) -> None:
    given(store, None, None)
    message_id, accepted = await sender.send("a@there.test")
    assert accepted.decision is None and len(accepted.jobs) == 1
    assert await store.guard.sent_message(message_id) is None
    given(store, Ruling(), None)
    _, accepted = await sender.send("b@there.test")
    await store.spool.settle(accepted.jobs[0], outcomes(accepted.jobs[0], "delivered", DELIVERED))
    assert await store.guard.left(sender.account.id, 0) == []


async def test_it_hears_what_became_of_a_message_and_may_open_a_case(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    """Even over a success: the store does not ask itself whether that is bad."""
    waiting, _ = await sender.send("w@late.test", fresh=False)
    message_id, accepted = await sender.send("a@there.test", "b@there.test")
    (job,) = accepted.jobs
    since_us = clock.now_us() - DAY_US
    judge = given(
        store, Ruling(verdict=ODD, state=State(messages=5), case="freeze", since_us=since_us, holds=True)
    )
    good, bad = (
        outcomes(job, "delivered", DELIVERED)[0],
        outcomes(job, "deferred", LATER, retry_at_us=clock.now_us())[1],
    )
    await store.spool.settle(job, (good, bad))
    ((occasion, record),) = judge.asked
    assert isinstance(occasion, JobSettled) and occasion.outcomes == (
        ("delivered", DELIVERED),
        ("deferred", LATER),
    )
    assert (occasion.account_id, occasion.credential_id) == (sender.account.id, "password")
    assert (record.case, record.bulk, record.state.recipients) == ("", False, 3)
    (case,) = await store.guard.cases()
    assert (case.action, case.since_us) == ("freeze", since_us)
    assert (await states(store, message_id))["b@there.test"] == "held"
    assert await states(store, waiting) == {"w@late.test": "held"}
    assert (await store.guard.watched(sender.account.id)).state.messages == 5


async def test_what_waits_again_is_held_only_if_the_judge_says_so(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    message_id, accepted = await sender.send("a@there.test")
    await sender.open_a_case()
    given(store, Ruling())
    (job,) = accepted.jobs
    await store.spool.settle(job, outcomes(job, "deferred", LATER, retry_at_us=clock.now_us()))
    assert await states(store, message_id) == {"a@there.test": "waiting"}


async def test_an_order_to_hold_is_judged_too(store: Any, sender: Sender) -> None:
    judge = given(store, Ruling(verdict=WORSE, case="freeze", since_us=3))
    case = await store.guard.hold(sender.account.id, "password", "hold", Reason("test", 100, "A test."))
    ((occasion, record),) = judge.asked
    assert isinstance(occasion, HoldOrdered) and (occasion.action, occasion.reason.points) == ("hold", 100)
    assert record.case == "" and (case.action, case.score, case.since_us) == ("freeze", 8, 3)
    assert await store.guard.hold(sender.account.id, "password", "freeze", Reason("test", 1, "More.")) == case


async def test_a_closed_case_leaves_the_state_that_the_judge_gives(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    early, late = key_of("early@there.test"), key_of("late@there.test")
    case_id = await sender.open_a_case()
    judge = given(store, Ruling(met=(early,)))
    await sender.send("early@there.test")
    clock.advance(10)
    judge.rulings = [Ruling(met=(late,), state=State(messages=4))]
    await sender.send("late@there.test")
    judge.rulings = [Ruling(state=State(messages=9), forget_since_us=clock.now_us())]
    await store.guard.close_case(case_id, "released")
    occasion, record = judge.asked[2]
    case = (await store.guard.cases(only_open=False))[0]
    assert isinstance(occasion, CaseClosed) and (occasion.ending, occasion.since_us) == (
        "released",
        case.since_us,
    )
    assert (occasion.at_us, occasion.account_id, occasion.credential_id) == (
        clock.now_us(),
        sender.account.id,
        "password",
    )
    assert record.state.messages == 4 and case.ending == "released"
    await store.guard.close_case(case_id, "purged")
    assert len(judge.asked) == 3  # it is closed
    await sender.send("early@there.test", "late@there.test")
    record = judge.asked[3][1]
    assert record.state.messages == 9 and early in record.known and late not in record.known


async def test_observing_beside_an_open_case_holds_nothing(
    store: Any, clock: ManualClock, sender: Sender
) -> None:
    """A case was opened, then the operator chose to observe: what comes now goes, is not listed as held,
    and no purge takes it."""
    await sender.open_a_case()
    store.guard.use(judge_by(GuardRules(mode="observe")))
    message_id, accepted = await sender.send("a@there.test")
    (job,) = accepted.jobs
    assert accepted.decision.case_id == 0 and await store.guard.held(sender.account.id) == []
    await store.spool.settle(job, outcomes(job, "deferred", LATER, retry_at_us=clock.now_us()))
    assert await states(store, message_id) == {"a@there.test": "waiting"}
    assert await store.guard.purge(sender.account.id) == (0, 0)


async def test_what_the_gate_held_is_listed_whatever_the_mode_is_by_now(store: Any, sender: Sender) -> None:
    message_id, accepted = await sender.send("a@there.test")
    await sender.open_a_case()
    store.guard.use(judge_by(GuardRules(mode="off")))
    (job,) = accepted.jobs
    await store.spool.settle(job, outcomes(job, "held", LATER))
    assert [sent.message_id for sent in await store.guard.held(sender.account.id)] == [message_id]


async def test_off_writes_nothing_down(store: Any, sender: Sender) -> None:
    store.guard.use(judge_by(GuardRules(mode="off")))
    message_id, accepted = await sender.send("a@there.test")
    assert accepted.decision is None and await store.guard.sent_message(message_id) is None


def test_records_are_kept_as_long_as_they_tell_something() -> None:
    oldest = oldest_kept(1000 * DAY_US)
    assert (oldest.sent_us, oldest.left_us) == (986 * DAY_US, 940 * DAY_US)
    assert oldest.known_us == oldest.cases_us == 270 * DAY_US


def test_no_store_brings_a_policy_of_its_own() -> None:
    """From the guard's policy a store takes names of records, and the judge of a store that was given
    none."""
    allowed = {"judge_by", "TakeoverJudge", "Ending", "Hold"}
    taken = set()
    for path in Path(sekisho.adapters.stores.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "sekisho.core.policy.takeover"
            ):
                taken |= {(node.module, alias.name) for alias in node.names}
    assert taken, "the stores keep the guard's records"
    for module, name in taken:
        thing = getattr(__import__(str(module), fromlist=[name]), name)
        assert isinstance(thing, type) or name in allowed, f"{module}.{name} is policy: hand it in"
