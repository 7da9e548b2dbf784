"""A duty that breaks is told, counted and begun again; the others do not notice."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.stores.conftest import open_sqlite

from sekisho.adapters.process.plan import ShutdownSignal
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.leases import Owner
from sekisho.testing.clock import ManualClock
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.wiring.dutykeeper import VITAL_FAULTS, Duty, DutyKeeper, DutyPorts, OneOfAll, VitalDutyFailed


@dataclass
class World:
    clock: ManualClock = field(default_factory=ManualClock)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    shutdown: ShutdownSignal = field(default_factory=ShutdownSignal)
    pauses: list[float] = field(default_factory=list)
    sleepers: list[asyncio.Future[None]] = field(default_factory=list)
    is_ours: bool = True

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleepers.append(future)
        await future

    async def next_round(self) -> None:
        """Everybody who sleeps wakes, does something, and sleeps again."""
        sleepers, self.sleepers = self.sleepers, []
        for sleeper in sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def ours(self) -> bool:
        return self.is_ours

    async def begin(self, *duties: Duty) -> DutyKeeper:
        ports = DutyPorts(
            clock=self.clock,
            journal=self.journal,
            metrics=self.metrics,
            sleep=self.sleep,
            is_ours=self.ours,
            shutdown=self.shutdown,
            worker="3",
        )
        keeper = DutyKeeper(duties, ports)
        keeper.start()
        await self.settle()
        return keeper

    def faults(self, name: str) -> float:
        return self.metrics.values.get(("sekisho_duty_faults_total", (("duty", name),)), 0)


class Work:
    """Counts its rounds; `error` breaks them."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error, self.rounds = error, 0

    async def __call__(self) -> None:
        self.rounds += 1
        if self.error is not None:
            raise self.error


async def test_one_broken_duty_is_told_and_stops_no_other() -> None:
    world, broken, whole = World(), Work(KeyError("x")), Work()
    keeper = await world.begin(
        Duty(name="bad", work=broken, every=2.0), Duty(name="good", work=whole, every=2.0)
    )
    assert (
        world.faults("bad") == 1
        and world.metrics.values["sekisho_faults_total", (("where", "duty.bad"),)] == 1
    )
    assert [where for where, _ in world.journal.faults] == ["duty.bad"]
    (entry,) = world.journal.entries
    assert entry.kind == "duty.failed" and entry.id == "fault-1"
    assert (
        entry.fields["duty"] == "bad"
        and entry.fields["again_in_seconds"] == 0.5
        and entry.fields["error"] == "KeyError('x')"
    )
    await world.next_round()
    await world.next_round()
    assert broken.rounds == whole.rounds == 3
    assert sorted(world.pauses) == [0.5, 1.0, 2.0, 2.0, 2.0, 2.0]
    assert [entry.fields["alarm"] for entry in world.journal.entries] == [None, None, True]
    broken.error = None
    await world.next_round()
    assert (
        world.journal.entries[-1].kind == "duty.recovered" and world.journal.entries[-1].fields["faults"] == 3
    )
    assert (
        world.metrics.values["sekisho_duty_success_seconds", (("duty", "bad"), ("worker", "3"))]
        == world.clock.now_us() // 1_000_000
    )
    await keeper.stop()


async def test_the_wait_has_an_end() -> None:
    world = World()
    keeper = await world.begin(Duty(name="bad", work=Work(KeyError("x")), every=3600.0))
    for _ in range(9):
        await world.next_round()
    assert world.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    await keeper.stop()


async def test_a_store_that_cannot_be_used_is_told_without_a_traceback() -> None:
    world = World()
    keeper = await world.begin(Duty(name="bad", work=Work(StoreUnavailable("the disk is full")), every=2.0))
    assert (
        world.faults("bad") == 1 and world.journal.faults == [] and world.journal.kinds() == ["duty.failed"]
    )
    assert "the disk is full" in str(world.journal.entries[0].fields["error"])
    await keeper.stop()


@pytest.mark.parametrize(
    "error", [KeyError("x"), asyncio.CancelledError(), ExceptionGroup("both", [ValueError()]), TimeoutError()]
)
async def test_whatever_ends_it_it_begins_again(error: BaseException) -> None:
    """Also a cancelled future that it waited for, which asyncio would take for the end of the task."""
    world, work = World(), Work(error)
    keeper = await world.begin(Duty(name="round", work=work, every=2.0), Duty(name="life", work=Work(error)))
    await world.next_round()
    assert work.rounds == 2 and world.faults("round") == world.faults("life") == 2
    await keeper.stop()


async def test_work_without_end_must_not_end() -> None:
    world, once = World(), Work()
    keeper = await world.begin(Duty(name="life", work=Work()), Duty(name="once", work=once, once=True))
    assert world.faults("life") == 1 and world.faults("once") == 0 and once.rounds == 1
    assert "EndedByItself" in str(world.journal.entries[0].fields["error"])
    world.shutdown.set()
    await world.next_round()
    assert world.faults("life") == 1
    await asyncio.wait_for(keeper.finished("life"), 5)
    await keeper.stop()


async def test_without_a_vital_duty_the_worker_ends() -> None:
    world = World()
    keeper = await world.begin(
        Duty(name="queue.run", work=Work(KeyError("x")), vital=True),
        Duty(name="bad", work=Work(KeyError("y"))),
    )
    ending = asyncio.ensure_future(keeper.until_shutdown())
    for _ in range(VITAL_FAULTS - 2):
        await world.next_round()
    assert not ending.done()
    await world.next_round()
    with pytest.raises(VitalDutyFailed, match=r"queue\.run failed 5 times in a row"):
        await ending
    assert world.journal.kinds().count("duty.given_up") == 1
    await keeper.stop()


async def test_a_vital_duty_that_breaks_now_and_then_is_kept() -> None:
    world = World()
    waiting: list[asyncio.Future[None]] = []

    async def work() -> None:
        waiting.append(asyncio.get_running_loop().create_future())
        await waiting[-1]

    keeper = await world.begin(Duty(name="queue.run", work=work, vital=True))
    for number in range(2 * VITAL_FAULTS):
        world.clock.advance(61)
        waiting[-1].set_exception(KeyError(number))
        await world.settle()
        await world.next_round()
    assert world.faults("queue.run") == 2 * VITAL_FAULTS and set(world.pauses) == {0.5}
    world.shutdown.set()
    await asyncio.wait_for(keeper.until_shutdown(), 5)
    await keeper.stop()
    assert waiting[-1].cancelled()


async def test_a_round_can_be_called_for() -> None:
    world, work = World(), Work()
    keeper = await world.begin(Duty(name="look", work=work, every=3600.0))
    keeper.now("look")
    await world.settle()
    assert work.rounds == 2
    await keeper.stop()
    await keeper.stop()


async def test_what_one_does_for_all() -> None:
    world, work = World(is_ours=False), Work()
    keeper = await world.begin(Duty(name="house", work=work, every=2.0, by_one=True))
    assert work.rounds == 0 and world.metrics.values == {}
    world.is_ours = True
    await world.next_round()
    assert work.rounds == 1
    await keeper.stop()


async def test_a_keeper_that_breaks_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    def broken(*_arguments: object, **_labels: str) -> None:
        raise ValueError("labels")

    monkeypatch.setattr(world.metrics, "gauge", broken)
    keeper = await world.begin(Duty(name="good", work=Work(), every=2.0))
    with pytest.raises(ValueError, match="labels"):
        await keeper.until_shutdown()
    await keeper.stop()


async def test_two_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two duties"):
        await World().begin(Duty(name="a", work=Work()), Duty(name="a", work=Work()))


async def test_the_lease_is_one_workers_at_a_time(tmp_path: Path) -> None:
    clock = ManualClock()
    store = open_sqlite(tmp_path, clock)
    one, other = (OneOfAll(store.leases, Owner("h", slot, slot + 1), clock) for slot in range(2))
    asked: Callable[[], Awaitable[bool]] = one.is_ours
    assert await asyncio.gather(*(asked() for _ in range(5))) == [True] * 5
    assert not await other.is_ours()
    clock.advance(50)
    assert await one.is_ours() and not await other.is_ours()  # renewed
    clock.advance(61)
    assert await other.is_ours() and not await one.is_ours()
    await store.close()


async def test_a_store_that_fails_gives_the_lease_to_nobody() -> None:
    clock = ManualClock()

    class Failing:
        async def acquire(self, name: str, owner: Owner, ttl_seconds: float) -> int | None:
            raise StoreUnavailable("no disk")

    asking = OneOfAll(Failing(), Owner("h", 0, 1), clock)  # type: ignore[arg-type]  # the rest is not asked
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await asking.is_ours()
