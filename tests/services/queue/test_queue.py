"""The queue over the memory store, with a courier that does as told."""

import asyncio
import email
from collections.abc import Callable
from typing import Any

import pytest
from tests.stores.opened import OpenStore

from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.config.schema import QueueSettings, RelaySettings
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import MessageOctets
from sekisho.ports.directory import Domain
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Acceptance, Outcome, QueueJob, RelayRecipient
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.queue import queue as queue_module
from sekisho.services.queue.queue import Queue
from sekisho.services.queue.surroundings import QueuePorts, QueueRules
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.stream import ManualShutdown

OWNER = Owner("host", 0, 1)
DELIVERED = (Reply.of(250, "2.0.0", "queued"), "delivered")
LATER = (Reply.of(450, "4.2.1", "Mailbox busy", cause="answered"), "deferred")
UNREACHABLE = (Reply.of(451, "4.4.1", "Connection refused"), "deferred")
NO_SUCH_USER = (Reply.of(550, "5.1.1", "No such user"), "failed")
CONTENT = (
    b"From: alice@here.example\r\nMessage-ID: <x1@here.example>\r\nSubject: hello\r\n\r\nsecret body\r\n"
)


class FakeCourier:
    """Answers for each recipient what `says` names: by address, else by "*". A callable there is called and
    awaited."""

    def __init__(self) -> None:
        self.says: dict[str, tuple[Reply, str] | Exception] = {"*": DELIVERED}
        self.has_dsn = False
        self.remote = "mx.there.example [192.0.2.1]"
        self.carried: list[QueueJob] = []
        self.running = 0
        self.most_running = 0
        self.gate: Callable[[QueueJob], asyncio.Event | None] = lambda job: None

    async def carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        self.carried.append(job)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(0)
            gate = self.gate(job)
            if gate is not None:
                await gate.wait()
            return tuple(self.outcome(row.id, str(row.recipient.address)) for row in job.recipients)
        finally:
            self.running -= 1

    def outcome(self, recipient_id: int, address: str) -> Outcome:
        said = self.says.get(address, self.says["*"])
        if isinstance(said, Exception):
            raise said
        return Outcome(
            recipient_id=recipient_id,
            result=said[1],
            reply=said[0],
            remote=self.remote,
            remote_has_dsn=self.has_dsn,
        )  # type: ignore[arg-type]  # test shorthand


class World:
    """A store with alice@here.example, a queue, and a clock that only the test moves."""

    def __init__(self, open_store: Callable[..., Any] = OpenStore, **relay: object) -> None:
        self.clock, self.dice = ManualClock(), SeededDice()
        self.store = open_store(self.clock, self.dice)
        self.courier, self.journal, self.metrics = FakeCourier(), MemoryJournal(), MemoryMetrics()
        probe = RecipientProbe(self.store.directory, "mail.here.example", {})
        ports = QueuePorts(
            spool=self.store.spool,
            courier=self.courier,
            recipients=probe,
            changes=self.store.changes,
            clock=self.clock,
            dice=self.dice,
            journal=self.journal,
            metrics=self.metrics,
        )
        rules = QueueRules.of("mail.here.example", "en", OWNER, QueueSettings(), RelaySettings(**relay))  # type: ignore[arg-type]  # test shorthand
        self.queue = Queue(rules, ports)
        self.shutdown = ManualShutdown()
        self.run: asyncio.Task[None] | None = None
        self.accepted = 0

    async def start(self) -> None:
        await self.store.directory.add_domain(Domain("here.example", 0))
        self.account = await self.store.directory.add_account(Address.from_text("alice@here.example"), "", "")
        self.run = asyncio.create_task(self.queue.run(self.shutdown))

    async def stop(self) -> None:
        self.shutdown.set()
        assert self.run is not None
        await self.run

    async def put(
        self,
        *recipients: Recipient | str,
        sender: str = "alice@here.example",
        fresh: bool = False,
        next_hop: str = "",
        **envelope: object,
    ) -> str:
        """Accept one message; the hint wakes the queue."""
        self.accepted += 1
        message_id = f"m{self.accepted}"
        content = self.store.spool.open_content()
        content.write(CONTENT)
        now = self.clock.now_us()
        path = ReversePath(Address.from_text(sender) if sender else None)
        relays = []
        for recipient in recipients or ("bob@there.example",):
            row = recipient if isinstance(recipient, Recipient) else Recipient(Address.from_text(recipient))
            hop = next_hop or row.address.domain
            relays.append(
                RelayRecipient(
                    recipient=row,
                    next_hop=hop,
                    due_at_us=now,
                    expires_at_us=now + 432_000_000_000,
                    fresh_lease=OWNER if fresh else None,
                )
            )
        origin = envelope.pop("origin", "submission")
        accepted = await self.store.spool.accept(
            Acceptance(
                message_id=message_id,
                envelope=Envelope(reverse_path=path, **envelope),
                content=content,
                prefix=b"",
                deliveries=(),
                relays=tuple(relays),
                origin=origin,
            )  # type: ignore[arg-type]  # test shorthand
        )
        self.queue.take(accepted.jobs)
        return message_id

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(30_000):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it did not happen")

    async def settled(self, count: int = 1) -> None:
        await self.until(lambda: len(self.courier.carried) >= count and not self.queue._tasks)

    async def again(self, seconds: float, count: int) -> None:
        """Let time pass and wake the queue, as its timer would."""
        self.clock.advance(seconds)
        self.queue._wake.set()
        await self.settled(count)

    async def inbox(self) -> list[email.message.Message]:
        found = []
        info = await self.store.mail.mailbox(self.account.id, "INBOX")
        view = await self.store.mail.view(self.account.id, "INBOX", claim_recent=False)
        for row in await self.store.mail.rows(info.id, UidSet.of(view.uids)):
            octets = await self.store.mail.open(info.id, row.uid)
            assert octets is not None
            found.append(email.message_from_bytes(await octets.read(0, 1 << 20)))
        return found

    async def row(self) -> tuple[str, int, int]:
        (message,) = await self.store.spool.queue()
        row = message.recipients[0]
        return row.state, row.attempts, row.due_at_us - self.clock.now_us()


@pytest.fixture
async def world() -> World:
    world = World()
    await world.start()
    return world


async def test_a_notice_that_finds_a_full_mailbox_is_journaled(world: World) -> None:
    await world.store.directory.set_quota(world.account.id, 10)
    world.courier.says["*"] = NO_SUCH_USER
    await world.put()
    await world.settled()
    assert await world.inbox() == [] and await world.store.spool.queue() == []
    assert world.journal.kinds().count("notice.lost") == 1
    await world.stop()


def recipient(text: str, *notify: str, orcpt: str | None = None) -> Recipient:
    return Recipient(Address.from_text(text), frozenset(notify) if notify else None, orcpt)  # type: ignore[arg-type]  # test shorthand


@pytest.mark.parametrize("fresh", [True, False])
async def test_delivered_and_gone(world: World, fresh: bool) -> None:
    await world.put(fresh=fresh)
    await world.settled()
    assert await world.store.spool.queue() == [] and await world.inbox() == []
    assert (
        world.courier.carried[0].message_id == "m1" and world.courier.carried[0].recipients[0].attempts == 1
    )
    await world.stop()


async def test_deferred_waits_longer_and_longer_then_expires(world: World) -> None:
    world.courier.says["*"] = LATER
    await world.put(recipient("bob@there.example", "FAILURE"))
    attempts = 1
    waits: list[float] = []
    await world.settled()
    while await world.store.spool.queue():
        state, done, wait = await world.row()
        assert (state, done) == ("waiting", attempts)
        waits.append(wait / 1e6)
        attempts += 1
        await world.again(wait / 1e6, attempts)
    for waited, nominal in zip(waits, (300, 900, 1800, 3600, 7200, 10800, 10800), strict=False):
        assert nominal * 0.8 <= waited <= nominal * 1.2
    assert abs(sum(waits) - 432_000) < 1
    (notice,) = await world.inbox()
    assert notice["Return-Path"] == "<>" and notice["Subject"] == "Your message could not be delivered"
    group = notice.get_payload()[1].get_payload()[1]
    assert (group["Action"], group["Status"]) == ("failed", "4.4.7")
    assert group["Diagnostic-Code"] == "smtp; 450 4.2.1 Mailbox busy"
    await world.stop()


async def test_one_failure_notice_for_several_recipients(world: World) -> None:
    world.courier.says.update(
        {
            "no1@there.example": NO_SUCH_USER,
            "no2@there.example": NO_SUCH_USER,
            "no3@there.example": NO_SUCH_USER,
        }
    )
    await world.put(
        "bob@there.example",
        recipient("no1@there.example", orcpt="rfc822;First@There.example"),
        "no2@there.example",
        recipient("no3@there.example", "NEVER"),
        envid="E1",
    )
    await world.settled()
    (notice,) = await world.inbox()
    fields: Any = notice.get_payload()[1]
    whole, *groups = fields.get_payload()
    assert whole["Original-Envelope-Id"] == "E1"
    assert [group["Final-Recipient"] for group in groups] == [
        "rfc822; no1@there.example",
        "rfc822; no2@there.example",
    ]
    assert (
        groups[0]["Original-Recipient"] == "rfc822; First@There.example"
        and groups[1]["Original-Recipient"] is None
    )
    assert "secret body" not in notice.as_string() and notice["In-Reply-To"] == "<x1@here.example>"
    assert await world.store.spool.queue() == []
    await world.stop()


async def test_the_full_message_comes_back_if_asked(world: World) -> None:
    world.courier.says["*"] = NO_SUCH_USER
    await world.put(ret="FULL")
    await world.settled()
    (notice,) = await world.inbox()
    assert "secret body" in notice.get_payload()[2].as_string()
    await world.stop()


@pytest.mark.parametrize(("vouched", "told"), [("", False), ("spf", True), ("dkim", True)])
@pytest.mark.parametrize("sender", ["alice@here.example", "eve@far.example"])
@pytest.mark.parametrize(
    ("says", "notify", "later"),
    [
        (NO_SUCH_USER, (), 0),
        (DELIVERED, ("SUCCESS",), 0),
        (LATER, ("DELAY",), 20_000),
        (UNREACHABLE, ("FAILURE",), 500_000),
    ],
)
async def test_strangers_hear_only_if_vouched_for_and_never_more_than_the_header(
    world: World,
    vouched: str,
    told: bool,
    sender: str,
    says: tuple[Reply, str],
    notify: tuple[str, ...],
    later: int,
) -> None:
    """Here and far away, forged as one of ours or as anybody."""
    world.courier.says["bob@there.example"] = says
    await world.put(
        recipient("bob@there.example", *notify),
        sender=sender,
        origin="reception",
        vouched=vouched,
        ret="FULL",
    )
    await world.settled()
    if later:
        await world.again(later, 2)
    is_far = sender == "eve@far.example"
    await world.settled(1 + bool(later) + (told and is_far))
    near, far = await world.inbox(), [job for job in world.courier.carried if job.origin == "dsn"]
    assert (len(near), len(far)) == (told and not is_far, told and is_far)
    assert ("notice.withheld" in world.journal.kinds()) is not told
    assert all("secret body" not in notice.as_string() for notice in near)
    await world.stop()


@pytest.mark.parametrize(
    ("sender", "notify"), [("", ()), ("alice@here.example", ("NEVER",)), ("alice@here.example", ("DELAY",))]
)
async def test_no_failure_notice(world: World, sender: str, notify: tuple[str, ...]) -> None:
    world.courier.says["*"] = NO_SUCH_USER
    await world.put(recipient("bob@there.example", *notify), sender=sender)
    await world.settled()
    assert await world.inbox() == [] and await world.store.spool.queue() == []
    assert ("notice.about_notice" in world.journal.kinds()) is (sender == "")
    await world.stop()


async def test_a_remote_sender_gets_the_notice_by_relay(world: World) -> None:
    world.courier.says["bob@there.example"] = NO_SUCH_USER
    await world.put(sender="eve@far.example")
    await world.settled(2)
    notice = world.courier.carried[1]
    assert (
        notice.envelope.reverse_path.is_null and notice.origin == "dsn" and notice.next_hop == "far.example"
    )
    assert str(notice.recipients[0].recipient.address) == "eve@far.example"
    assert notice.recipients[0].expires_at_us - world.clock.now_us() == 172_800_000_000
    await world.stop()


async def test_a_sender_that_left_is_not_told(world: World) -> None:
    world.courier.says["*"] = NO_SUCH_USER
    await world.put(sender="gone@here.example")
    await world.settled()
    assert "notice.undeliverable" in world.journal.kinds() and await world.store.spool.queue() == []
    await world.stop()


@pytest.mark.parametrize(
    ("notify", "origin", "told"),
    [
        ((), "submission", True),
        ((), "reception", False),
        (("FAILURE",), "submission", False),
        (("DELAY",), "reception", True),
    ],
)
async def test_a_delay_is_told_once(world: World, notify: tuple[str, ...], origin: str, told: bool) -> None:
    world.courier.says["*"] = LATER
    await world.put(recipient("bob@there.example", *notify), origin=origin, vouched="spf")
    await world.settled()
    for count, seconds in ((2, 3600), (3, 14_400), (4, 14_400)):
        await world.again(seconds, count)
    notices = await world.inbox()
    assert len(notices) == told
    if told:
        group = notices[0].get_payload()[1].get_payload()[1]
        assert group["Action"] == "delayed" and group["Will-Retry-Until"] is not None
    await world.stop()


@pytest.mark.parametrize(
    ("has_dsn", "notify", "told"),
    [(False, ("SUCCESS",), True), (True, ("SUCCESS",), False), (False, (), False)],
)
async def test_success_is_told_only_for_hops_that_cannot(
    world: World, has_dsn: bool, notify: tuple[str, ...], told: bool
) -> None:
    world.courier.has_dsn = has_dsn
    await world.put(recipient("bob@there.example", *notify))
    await world.settled()
    notices = await world.inbox()
    assert [notice.get_payload()[1].get_payload()[1]["Action"] for notice in notices] == ["relayed"] * told
    await world.stop()


async def test_an_unreachable_destination_rests_for_all(world: World) -> None:
    world.courier.says["*"] = UNREACHABLE
    await world.put()
    await world.settled()
    await world.put()
    await world.again(1, 1)
    (destination,) = await world.store.spool.destinations()
    assert (
        destination.failures == 1
        and 240 <= (destination.not_before_us - world.clock.now_us()) / 1e6 + 1 <= 360
    )
    world.courier.says["*"] = DELIVERED
    await world.again(400, 3)
    assert await world.store.spool.queue() == [] and await world.store.spool.destinations() == []
    await world.stop()


async def test_a_bug_of_the_courier_defers_and_the_queue_goes_on(world: World) -> None:
    world.courier.says["bob@there.example"] = ZeroDivisionError("bug")
    await world.put()
    await world.settled()
    assert [where for where, _ in world.journal.faults] == ["queue.carry"]
    assert (await world.row())[0] == "waiting"
    await world.put("fine@there.example")
    await world.settled(2)
    assert len(await world.store.spool.queue()) == 1
    await world.stop()


async def test_a_stale_lease_is_let_go(world: World) -> None:
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate
    await world.put(fresh=True)
    await world.until(lambda: bool(world.courier.carried))
    await world.store.leases.free_owner(OWNER)
    gate.set()
    await world.settled(2)  # freed, so claimed again
    assert "queue.stale_lease" in world.journal.kinds()
    assert "queue.may_be_duplicate" in world.journal.kinds() and await world.store.spool.queue() == []
    await world.stop()


async def test_settling_waits_for_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "SETTLE_RETRY_SECONDS", 0.001)
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate
    await world.put(fresh=True)
    await world.until(lambda: bool(world.courier.carried))
    world.store.refuse("disk full")
    gate.set()
    await world.until(lambda: "queue.store_unavailable" in world.journal.kinds())
    world.store.refuse("")
    await world.settled()
    assert await world.store.spool.queue() == [] and len(world.courier.carried) == 1
    await world.stop()


async def test_no_next_hop_gets_more_than_its_share_and_none_blocks_others() -> None:
    world = World(concurrency=4, connections_per_next_hop=2)
    await world.start()
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate if job.next_hop == "slow.example" else None
    for _ in range(5):
        await world.put(next_hop="slow.example", fresh=True)
    await world.put(next_hop="quick.example", fresh=True)
    await world.until(lambda: any(job.next_hop == "quick.example" for job in world.courier.carried))
    assert sum(job.next_hop == "slow.example" for job in world.courier.carried) == 2
    gate.set()
    await world.settled(6)
    assert world.courier.most_running <= 4 and await world.store.spool.queue() == []
    await world.stop()


async def test_more_than_fits_is_claimed_in_turn() -> None:
    world = World(concurrency=3, connections_per_next_hop=3)
    await world.start()
    for number in range(30):
        await world.put(f"u@d{number}.example")
    await world.settled(30)
    assert world.courier.most_running == 3 and await world.store.spool.queue() == []
    await world.stop()


async def test_stopping_interrupts_without_counting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "GRACE_SECONDS", 0.01)
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate
    for _ in range(8):
        await world.put(fresh=True)
    await world.until(lambda: len(world.courier.carried) == 5)  # the rest waits for its turn
    await world.stop()
    messages = await world.store.spool.queue()
    assert len(messages) == 8
    assert {(m.recipients[0].state, m.recipients[0].attempts) for m in messages} == {("waiting", 0)}
    assert len(await world.store.spool.claim(OWNER, 10)) == 8


async def test_what_ends_within_the_grace_is_settled(world: World) -> None:
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate
    await world.put(fresh=True)
    await world.until(lambda: bool(world.courier.carried))
    world.shutdown.set()
    await asyncio.sleep(0)
    gate.set()
    await world.stop()
    assert await world.store.spool.queue() == []


async def test_parked_messages_raise_an_alarm() -> None:
    world = World()
    content = world.store.spool.open_content()
    content.write(CONTENT)
    now = world.clock.now_us()
    relay = RelayRecipient(
        recipient=Recipient(Address.from_text("b@there.example")),
        next_hop="there.example",
        due_at_us=now,
        expires_at_us=now + 10**12,
    )
    await world.store.spool.accept(
        Acceptance(
            message_id="bad",
            envelope=Envelope(reverse_path=ReversePath()),
            content=content,
            prefix=b"",
            deliveries=(),
            relays=(relay,),
        )
    )
    for incarnation in range(3):
        owner = Owner("host", 0, 10 + incarnation)
        assert len(await world.store.spool.claim(owner, 10)) == 1
        await world.store.leases.free_owner(owner)
    await world.start()
    await world.queue.count()
    await world.queue.count()
    assert world.journal.kinds().count("queue.parked") == 1
    assert world.metrics.values[("sekisho_queue_recipients", (("state", "parked"),))] == 1
    assert world.courier.carried == []
    await world.stop()


async def test_dropped_meanwhile(world: World) -> None:
    await world.stop()
    await world.put()
    jobs = await world.store.spool.claim(OWNER, 1)
    await world.store.spool.drop("m1")
    again = World()
    again.store = world.store
    queue = Queue(world.queue._rules, world.queue._ports)
    queue.take(tuple(jobs))
    await world.until(lambda: "queue.gone" in world.journal.kinds())


async def test_a_slow_next_hop_does_not_fill_the_queue() -> None:
    world = World(concurrency=4, connections_per_next_hop=1)
    await world.start()
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate if job.next_hop == "slow.example" else None
    for _ in range(20):
        await world.put(next_hop="slow.example")
    await world.until(lambda: bool(world.courier.carried))
    await world.put(next_hop="quick.example")
    await world.until(lambda: any(job.next_hop == "quick.example" for job in world.courier.carried))
    assert sum(job.next_hop == "slow.example" for job in world.courier.carried) == 1
    gate.set()
    await world.settled(21)
    assert await world.store.spool.queue() == []
    await world.stop()


async def test_what_is_claimed_ahead_of_a_slow_next_hop_leaves_room_for_others() -> None:
    world = World(concurrency=4, connections_per_next_hop=1)
    await world.start()
    gates = [asyncio.Event() for _ in range(20)]
    slow = iter(gates)
    world.courier.gate = lambda job: next(slow) if job.next_hop == "slow.example" else None
    for _ in range(20):
        await world.put(next_hop="slow.example")
    for number, gate in enumerate(gates, 1):
        await world.until(lambda number=number: len(world.courier.carried) == number)  # type: ignore[misc]  # bound
        assert len(world.queue._ready.get("slow.example", ())) <= 4 and world.queue._ready_count <= 4
        gate.set()
    await world.settled(20)
    await world.stop()


async def test_a_connection_does_not_wait_for_what_it_carried_to_be_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(concurrency=20, connections_per_next_hop=1)
    await world.start()
    gate, settle = asyncio.Event(), world.store.spool.settle

    async def slow_settle(*arguments: Any, **more: Any) -> Any:
        await gate.wait()
        return await settle(*arguments, **more)

    monkeypatch.setattr(world.store.spool, "settle", slow_settle)
    for _ in range(8):
        await world.put(next_hop="there.example", fresh=True)
    await world.until(lambda: len(world.courier.carried) == queue_module.UNSETTLED)
    for _ in range(50):
        await asyncio.sleep(0)
    # A crash now would double these, and no more than these.
    assert len(world.courier.carried) == queue_module.UNSETTLED == 2 and world.courier.most_running == 1
    gate.set()
    await world.settled(8)
    assert await world.store.spool.queue() == [] and world.courier.most_running == 1
    await world.stop()


async def test_a_free_connection_goes_on_in_the_same_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On the memory store: a commit takes turns of its own.
    world = World(MemoryStore, concurrency=20, connections_per_next_hop=1)
    await world.start()
    over: list[str] = []  # attempts whose turn is over
    seen: list[int] = []
    carry = world.courier.carry

    async def watched(job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        seen.append(len(over))
        outcomes = await carry(job, octets)
        asyncio.get_running_loop().call_soon(over.append, job.message_id)
        return outcomes

    monkeypatch.setattr(world.courier, "carry", watched)
    for _ in range(4):
        await world.put(next_hop="there.example", fresh=True)
    await world.settled(4)
    assert seen == [0, 0, 1, 2]
    await world.stop()


async def test_a_backlog_is_claimed_before_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither for hints nor for anything else is there a pause between its portions."""
    monkeypatch.setattr(queue_module, "GATHER_SECONDS", 3600.0)
    monkeypatch.setattr(queue_module, "RECHECK_SECONDS", 3600.0)
    world = World(concurrency=100, connections_per_next_hop=1)
    await world.start()
    for _ in range(30):
        await world.put(next_hop="there.example")
    await world.stop()
    world.shutdown, later = ManualShutdown(), Queue(world.queue._rules, world.queue._ports)
    world.run = asyncio.create_task(later.run(world.shutdown))
    await world.until(lambda: len(world.courier.carried) == 30 and not later._tasks)
    assert await world.store.spool.queue() == []
    await world.stop()


async def test_what_is_accepted_while_stopping_is_given_back(world: World) -> None:
    await world.stop()
    await world.put(fresh=True)
    await world.until(lambda: not world.queue._tasks)
    state, attempts, wait = await world.row()
    assert (state, attempts, wait) == ("waiting", 0, 0) and world.courier.carried == []


async def test_a_full_queue_takes_no_more_fresh_work() -> None:
    world = World(concurrency=2, connections_per_next_hop=2)
    gate = asyncio.Event()
    world.courier.gate = lambda job: gate
    await world.start()
    for _ in range(4):
        assert world.queue.owner_for_new() == OWNER
        await world.put(fresh=True)
    assert world.queue.owner_for_new() is None
    gate.set()
    await world.settled(4)
    assert world.queue.owner_for_new() == OWNER
    await world.stop()
    assert world.queue.owner_for_new() is None


async def test_a_notice_says_what_the_providers_reply_means(world: World) -> None:
    listed = Reply.of(550, "5.7.1", "messages from [192.0.2.1] weren't sent (S3140)", cause="answered")
    world.courier.says["*"] = (listed, "failed")
    world.courier.remote = "hotmail-com.olc.protection.outlook.com [192.0.2.7]"
    await world.put()
    await world.settled()
    (notice,) = await world.inbox()
    text = notice.get_payload()[0].get_payload()
    assert "S3140" in text and "Outlook, Hotmail" in text and "administrator" in text
    await world.stop()
