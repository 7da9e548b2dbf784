"""The queue: claims what is due, hands it to the courier with bounded concurrency, settles what became of
it."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any

from sekisho.core.policy.retry import SECOND_US
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.journal import Entry, JournalValue
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Outcome, QueueJob, StaleLease
from sekisho.ports.stream import Shutdown
from sekisho.services.queue.settling import Settler
from sekisho.services.queue.surroundings import QueuePorts, QueueRules
from sekisho.services.queue.watch import QueueWatch

RECHECK_SECONDS = 30.0  # the truth is the store; hints may get lost (DESIGN §4 Changes)
GATHER_SECONDS = 0.02  # hints come in bursts: one claim for many
GRACE_SECONDS = 2.5  # at shutdown, for what is under way
SETTLE_SECONDS = 1.5  # after it, to write down what was interrupted
LAST_TRIES = 5  # of writing down within SETTLE_SECONDS, while the worker ends
SETTLE_RETRY_SECONDS = 2.0
SETTLE_RETRY_MOST_SECONDS = 60.0
FAULTS_UNTIL_PLAIN = 3  # then what cannot be told is not told, but what was delivered is written down
# For each connection of a next hop: so many of its jobs are claimed at once, with so many left here more are
# claimed, and so many may be carried without being written down as carried. A crash may double the last.
PORTION = 4
LOW = 2
UNSETTLED = 2


class Queue:
    """One per worker. `run` is its life; `take` hands it jobs that this worker accepted itself."""

    def __init__(self, rules: QueueRules, ports: QueuePorts) -> None:
        self._rules = rules
        self._ports = ports
        self._settler = Settler(rules, ports)
        self._ready: dict[str, deque[QueueJob]] = {}  # by next hop, in turn
        self._ready_count = 0
        self._running: dict[str, int] = {}  # per next hop: jobs that have a connection, or soon
        self._unsettled: dict[str, int] = {}  # these, and those that are being written down
        self._tasks: set[asyncio.Task[None]] = set()
        self._carrying: set[asyncio.Task[None]] = set()  # those that may be interrupted: a settle may not
        self._wake = asyncio.Event()
        self._was_full = False
        self._is_short = asyncio.Event()  # of what was left out of the last claim there is little left
        self._busy: frozenset[str] = frozenset()  # next hops left out of the last claim
        self._stopping = asyncio.Event()
        self._in_hand: set[int] = set()  # epochs of the claims that wait or are worked on here
        self._watch_over = QueueWatch(lambda: self._in_hand)

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
        """Jobs with a fresh lease of this worker (`Accepted.jobs`): the accepting worker delivers first.
        Never blocks.

        While the queue stops they are given back at once, so that their leases do not look like those of a
        crash.
        """
        self._in_hand.update(job.epoch for job in jobs)
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
        self._is_short.set()
        self._wake.set()

    async def _wait(self, seconds: float) -> None:
        """Sleep so long, or until a hint, or until a slot is free if that is what was missing."""
        if not seconds:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
            if not self._was_full:
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._is_short.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _claim_due(self) -> float:
        """Take what is due, as far as there is room; gives the seconds until somebody should look again.

        Half the room again may wait here. Of a next hop that has enough waiting here no more are taken: it
        holds up no other.
        """
        ports, rules = self._ports, self._rules
        room = rules.concurrency + rules.concurrency // 2 - len(self._tasks) - self._ready_count
        self._was_full = room <= 0
        self._is_short.clear()
        if self._was_full:
            return RECHECK_SECONDS
        busy = self._busy = frozenset(hop for hop in self._ready if not self._runs_low(hop))
        try:
            due_at_us = await ports.spool.next_due_at_us(busy)
            if due_at_us is None:
                return RECHECK_SECONDS
            left_us = due_at_us - ports.clock.now_us()
            if left_us > 0:
                return min(left_us / SECOND_US, RECHECK_SECONDS)
            have = max((len(jobs) for hop, jobs in self._ready.items() if hop not in busy), default=0)
            portion = PORTION * rules.per_next_hop - have
            jobs = await ports.spool.claim(rules.owner, room, per_next_hop=portion, busy=busy)
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
        while len(self._tasks) < self._rules.concurrency:
            job = self._take_up()
            if job is None:
                return
            self._spawn(self._work(job))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _take_up(self) -> QueueJob | None:
        job = None if self._stopping.is_set() else self._next_job()
        if job is not None:
            for counts in (self._running, self._unsettled):
                counts[job.next_hop] = counts.get(job.next_hop, 0) + 1
        return job

    def _next_job(self) -> QueueJob | None:
        """Next hops take turns; each has as many jobs running as the relay opens connections to it."""
        most = self._rules.per_next_hop
        for next_hop, jobs in self._ready.items():
            if self._running.get(next_hop, 0) >= most or self._unsettled.get(next_hop, 0) >= UNSETTLED * most:
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
        if any(map(self._runs_low, self._busy)):
            self._is_short.set()
        if self._was_full or self._is_short.is_set():
            self._wake.set()

    def _runs_low(self, next_hop: str) -> bool:
        return len(self._ready.get(next_hop, ())) <= LOW * self._rules.per_next_hop

    async def _work(self, first: QueueJob) -> None:
        """One job after the other. A connection that is free goes on in the same turn of the loop, while
        another task writes down what it carried."""
        job: QueueJob | None = first
        while job is not None:
            done = job
            try:
                octets, outcomes = await self._attempt(done)
            except BaseException:
                self._let_go(done)
                raise
            finally:
                _count_down(self._running, done.next_hop)
            job = self._take_up() if len(self._tasks) < self._rules.concurrency else None
            if job is None:
                await self._end(done, octets, outcomes)
            else:
                self._spawn(self._end(done, octets, outcomes))

    async def _end(self, job: QueueJob, octets: MessageOctets, outcomes: tuple[Outcome, ...]) -> None:
        """Whatever fails here, the queue goes on (law 8)."""
        try:
            await self._settle(job, octets, outcomes)
        except StaleLease:
            kind = "queue.stale_lease" if await self._is_there(job) else "queue.gone"
            self._ports.journal.record(Entry(kind, job.message_id, {"next_hop": job.next_hop}))
        except Exception as error:
            # Nothing above lets one through; the claim is given back as lost.
            self._ports.journal.fault("queue.work", error)
        finally:
            self._let_go(job)

    def _let_go(self, job: QueueJob) -> None:
        self._in_hand.discard(job.epoch)
        _count_down(self._unsettled, job.next_hop)

    async def _is_there(self, job: QueueJob) -> bool:
        try:
            return await self._ports.spool.queued(job.message_id) is not None
        except StoreUnavailable:
            return True

    async def _attempt(self, job: QueueJob) -> tuple[MessageOctets, tuple[Outcome, ...]]:
        """Never raises: what fails before the courier has the job puts it off, what fails with him is his
        outcome."""
        octets: MessageOctets = _Unreadable()
        try:
            self._tell_of_crashes(job)
            octets = await self._open(job)
            outcomes = await self._kept_back(job)
        except StoreUnavailable as error:
            self._note_unavailable(job, error)
            return octets, self._put_off(
                job, "The message cannot be processed at the moment", RECHECK_SECONDS
            )
        except Exception as error:
            self._fault("queue.deliver", error)
            return octets, self._put_off(job, "Internal error")
        return octets, outcomes or await self._carry(job, octets)

    def _tell_of_crashes(self, job: QueueJob) -> None:
        for recipient in job.recipients:
            if recipient.crashes:
                fields: dict[str, JournalValue] = {
                    "recipient": str(recipient.recipient.address),
                    "crashes": recipient.crashes,
                }
                self._ports.journal.record(Entry("queue.may_be_duplicate", job.message_id, fields))

    async def _open(self, job: QueueJob) -> MessageOctets:
        """What cannot be read is an attempt that failed: it expires like any other."""
        try:
            return await self._ports.spool.open_queued(job.message_id) or _Unreadable()
        except StoreUnavailable:
            return _Unreadable()

    def _put_off(self, job: QueueJob, why: str, seconds: float = 0.0) -> tuple[Outcome, ...]:
        """Nothing was tried. With `seconds` it is no attempt, and soon is time for one; else as after an
        attempt."""
        reply, at_us = Reply.of(451, "4.3.0", why), 0
        if seconds:
            at_us = self._ports.clock.now_us() + int(seconds * SECOND_US)
        return tuple(
            Outcome(
                recipient_id=row.id,
                result="deferred",
                reply=reply,
                retry_at_us=at_us,
                interrupted=bool(seconds),
            )
            for row in job.recipients
        )

    async def _kept_back(self, job: QueueJob) -> tuple[Outcome, ...] | None:
        """Outcomes of a job that must not leave: mail of its credential is held since it was claimed (DESIGN
        §3: takeover again)."""
        if job.account_id is None:
            return None
        case = await self._ports.gate.holding(job.message_id)
        if case is None:
            return None
        self._ports.journal.record(
            Entry("queue.kept_back", job.message_id, {"next_hop": job.next_hop, "case": case.id})
        )
        return tuple(
            Outcome(recipient_id=recipient.id, result="held", reply=None) for recipient in job.recipients
        )

    async def _carry(self, job: QueueJob, octets: MessageOctets) -> tuple[Outcome, ...]:
        """Never raises, and gives an outcome for each recipient. What the courier says of some counts,
        whatever he forgot of others."""
        task = asyncio.current_task()
        if task is not None:
            self._carrying.add(task)
        try:
            said = {outcome.recipient_id: outcome for outcome in await self._ports.courier.carry(job, octets)}
        except asyncio.CancelledError:
            return _interrupted(job)
        except Exception as error:
            # An own bug: never a permanent failure (law 8).
            return self._failed_by_bug(job, error)
        finally:
            if task is not None:
                self._carrying.discard(task)
        if len(said) == len(job.recipients) and all(row.id in said for row in job.recipients):
            return tuple(said[row.id] for row in job.recipients)
        others = self._failed_by_bug(
            job, RuntimeError("the courier did not give one outcome for each recipient")
        )
        return tuple(said.get(outcome.recipient_id, outcome) for outcome in others)

    def _failed_by_bug(self, job: QueueJob, error: Exception) -> tuple[Outcome, ...]:
        return self._put_off(job, f"Internal error {self._fault('queue.carry', error)}".rstrip())

    def _fault(self, where: str, error: Exception) -> str:
        """The id of the fault. When even telling fails, the work goes on."""
        try:
            return self._ports.journal.fault(where, error)
        except Exception:
            return ""

    def _note_unavailable(self, job: QueueJob, error: StoreUnavailable) -> None:
        try:
            self._ports.journal.record(
                Entry("queue.store_unavailable", job.message_id, {"error": str(error)})
            )
        except Exception as fault:
            self._fault("queue.journal", fault)

    async def _settle(self, job: QueueJob, octets: MessageOctets, outcomes: tuple[Outcome, ...]) -> None:
        """Until it is written, whatever goes wrong: what was delivered and not settled would be delivered
        again.

        After some faults of ours without notices, which may be to blame. Raises StaleLease.
        """
        faults, last_tries = 0, LAST_TRIES
        while True:
            try:
                await self._settler.settle(job, octets, outcomes, plainly=faults >= FAULTS_UNTIL_PLAIN)
                return
            except StaleLease:
                raise
            except StoreUnavailable as error:
                self._note_unavailable(job, error)
            except Exception as error:
                faults += 1
                self._fault("queue.settle", error)
            if self._stopping.is_set():
                last_tries -= 1
                if not last_tries:
                    return  # the supervisor frees the lease of a worker that ended
                await asyncio.sleep(SETTLE_SECONDS / LAST_TRIES)
                continue
            try:
                async with asyncio.timeout(min(SETTLE_RETRY_SECONDS * 2**faults, SETTLE_RETRY_MOST_SECONDS)):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    async def count(self) -> None:
        """A duty of one worker (`QueueWatch.count`)."""
        await self._watch_over.count(self._ports, self._rules)

    async def give_back_lost(self) -> None:
        """A duty of every worker (`QueueWatch.give_back_lost`)."""
        await self._watch_over.give_back_lost(self._ports, self._rules)

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
        try:
            await self._settle(job, _Unreadable(), _interrupted(job))
        except StaleLease:
            pass
        finally:
            self._in_hand.discard(job.epoch)


def _count_down(counts: dict[str, int], next_hop: str) -> None:
    counts[next_hop] -= 1
    if not counts[next_hop]:
        del counts[next_hop]


def _interrupted(job: QueueJob) -> tuple[Outcome, ...]:
    reply = Reply.of(451, "4.3.2", "Interrupted by a shutdown of this server")
    return tuple(
        Outcome(recipient_id=recipient.id, result="deferred", reply=reply, interrupted=True)
        for recipient in job.recipients
    )


class _Unreadable:
    """Stands for a message whose octets cannot be had now."""

    size_octets = 0

    async def read(self, offset: int, length: int) -> bytes:
        raise StoreUnavailable("the message cannot be read at the moment")
