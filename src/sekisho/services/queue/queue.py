"""The queue: claims what is due, hands it to the courier with bounded concurrency, settles what became of it."""

import asyncio
from collections import deque
from collections.abc import Iterable

from sekisho.core.policy.retry import SECOND_US
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.journal import Entry
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Outcome, QueueJob, StaleLease
from sekisho.ports.stream import Shutdown
from sekisho.services.queue.settling import Settler
from sekisho.services.queue.surroundings import QueuePorts, QueueRules

RECHECK_SECONDS = 30.0  # the truth is the store; hints may get lost (DESIGN §4 Changes)
GATHER_SECONDS = 0.02  # hints come in bursts: one claim for many
GRACE_SECONDS = 2.5  # at shutdown, for what is under way
SETTLE_SECONDS = 1.5  # after it, to write down what was interrupted
SETTLE_RETRY_SECONDS = 2.0
PORTION = 4  # jobs of one next hop claimed at once, for each of its connections


class Queue:
    """One per worker. `run` is its life; `take` hands it jobs that this worker accepted itself."""

    def __init__(self, rules: QueueRules, ports: QueuePorts) -> None:
        self._rules = rules
        self._ports = ports
        self._settler = Settler(rules, ports)
        self._ready: dict[str, deque[QueueJob]] = {}  # by next hop, in turn
        self._ready_count = 0
        self._running: dict[str, int] = {}  # per next hop
        self._tasks: set[asyncio.Task[None]] = set()
        self._carrying: set[asyncio.Task[None]] = set()  # those that may be interrupted: a settle may not
        self._wake = asyncio.Event()
        self._was_full = False
        self._busy: frozenset[str] = frozenset()  # next hops left out of the last claim
        self._stopping = asyncio.Event()
        self._known_parked: set[int] = set()

    def use(self, rules: QueueRules, ports: QueuePorts) -> None:
        """New rules, from the next decision on."""
        self._rules, self._ports = rules, ports
        self._settler = Settler(rules, ports)
        self._wake.set()

    def owner_for_new(self) -> Owner | None:
        """Who takes what is accepted now: this worker while it has room, else nobody yet.

        What waits here is memory, and would count as crashed if this worker died.
        """
        is_full = len(self._tasks) + self._ready_count >= 2 * self._rules.concurrency
        return None if is_full or self._stopping.is_set() else self._rules.owner

    def take(self, jobs: tuple[QueueJob, ...]) -> None:
        """Jobs with a fresh lease of this worker (`Accepted.jobs`): the accepting worker delivers first. Never blocks.

        While the queue stops they are given back at once, so that their leases do not look like those of a crash.
        """
        if self._stopping.is_set():
            self._give_back_soon(jobs)
            return
        for job in jobs:
            self._ready.setdefault(job.next_hop, deque()).append(job)
            self._ready_count += 1
        self._start_ready()

    async def run(self, shutdown: Shutdown) -> None:
        """Until shutdown; then at most 5 s more."""
        unsubscribe = self._ports.changes.subscribe_queue(self._wake.set)
        watcher = asyncio.create_task(self._watch(shutdown))
        self._stopping.clear()  # an earlier run may have ended by a fault
        try:
            while not shutdown.is_set:
                await self._wait(await self._claim_due())
        finally:
            unsubscribe()
            watcher.cancel()
            await self._stop()

    async def _watch(self, shutdown: Shutdown) -> None:
        await shutdown.wait()
        self._wake.set()

    async def _wait(self, seconds: float) -> None:
        """Sleep so long, or until a hint, or until a slot is free if that is what was missing."""
        if not seconds:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
            if not self._was_full:
                await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            pass
        self._wake.clear()

    async def _claim_due(self) -> float:
        """Take what is due, as far as there is room; gives the seconds until somebody should look again.

        Half the room again may wait here. Of a next hop that has jobs waiting here no more are taken: it holds up no other.
        """
        ports, rules = self._ports, self._rules
        room = rules.concurrency + rules.concurrency // 2 - len(self._tasks) - self._ready_count
        self._was_full = room <= 0
        if self._was_full:
            return RECHECK_SECONDS
        busy = self._busy = frozenset(self._ready)
        try:
            due_at_us = await ports.spool.next_due_at_us(busy)
            if due_at_us is None:
                return RECHECK_SECONDS
            left_us = due_at_us - ports.clock.now_us()
            if left_us > 0:
                return min(left_us / SECOND_US, RECHECK_SECONDS)
            jobs = await ports.spool.claim(rules.owner, room, per_next_hop=PORTION * rules.per_next_hop, busy=busy)
        except StoreUnavailable as error:
            ports.journal.record(Entry("queue.store_unavailable", "", {"error": str(error)}))
            return RECHECK_SECONDS
        except Exception as error:
            ports.journal.fault("queue.claim", error)
            return RECHECK_SECONDS
        self.take(tuple(jobs))
        # Due and not given to us: another worker was quicker.
        return 0.0 if jobs else 1.0

    def _start_ready(self) -> None:
        while len(self._tasks) < self._rules.concurrency and not self._stopping.is_set():
            job = self._next_job()
            if job is None:
                return
            self._running[job.next_hop] = self._running.get(job.next_hop, 0) + 1
            task = asyncio.get_running_loop().create_task(self._work(job))
            self._tasks.add(task)
            task.add_done_callback(self._on_done)

    def _next_job(self) -> QueueJob | None:
        """Next hops take turns; each has as many jobs running as the relay opens connections to it."""
        for next_hop, jobs in self._ready.items():
            if self._running.get(next_hop, 0) >= self._rules.per_next_hop:
                continue
            job = jobs.popleft()
            self._ready_count -= 1
            del self._ready[next_hop]
            if jobs:
                self._ready[next_hop] = jobs  # to the end of the line
            return job
        return None

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._start_ready()
        if self._was_full or not self._busy.issubset(self._ready):
            self._wake.set()

    async def _work(self, job: QueueJob) -> None:
        """One job from content to settled. Whatever fails here, the queue goes on (law 8)."""
        try:
            await self._deliver(job)
        except StaleLease:
            self._ports.journal.record(Entry("queue.stale_lease", job.message_id, {"next_hop": job.next_hop}))
        except Exception as error:
            self._ports.journal.fault("queue.settle", error)
        finally:
            left = self._running[job.next_hop] - 1
            if left:
                self._running[job.next_hop] = left
            else:
                del self._running[job.next_hop]

    async def _deliver(self, job: QueueJob) -> None:
        for recipient in job.recipients:
            if recipient.crashes:
                self._ports.journal.record(
                    Entry(
                        "queue.may_be_duplicate",
                        job.message_id,
                        {"recipient": str(recipient.recipient.address), "crashes": recipient.crashes},
                    )
                )
        octets: MessageOctets | None
        try:
            octets = await self._ports.spool.open_queued(job.message_id)
        except StoreUnavailable:
            octets = _Unreadable()
        if octets is None:
            self._ports.journal.record(Entry("queue.gone", job.message_id, {"next_hop": job.next_hop}))
            return
        outcomes = await self._kept_back(job) or await self._carry(job, octets)
        await self._settle(job, octets, outcomes)

    async def _kept_back(self, job: QueueJob) -> tuple[Outcome, ...] | None:
        """Outcomes of a job that must not leave: mail of its credential is held since it was claimed (DESIGN §3: takeover again)."""
        if job.account_id is None:
            return None
        case = await self._ports.gate.holding(job.message_id)
        if case is None:
            return None
        self._ports.journal.record(Entry("queue.kept_back", job.message_id, {"next_hop": job.next_hop, "case": case.id}))
        return tuple(Outcome(recipient.id, "held", None) for recipient in job.recipients)

    async def _carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        task = asyncio.current_task()
        if task is not None:
            self._carrying.add(task)
        try:
            outcomes = await self._ports.courier.carry(job, octets)
            if len(outcomes) != len(job.recipients):
                raise RuntimeError("the courier did not give one outcome for each recipient")
            return outcomes
        except asyncio.CancelledError:
            reply = Reply.of(451, "4.3.2", "Interrupted by our own shutdown")
            return tuple(Outcome(recipient.id, "deferred", reply, interrupted=True) for recipient in job.recipients)
        except Exception as error:
            # An own bug: never a permanent failure (law 8).
            fault = self._ports.journal.fault("queue.carry", error)
            reply = Reply.of(451, "4.3.0", f"Internal error {fault}")
            return tuple(Outcome(recipient.id, "deferred", reply) for recipient in job.recipients)
        finally:
            if task is not None:
                self._carrying.discard(task)

    async def _settle(self, job: QueueJob, octets: MessageOctets, outcomes: tuple[Outcome, ...]) -> None:
        """Until it is written: what was delivered and not settled would be delivered again."""
        while True:
            try:
                await self._settler.settle(job, octets, outcomes)
                return
            except StoreUnavailable as error:
                self._ports.journal.record(Entry("queue.store_unavailable", job.message_id, {"error": str(error)}))
            try:
                async with asyncio.timeout(SETTLE_RETRY_SECONDS):
                    await self._stopping.wait()
                return  # the supervisor frees the lease of a worker that ended
            except TimeoutError:
                continue

    async def count(self) -> None:
        """A duty of one worker: counts the queue, and raises the alarm about what crashed its workers three times.

        Raises StoreUnavailable.
        """
        messages = await self._ports.spool.queue()
        counts = dict.fromkeys(("waiting", "claimed", "held", "parked"), 0)
        parked: set[int] = set()
        for message in messages:
            for recipient in message.recipients:
                if recipient.state in counts:
                    counts[recipient.state] += 1
                if recipient.state == "parked":
                    parked.add(recipient.id)
                    if recipient.id not in self._known_parked:
                        self._ports.journal.record(
                            Entry("queue.parked", message.message_id, {"recipient": str(recipient.recipient.address), "alarm": True})
                        )
        self._known_parked = parked
        for state, count in counts.items():
            self._ports.metrics.gauge("sekisho_queue_recipients", count, state=state)

    async def _stop(self) -> None:
        """Wait for what is under way, then interrupt it; what never began is given back as interrupted."""
        self._stopping.set()
        waiting = [job for jobs in self._ready.values() for job in jobs]
        self._ready.clear()
        self._ready_count = 0
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=GRACE_SECONDS)
        for task in set(self._carrying):
            task.cancel()
        self._give_back_soon(waiting)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=SETTLE_SECONDS)

    def _give_back_soon(self, jobs: Iterable[QueueJob]) -> None:
        for job in jobs:
            task = asyncio.get_running_loop().create_task(self._give_back(job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _give_back(self, job: QueueJob) -> None:
        reply = Reply.of(451, "4.3.2", "Interrupted by our own shutdown")
        outcomes = tuple(Outcome(recipient.id, "deferred", reply, interrupted=True) for recipient in job.recipients)
        try:
            await self._settler.settle(job, _Unreadable(), outcomes)
        except (StaleLease, StoreUnavailable):
            pass  # the supervisor frees the lease of a worker that ended


class _Unreadable:
    """Stands for a message whose octets cannot be had now."""

    size_octets = 0

    async def read(self, offset: int, length: int) -> bytes:
        raise StoreUnavailable("the message cannot be read now")
