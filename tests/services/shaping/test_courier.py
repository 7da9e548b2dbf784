"""What one provider says slows all mail for it, and nothing else; budgets put off, and lose nothing."""

import asyncio

import pytest
from tests.services.relay.jobs import Octets, job

from sekisho.adapters.stores.memory.shaping import MemoryShapes
from sekisho.core.policy.shaping.shape import UNKNOWN
from sekisho.core.policy.shaping.warmup import WarmupRules
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.spool import Outcome, QueueJob
from sekisho.services.shaping.courier import ShapedCourier
from sekisho.services.shaping.surroundings import ShapingMemory, ShapingPorts, ShapingRules
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.zones import ZoneResolver

ZONE = """
gmail.example.   MX 5 gmail-smtp-in.l.google.com.
club.example.    MX 10 aspmx.l.google.com.
club.example.    MX 5 aspmx2.googlemail.com.
other.example.   MX 5 mx.other.example.
"""
RATE = Reply.of(421, "4.7.28", "unusual rate of mail", cause="answered")
OK = Reply.of(250, "2.0.0", "OK", cause="answered")
HOST = {"gmail.example": "gmail-smtp-in.l.google.com", "club.example": "aspmx2.googlemail.com"}
LETTER, NEWSLETTER = Octets(b"Subject: x\r\n\r\n"), Octets(b"List-Unsubscribe: <https://a.example/>\r\n\r\n")


class Inner:
    """Answers every recipient with `reply`; `gate` holds it up."""

    def __init__(self) -> None:
        self.reply = OK
        self.gate: asyncio.Event | None = None
        self.carried: list[QueueJob] = []
        self.running = self.most = 0

    async def carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        self.carried.append(job)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.running -= 1
        result = (
            "delivered" if self.reply.is_positive else "deferred" if self.reply.is_transient else "failed"
        )
        remote = f"{HOST.get(job.next_hop, 'mx.other.example')} [192.0.2.1]"
        return tuple(
            Outcome(recipient_id=row.id, result=result, reply=self.reply, remote=remote)  # type: ignore[arg-type]
            for row in job.recipients
        )


class Broken(MemoryShapes):
    async def listing(self) -> list[object]:  # type: ignore[override]
        raise StoreUnavailable("test")

    async def change(self, source: str, group: str, step: object) -> object:  # type: ignore[override]
        raise StoreUnavailable("test")


class World:
    def __init__(self, warmup: str = "off", *, shapes: MemoryShapes | None = None, workers: int = 1) -> None:
        self.clock, self.journal, self.inner = ManualClock(), MemoryJournal(), Inner()
        self.shapes = shapes or MemoryShapes()
        self.rules = ShapingRules(
            enabled=True,
            warmup=warmup,
            source="192.0.2.10",
            routes={"routed.example": "[smart.example]:587"},
            workers=workers,
            connections=5,
            budget=WarmupRules(),
        )
        self.courier = self.worker()

    def worker(self) -> ShapedCourier:
        """Another one, or the same after a restart."""
        ports = ShapingPorts(
            shapes=self.shapes,
            resolver=ZoneResolver(ZONE),
            clock=self.clock,
            journal=self.journal,
            metrics=MemoryMetrics(),
        )
        return ShapedCourier(self.inner, self.rules, ports, ShapingMemory())

    async def send(
        self, domain: str, *, count: int = 1, octets: Octets = LETTER, by: ShapedCourier | None = None
    ) -> list[str]:
        to = [f"r{number}@{domain}" for number in range(count)]
        said = await (by or self.courier).carry(job(*to, next_hop=domain), octets)
        assert len(said) == count
        return [
            "waits" if outcome.interrupted and outcome.retry_at_us > self.clock.now_us() else outcome.result
            for outcome in said
        ]


async def test_a_complaint_slows_the_provider_for_every_domain_and_worker_but_nobody_else() -> None:
    world = World()
    other = world.worker()
    assert await world.send("gmail.example", by=other) == ["delivered"]
    world.inner.reply = RATE
    assert await world.send("gmail.example") == ["deferred"]
    world.inner.reply = OK
    world.clock.advance(3)  # what one worker learned, the others know in seconds
    for worker in (world.courier, other, world.worker()):
        assert await world.send("gmail.example", by=worker) == ["waits"]
        assert await world.send("club.example", by=worker) == ["waits"]
        assert await world.send("other.example", by=worker) == ["delivered"]
    slowed = [entry for entry in world.journal.entries if entry.kind == "shaping.slowed"]
    assert [entry.fields["provider"] for entry in slowed] == ["google"]
    assert "google" in slowed[0].about
    world.clock.advance(15 * 60 + 60)
    assert await world.send("club.example") == ["delivered"]


async def test_it_recovers_and_says_so() -> None:
    world = World()
    world.inner.reply = RATE
    await world.send("club.example")
    world.inner.reply = OK
    for _ in range(60):
        world.clock.advance(360)
        await world.send("club.example")
    assert "shaping.recovered" in world.journal.kinds()
    assert await world.shapes.listing() == []


async def test_a_host_that_is_no_providers_is_slowed_alone() -> None:
    world = World()
    world.inner.reply = Reply.of(421, "4.7.0", "too many messages, slow down", cause="answered")
    await world.send("other.example")
    world.inner.reply = OK
    assert await world.send("other.example") == ["waits"]
    assert await world.send("gmail.example") == ["delivered"]


async def test_a_listing_is_told_to_the_operator_and_holds_the_others_instead_of_bouncing_them() -> None:
    world = World()
    world.inner.reply = Reply.of(550, "5.7.1", "blocked using zen.spamhaus.org", cause="answered")
    assert await world.send("gmail.example") == ["failed"]
    assert await world.send("club.example") == ["waits"]
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "shaping.slowed"]
    assert entry.fields["alarm"] is True


async def test_a_cold_address_sends_a_newsletter_in_portions_and_people_at_once() -> None:
    world = World("on")
    said = await world.send("gmail.example", count=300, octets=NEWSLETTER)
    assert (said.count("delivered"), said.count("waits")) == (20, 280)
    assert await world.send("club.example", octets=NEWSLETTER) == [
        "waits"
    ]  # the same provider, the same hour
    assert await world.send("club.example") == ["delivered"]
    assert await world.send("other.example", count=300, octets=NEWSLETTER) == ["delivered"] * 300
    (entry, *_) = [entry for entry in world.journal.entries if entry.kind == "shaping.waits"]
    assert "through about" in str(entry.fields["because"])


@pytest.mark.parametrize(
    ("mode", "established", "portions"), [("auto", True, False), ("auto", False, True), ("off", False, False)]
)
async def test_a_server_that_was_there_before_is_not_throttled(
    mode: str, established: bool, portions: bool
) -> None:
    world = World(mode)
    world.shapes.established = established
    said = await world.send("gmail.example", count=300, octets=NEWSLETTER)
    assert ("waits" in said) == portions


async def test_a_route_of_the_operators_has_no_budget() -> None:
    world = World("on")
    assert await world.send("routed.example", count=300, octets=NEWSLETTER) == ["delivered"] * 300


@pytest.mark.parametrize(("workers", "most"), [(1, 5), (2, 2), (8, 1)])
async def test_connections_are_bounded_over_all_domains_of_a_provider(workers: int, most: int) -> None:
    world = World(workers=workers)
    world.inner.gate = asyncio.Event()
    tasks = [
        asyncio.create_task(world.send("gmail.example" if number % 2 else "club.example"))
        for number in range(3 * most + 2)
    ]
    for _ in range(20):
        await asyncio.sleep(0)
    world.inner.gate.set()
    said = [result for task in tasks for result in await task]
    assert world.inner.most == most
    assert said.count("delivered") == 3 * most  # those in hand, and those that waited for them
    assert said.count("waits") == 2


async def test_a_store_that_does_not_answer_slows_nobody() -> None:
    world = World("on", shapes=Broken())
    world.inner.reply = RATE
    assert await world.send("gmail.example") == ["deferred"]
    world.inner.reply = OK
    assert await world.send("gmail.example") == ["delivered"]


async def test_without_shaping_nothing_is_asked() -> None:
    world = World("on")
    object.__setattr__(world.rules, "enabled", False)
    assert await world.send("gmail.example", count=300) == ["delivered"] * 300
    assert await world.shapes.listing() == [] and UNKNOWN.warmth is None
