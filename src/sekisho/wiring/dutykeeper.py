"""Keeps background work going: what each duty does is its own business, and so are its faults.

A fault is told in the log and the metrics, and the duty begins again after a while that doubles each time; no
other duty notices. Without some the worker is of no use: when such a duty fails again and again the worker
ends, and the supervisor starts another.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.leases import Leases, Owner
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import Shutdown

FIRST_WAIT_SECONDS = 0.5  # after a fault; then twice as long each time
LONGEST_WAIT_SECONDS = 60.0
STEADY_SECONDS = (
    60.0  # work without end that lasted so long had begun well: its next fault counts as the first
)
ALARM_FAULTS = 3  # in a row
VITAL_FAULTS = 5  # in a row, and the worker ends
STOP_SECONDS = 1.0
LEASE = "maintenance"
LEASE_SECONDS = 60.0
ASK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """`work` is one round, `every` the seconds until the next (or who knows them); with None it is work
    without end.

    `once`: work that may end by itself, and is then done. `by_one`: by one worker of all, who has the lease
    for it. `vital`: the worker is of no use without it.
    """

    name: str
    work: Callable[[], Awaitable[object]]
    every: float | Callable[[], float] | None = None
    once: bool = False
    by_one: bool = False
    vital: bool = False

    def pause(self) -> float:
        return self.every() if callable(self.every) else self.every or 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyPorts:
    """`is_ours`: may this worker do what only one does? `worker` tells this one from its siblings in the
    metrics. Work without end ends at the shutdown."""

    clock: Clock
    journal: Journal
    metrics: Metrics
    sleep: Callable[[float], Awaitable[None]]
    is_ours: Callable[[], Awaitable[bool]]
    shutdown: Shutdown
    worker: str = "0"


class VitalDutyFailed(Exception):
    """The worker must end: a duty that it is of no use without fails again and again."""


class EndedByItself(Exception):
    """Work without end came to one."""


class CancelledByItself(Exception):
    """Work was cancelled by what it waited for, and not by us."""


class _Run:
    """A duty while it is done."""

    __slots__ = ("duty", "faults", "task", "wake")

    def __init__(self, duty: Duty) -> None:
        self.duty = duty
        self.faults = 0  # in a row
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class DutyKeeper:
    """Make it inside the loop. `start` begins all; `until_shutdown` lasts as long as the vital ones can be
    kept up; `stop` ends all."""

    def __init__(self, duties: Iterable[Duty], ports: DutyPorts) -> None:
        self._ports = ports
        self._runs: dict[str, _Run] = {}
        for duty in duties:
            if duty.name in self._runs:
                raise ValueError(f"two duties are named {duty.name}")
            self._runs[duty.name] = _Run(duty)
        self._given_up: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def duties(self) -> tuple[Duty, ...]:
        return tuple(run.duty for run in self._runs.values())

    def __contains__(self, name: str) -> bool:
        return name in self._runs

    def start(self) -> None:
        for run in self._runs.values():
            run.task = asyncio.create_task(self._keep(run), name=f"duty {run.duty.name}")
            run.task.add_done_callback(self._ended)

    async def until_shutdown(self) -> None:
        """Raises VitalDutyFailed, or what broke the keeper itself."""
        leaving = asyncio.ensure_future(self._ports.shutdown.wait())
        try:
            await asyncio.wait((leaving, self._given_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
        if self._given_up.done():
            self._given_up.result()

    def now(self, name: str) -> None:
        """The next round of this duty begins at once: what it looks at has changed."""
        self._runs[name].wake.set()

    async def finished(self, name: str) -> None:
        """Wait for work that ends at the shutdown."""
        task = self._runs[name].task
        if task is not None:
            await asyncio.wait((task,))

    async def stop(self) -> None:
        """Cancel everything. More than once is harmless."""
        tasks = [run.task for run in self._runs.values() if run.task is not None and not run.task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """A keeper that breaks itself must not do so in silence either."""
        if not task.cancelled() and (error := task.exception()) is not None and not self._given_up.done():
            self._given_up.set_exception(error)

    async def _keep(self, run: _Run) -> None:
        duty = run.duty
        while not self._given_up.done():
            run.wake.clear()
            began = self._ports.clock.monotonic()
            try:
                is_done = await self._work(duty)
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                seconds = self._failed(
                    run, began, CancelledByItself(duty.name).with_traceback(error.__traceback__)
                )
            except Exception as error:
                seconds = self._failed(run, began, error)
            else:
                if duty.every is None:
                    return
                if is_done:
                    self._succeeded(run)
                seconds = duty.pause()
            await self._pause(run, seconds)

    async def _work(self, duty: Duty) -> bool:
        """Whether there was anything to do for us."""
        if duty.by_one and not await self._ports.is_ours():
            return False
        await duty.work()
        if duty.every is None and not duty.once and not self._ports.shutdown.is_set:
            raise EndedByItself(duty.name)
        return True

    async def _pause(self, run: _Run, seconds: float) -> None:
        sleeping, waking = (
            asyncio.ensure_future(self._ports.sleep(seconds)),
            asyncio.ensure_future(run.wake.wait()),
        )
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    def _succeeded(self, run: _Run) -> None:
        ports, name = self._ports, run.duty.name
        ports.metrics.gauge(
            "sekisho_duty_success_seconds", ports.clock.now_us() // 1_000_000, duty=name, worker=ports.worker
        )
        if run.faults:
            ports.journal.record(Entry("duty.recovered", fields={"duty": name, "faults": run.faults}))
            run.faults = 0

    def _failed(self, run: _Run, began: float, error: Exception) -> float:
        """Tells, and gives the seconds until the next try."""
        ports, duty = self._ports, run.duty
        if duty.every is None and ports.clock.monotonic() - began >= STEADY_SECONDS:
            run.faults = 0
        run.faults += 1
        seconds = min(FIRST_WAIT_SECONDS * 2.0 ** min(run.faults - 1, 20), LONGEST_WAIT_SECONDS)
        fault_id = ""
        if not isinstance(error, StoreUnavailable):  # a disk that is full is no bug
            fault_id = ports.journal.fault(f"duty.{duty.name}", error)
            ports.metrics.count("sekisho_faults_total", where=f"duty.{duty.name}")
        ports.metrics.count("sekisho_duty_faults_total", duty=duty.name)
        fields: dict[str, JournalValue] = {
            "duty": duty.name,
            "error": repr(error),
            "faults": run.faults,
            "again_in_seconds": seconds,
            "alarm": True if run.faults >= ALARM_FAULTS else None,
        }
        ports.journal.record(Entry("duty.failed", fault_id, fields))
        if duty.vital and run.faults >= VITAL_FAULTS and not self._given_up.done():
            ports.journal.record(
                Entry("duty.given_up", fault_id, {"duty": duty.name, "faults": run.faults, "alarm": True})
            )
            failed = VitalDutyFailed(f"{duty.name} failed {run.faults} times in a row")
            failed.__cause__ = error
            self._given_up.set_exception(failed)
        return seconds


class OneOfAll:
    """Is this worker the one that does what one does for all? It holds the lease while it asks."""

    def __init__(self, leases: Leases, owner: Owner, clock: Clock) -> None:
        self._leases, self._owner, self._clock = leases, owner, clock
        self._is_ours, self._asked_until = False, float("-inf")
        self._asking = asyncio.Lock()

    async def is_ours(self) -> bool:
        """Raises StoreUnavailable."""
        async with self._asking:  # many ask in one moment; one question is enough
            if self._clock.monotonic() >= self._asked_until:
                self._is_ours = False
                epoch = await self._leases.acquire(LEASE, self._owner, LEASE_SECONDS)
                self._is_ours = epoch is not None
                self._asked_until = self._clock.monotonic() + ASK_AGAIN_SECONDS
            return self._is_ours
