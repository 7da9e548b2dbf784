"""A fault at every call on a job's way: it ends once, as it would have ended, and nothing stays claimed."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from tests.services.breaking import Breaker
from tests.services.queue.test_queue import CONTENT, DELIVERED, LATER, NO_SUCH_USER, OWNER, World, recipient

from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.config.schema import QueueSettings, RelaySettings
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.directory import Domain
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Acceptance, Outcome, QueueJob, RelayRecipient
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.queue import queue as queue_module
from sekisho.services.queue.queue import Queue
from sekisho.services.queue.surroundings import QueuePorts, QueueRules
from sekisho.services.signing import NO_SIGNING
from sekisho.testing.clock import ManualClock

BOB, EVE = "bob@there.example", "eve@there.example"


class FaultyWorld(World):
    """The world of the queue's tests with every port breakable; `taken` counts what the other side took."""

    def __init__(self) -> None:
        super().__init__(MemoryStore)  # which asks the clock and the dice in the same order each time
        self.breaker = Breaker()
        self.breaker.never_after = frozenset({"carry"})  # what a courier did and did not tell nobody can know
        self.taken: Counter[str] = Counter()
        wrap = self.breaker.wrap
        probe = RecipientProbe(wrap(self.store.directory), "mail.here.example", {})
        ports = QueuePorts(
            spool=wrap(self.store.spool),
            courier=wrap(self),
            recipients=probe,
            changes=self.store.changes,
            clock=wrap(self.clock),
            dice=wrap(self.dice),
            journal=wrap(self.journal),
            metrics=wrap(self.metrics),
            signing=wrap(NO_SIGNING),
            gate=wrap(self.store.guard),
        )
        self.ports = ports
        self.queue = Queue(
            QueueRules.of("mail.here.example", "en", OWNER, QueueSettings(), RelaySettings()), ports
        )

    async def carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        await octets.read(0, 10)
        outcomes = await self.courier.carry(job, octets)
        for row, outcome in zip(job.recipients, outcomes, strict=False):
            if outcome.result == "delivered":
                self.taken[f"{job.message_id[:1]} {row.recipient.address}"] += 1
        return outcomes

    async def start(self) -> None:
        await self.store.directory.add_domain(Domain("here.example", 0))
        self.account = await self.store.directory.add_account(Address.from_text("alice@here.example"), "", "")
        self.run = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """As the worker's keeper does it."""
        while not self.shutdown.is_set:
            try:
                await self.queue.run(self.shutdown)
            except (RuntimeError, StoreUnavailable):
                await asyncio.sleep(0)

    async def stop(self) -> None:
        self.breaker.at = -1
        await super().stop()

    async def submit(self, *recipients: Recipient, fresh: bool = False) -> None:
        """As `put`, by alice's account, so that the gate is asked."""
        content = self.store.spool.open_content()
        content.write(CONTENT)
        now_us = ManualClock.now_us(self.clock)
        relays = tuple(
            RelayRecipient(
                recipient=row,
                next_hop=row.address.domain,
                due_at_us=now_us,
                expires_at_us=now_us + 432_000_000_000,
                fresh_lease=OWNER if fresh else None,
            )
            for row in recipients
        )
        envelope = Envelope(reverse_path=ReversePath(Address("alice", "here.example")))
        accepted = await self.store.spool.accept(
            Acceptance(
                message_id="m1",
                envelope=envelope,
                content=content,
                prefix=b"",
                deliveries=(),
                relays=relays,
                origin="submission",
                account_id=self.account.id,
            )
        )
        self.queue.take(accepted.jobs)

    async def rounds(self, count: int) -> None:
        """So many half hours with the duties of the queue."""
        for _ in range(count):
            for _ in range(60):
                await asyncio.sleep(0)
            await self.until(lambda: not self.queue._tasks)
            for duty in (self.queue.give_back_lost, self.queue.count):
                try:
                    await duty()
                except (RuntimeError, StoreUnavailable):
                    pass
            self.clock.advance(1800)
            self.queue._wake.set()

    async def end(self) -> dict[str, Any]:
        letters = [str(letter["Subject"]) for letter in await self.inbox()]
        return {"taken": dict(self.taken), "letters": letters, "queue": await self.store.spool.queue()}


async def played(
    case: str, at: int = -1, error: BaseException | None = None, *, after: bool = False, times: int = 1
) -> FaultyWorld:
    world = FaultyWorld()
    if case == "later":
        answers = iter((LATER, *[DELIVERED] * 9))
        world.courier.outcome = lambda id_, address: Outcome(
            recipient_id=id_, result=(said := next(answers))[1], reply=said[0]
        )  # type: ignore[assignment, arg-type, method-assign]  # test shorthand
    world.courier.says[EVE] = NO_SUCH_USER
    await world.start()
    await asyncio.sleep(0)
    world.breaker.arm(at, error or RuntimeError("injected"), after=after, times=times)
    to = [
        recipient(BOB, "SUCCESS", "FAILURE") if case == "told" else recipient(BOB),
        *[recipient(EVE)] * (case == "both"),
    ]
    await world.submit(*to, fresh=case == "fresh")
    await world.rounds(8)
    await world.stop()
    return world


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "SETTLE_RETRY_SECONDS", 0.001)
    monkeypatch.setattr(queue_module, "SETTLE_RETRY_MOST_SECONDS", 0.002)
    monkeypatch.setattr(queue_module, "GATHER_SECONDS", 0.0)


@pytest.mark.parametrize("case", ["plain", "fresh", "both", "later", "told"])
async def test_one_fault_anywhere_changes_nothing(case: str) -> None:
    whole = await played(case)
    expected, calls = await whole.end(), whole.breaker.count
    assert expected["queue"] == [] and expected["taken"] and calls > 15
    broke = Counter[str]()
    for at in range(1, calls + 1):
        for error, after in (
            (RuntimeError("injected"), False),
            (StoreUnavailable("injected"), False),
            (RuntimeError("injected"), True),
        ):
            world = await played(case, at, error, after=after)
            broke.update(world.breaker.broke)
            assert await world.end() == expected, (at, error, after, world.breaker.broke)
    assert {"open_queued", "holding", "carry", "settle", "now_us", "tally", "pull_in"} <= set(broke)


@pytest.mark.parametrize(
    "name",
    ["settle", "holding", "open_queued", "resolve", "sign", "uniform", "record", "now_us", "open_content"],
)
async def test_a_call_that_fails_again_and_again_doubles_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six times in a row, and then it works: what was taken was taken once, who is refused is told once,
    nothing stays claimed."""
    world = FaultyWorld()
    world.courier.says[EVE] = NO_SUCH_USER
    world.courier.says["late@there.example"] = LATER
    await world.start()
    port = {
        "resolve": world.ports.recipients,
        "sign": world.ports.signing,
        "uniform": world.ports.dice,
        "now_us": world.ports.clock,
    }
    holder = port.get(name) or (
        world.ports.gate
        if name == "holding"
        else world.ports.journal
        if name == "record"
        else world.ports.spool
    )
    real, left = getattr(holder, name), [6]

    def broken(*values: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise RuntimeError("injected")
        return real(*values, **named)

    monkeypatch.setattr(holder, name, broken, raising=False)
    await world.submit(recipient(BOB, "SUCCESS"), recipient(EVE))
    await world.rounds(24)
    await world.stop()
    end = await world.end()
    assert left == [0] or name in ("uniform", "open_content")
    assert end["queue"] == [] and end["taken"] == {f"m {BOB}": 1}
    told = [text for text in end["letters"] if "could not be delivered" in text]
    assert len(told) == 1 and len(end["letters"]) <= 2


async def test_what_is_known_of_some_recipients_counts() -> None:
    """A courier that forgets one of two: the other is not sent again."""
    world = FaultyWorld()
    carry, forgets = world.courier.carry, [True]

    async def forgetful(job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        outcomes = await carry(job, octets)
        return outcomes[:1] if forgets.pop() else outcomes

    world.courier.carry = forgetful  # type: ignore[method-assign]  # on purpose
    forgets.insert(0, False)
    await world.start()
    await world.submit(recipient(BOB), recipient("dan@there.example"))
    await world.rounds(2)
    assert [len(job.recipients) for job in world.courier.carried] == [2, 1]
    assert await world.store.spool.queue() == [] and [where for where, _ in world.journal.faults] == [
        "queue.carry"
    ]
    await world.stop()


async def test_a_claim_that_nobody_works_on_is_given_back() -> None:
    """Accepted with a fresh lease, and then its session ended before the queue heard of it."""
    world = FaultyWorld()
    await world.start()
    world.queue.take, take = lambda jobs: None, world.queue.take  # type: ignore[method-assign]  # on purpose
    await world.submit(recipient(BOB), fresh=True)
    world.queue.take = take  # type: ignore[method-assign]  # as before
    await world.queue.give_back_lost()
    assert (await world.row())[0] == "claimed"  # it may be on its way
    await world.queue.give_back_lost()
    assert "queue.claim_lost" in world.journal.kinds()
    await world.rounds(1)
    assert await world.store.spool.queue() == [] and world.taken == {f"m {BOB}": 1}
    await world.stop()


async def test_a_claim_that_is_worked_on_is_not_given_back_but_told_after_an_hour() -> None:
    world = FaultyWorld()
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate
    await world.start()
    await world.submit(recipient(BOB))
    await world.until(lambda: bool(world.courier.carried))
    for seconds, told in ((0, 0), (3599, 0), (2, 1), (1800, 1), (1801, 2)):
        world.clock.advance(seconds)
        await world.queue.give_back_lost()
        await world.queue.count()
        assert world.journal.kinds().count("queue.stuck") == told, seconds
    assert world.metrics.values[("sekisho_queue_stuck", ())] == 1
    entry = next(entry for entry in world.journal.entries if entry.kind == "queue.stuck")
    assert (entry.id, entry.fields["recipient"], entry.fields["alarm"]) == ("m1", BOB, True)
    gate.set()
    await world.settled()
    await world.queue.count()
    assert world.metrics.values[("sekisho_queue_stuck", ())] == 0
    await world.stop()


async def test_the_store_that_comes_back_while_the_worker_ends_hears_the_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_module, "SETTLE_RETRY_SECONDS", 30.0)
    world = FaultyWorld()
    settle, failures = world.store.spool.settle, [2]

    async def failing(*values: Any, **named: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise StoreUnavailable("injected")
        return await settle(*values, **named)

    monkeypatch.setattr(world.store.spool, "settle", failing)
    await world.start()
    await world.submit(recipient(BOB))
    await world.until(lambda: "queue.store_unavailable" in world.journal.kinds())
    await world.stop()
    assert await world.store.spool.queue() == []


async def test_the_whole_queue_is_counted_and_every_parked_message_told() -> None:
    world = World(MemoryStore)  # whose rows can be put off by hand
    await world.store.directory.add_domain(Domain("here.example", 0))
    for number in range(1300):
        content = world.store.spool.open_content()
        content.write(CONTENT)
        relay = RelayRecipient(
            recipient=Recipient(Address(f"u{number}", "there.example")),
            next_hop="there.example",
            due_at_us=world.clock.now_us(),
            expires_at_us=10**18,
        )
        await world.store.spool.accept(
            Acceptance(
                message_id=f"n{number:04}",
                envelope=Envelope(reverse_path=ReversePath()),
                content=content,
                prefix=b"",
                deliveries=(),
                relays=(relay,),
            )
        )
        world.clock.advance(1)
    for incarnation in range(3):
        owner = Owner("host", 0, 10 + incarnation)
        assert len(await world.store.spool.claim(owner, 1200)) == 1200
        await world.store.leases.free_owner(owner)
        world.clock.advance(-1)
        for row in (
            row for message in world.store.state.queue.values() for row in message.rows if row.crashes
        ):
            row.due_at_us = 0
        world.clock.advance(1)
    await world.queue.count()
    assert world.metrics.values[("sekisho_queue_recipients", (("state", "parked"),))] == 1200
    assert world.metrics.values[("sekisho_queue_recipients", (("state", "waiting"),))] == 100
    assert world.journal.kinds().count("queue.parked") == 1200


async def test_what_a_wrong_clock_put_off_is_tried_now() -> None:
    world = FaultyWorld()
    world.courier.says["*"] = LATER
    await world.start()
    world.clock.advance(400 * 86_400)  # the machine thinks that it is next year
    await world.submit(recipient(BOB))
    await world.rounds(1)
    world.clock.advance(-400 * 86_400 - 1800)  # it learns the time
    world.courier.says["*"] = DELIVERED
    (message,) = await world.store.spool.queue()
    assert message.recipients[0].due_at_us > world.clock.now_us() + 390 * 86_400_000_000
    await world.queue.count()
    (message,) = await world.store.spool.queue()
    assert message.arrived_at_us == world.clock.now_us()
    assert abs(message.recipients[0].expires_at_us - world.clock.now_us() - 432_000_000_000) < 3_600_000_000
    assert world.journal.kinds().count("queue.clock_was_wrong") == 1
    await world.rounds(1)
    assert world.taken == {f"m {BOB}": 1} and await world.store.spool.queue() == []
    await world.stop()
