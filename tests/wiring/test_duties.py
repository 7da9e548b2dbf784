"""Each background duty of a running worker is broken by name: told, counted, begun again, and the others go
on."""

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.wiring.inprocess import Running, settings, worker

import sekisho.wiring.worker as worker_module
from sekisho.wiring.duties import Hands, duties
from sekisho.wiring.dutykeeper import Duty, VitalDutyFailed
from sekisho.wiring.setup import Setup

ROUND_SECONDS = 0.05
LIVES = ("queue.run", "reload.follow", "teacher.teach")  # without end
NAMES = {
    *LIVES,
    "blocklists.watch",
    "classifier.fit",
    "clock.follow",
    "greylist.tidy",
    "guard.cases",
    "hop.count",
    "hop.refresh",
    "hop.tidy",
    "judgements.trim",
    "ledger.house",
    "login.notices",
    "metrics.publish",
    "queue.claims",
    "queue.count",
    "reports.count",
    "reports.send",
    "reports.send_tls",
    "reports.trim",
    "reputation.flush",
    "reputation.trim",
    "resolver.probe",
    "store.checkpoint",
    "store.counters",
    "store.deliveries",
    "store.destinations",
    "store.orphans",
    "store.graves",
    "store.threads",
    "store.reserve",
    "store.structures",
}


@dataclass
class Sabotage:
    """Between the worker and its duties: breaks one when told to."""

    orders: dict[str, asyncio.Event] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)  # begun

    def between(self, duty: Duty) -> Duty:
        order = self.orders[duty.name] = asyncio.Event()

        async def work() -> None:
            self.rounds[duty.name] = self.rounds.get(duty.name, 0) + 1
            if duty.every is not None:
                if order.is_set():
                    order.clear()
                    raise KeyError(duty.name)
                await duty.work()
                return
            going, broken = asyncio.ensure_future(duty.work()), asyncio.ensure_future(order.wait())
            try:
                await asyncio.wait((going, broken), return_when=asyncio.FIRST_COMPLETED)
            finally:
                going.cancel()
                broken.cancel()
                await asyncio.gather(going, return_exceptions=True)
            if order.is_set():
                order.clear()
                raise KeyError(duty.name)

        return replace(
            duty, work=work, every=min(duty.pause(), ROUND_SECONDS) if duty.every is not None else None
        )


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch) -> Sabotage:
    """Rounds come quickly, so that a test sees them."""
    monkeypatch.setattr("sekisho.wiring.dutykeeper.FIRST_WAIT_SECONDS", ROUND_SECONDS)
    between = Sabotage()

    def sabotaged(hands: Hands, slot: int) -> tuple[Duty, ...]:
        return tuple(map(between.between, duties(hands, slot)))

    monkeypatch.setattr(worker_module, "duties", sabotaged)
    return between


def _broken(running: Running) -> set[str]:
    return {str(entry["duty"]) for entry in running.entries("duty.failed")}


async def test_each_duty_is_told_and_begun_again_and_its_siblings_go_on(
    tmp_path: Path, sabotage: Sabotage
) -> None:
    async with worker(tmp_path, Setup(settings(tmp_path).model_dump_json(), [])) as running:
        assert set(sabotage.orders) == NAMES
        breakable = NAMES - {"clock.follow"}  # which ends at once where no lab moves the clock
        await running.until(lambda: set(sabotage.rounds) == NAMES)
        for name in breakable:
            before, began = dict(sabotage.rounds), asyncio.get_running_loop().time()
            sabotage.orders[name].set()
            await running.until(lambda name=name: name in _broken(running))  # type: ignore[misc]  # binds the loop's variable
            told = asyncio.get_running_loop().time() - began
            assert f'sekisho_duty_faults_total{{duty="{name}"}} 1.0' in running.metrics()
            await running.until(
                lambda name=name, before=before: sabotage.rounds[name] > before[name] + (name not in LIVES)
            )  # type: ignore[misc]  # the same
            assert told < 5.0, name  # it takes 0.1 s where nothing else runs
        assert _broken(running) == breakable
        faults = {entry["where"].removeprefix("duty."): entry for entry in running.entries("fault")}
        assert set(faults) == breakable and all("KeyError" in fault["traceback"] for fault in faults.values())
        ids = {entry["duty"]: entry["id"] for entry in running.entries("duty.failed")}
        assert ids == {name: fault["id"] for name, fault in faults.items()}
        await running.until(
            lambda: {entry["duty"] for entry in running.entries("duty.recovered")} == breakable - set(LIVES)
        )
        await running.reload(
            Setup(settings(tmp_path, language="ja").model_dump_json(), [])
        )  # the follower follows


async def test_a_worker_without_its_queue_ends(tmp_path: Path, sabotage: Sabotage) -> None:
    async with worker(tmp_path, Setup(settings(tmp_path).model_dump_json(), [])) as running:
        for number in range(1, 6):
            sabotage.orders["queue.run"].set()
            await running.until(lambda number=number: len(running.entries("duty.failed")) == number)  # type: ignore[misc]  # binds the loop's variable
        with pytest.raises(VitalDutyFailed, match=r"queue\.run"):
            await asyncio.wait_for(running.task, 30)
        assert running.entries("duty.given_up")[0]["alarm"] is True


@pytest.mark.parametrize("page", ["monitoring.md", "ja/monitoring.md"])
def test_each_duty_is_written_down(page: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "operating" / page).read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert {name for name in NAMES if not any(f"`{name}`" in row for row in rows)} == set()
