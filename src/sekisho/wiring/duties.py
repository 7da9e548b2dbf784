"""Every background duty of a worker, by name. What they do stands elsewhere, how they are kept going in `wiring.dutykeeper`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sekisho.adapters.process.metrics import PUBLISH_SECONDS, SharedMetrics
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.ports.changes import Changes
from sekisho.ports.stream import Shutdown
from sekisho.services.queue.queue import RECHECK_SECONDS, Queue
from sekisho.services.teaching import Teacher
from sekisho.wiring.clocks import follow_lab_clock
from sekisho.wiring.content import ContentLink
from sekisho.wiring.door import DoorLink
from sekisho.wiring.dutykeeper import Duty
from sekisho.wiring.guard import GuardLink
from sekisho.wiring.learning import LearningLink
from sekisho.wiring.ledger import LedgerLink

FLUSH_SECONDS = 2.0  # experience with senders, which another worker may need
ROUND_SECONDS = 2.0  # what people wait for: frozen credentials, letters, a fit
HOUSE_SECONDS = 3600.0
PROBE_SECONDS = 3600.0
QUEUE = "queue.run"
BLOCKLISTS = "blocklists.watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who does the work."""

    store: SqliteStore
    queue: Queue
    teacher: Teacher
    door: DoorLink
    guard: GuardLink
    learning: LearningLink
    content: ContentLink
    ledger: LedgerLink
    metrics: SharedMetrics
    changes: Changes
    shutdown: Shutdown
    follow_reloads: Callable[[], Awaitable[None]]
    probe_resolver: Callable[[], Awaitable[None]]


def duties(do: Workers, slot: int) -> tuple[Duty, ...]:
    """Of the worker in this slot."""
    return (
        Duty(name=QUEUE, work=lambda: do.queue.run(do.shutdown), vital=True),
        Duty(name="queue.claims", work=do.queue.give_back_lost, every=RECHECK_SECONDS),
        Duty(name="reload.follow", work=do.follow_reloads, vital=True),
        Duty(name="metrics.publish", work=do.metrics.publish_news, every=PUBLISH_SECONDS),
        Duty(name="teacher.teach", work=do.teacher.run),
        Duty(name="reputation.flush", work=do.door.flush, every=FLUSH_SECONDS),
        Duty(name=BLOCKLISTS, work=do.door.look_at_blocklists, every=do.door.blocklist_pause),
        Duty(name="clock.follow", work=lambda: follow_lab_clock(do.changes), once=True),
        *_of_one_worker(do),
        *_of_the_first_slot(do, slot),
    )


def _of_one_worker(do: Workers) -> tuple[Duty, ...]:
    """What one does for all, whoever has the lease."""
    return (
        *(Duty(name=name, work=work, every=every, by_one=True) for name, (every, work) in do.store.maintenance.rounds.items()),
        Duty(name="guard.cases", work=do.guard.keep_cases, every=ROUND_SECONDS, by_one=True),
        Duty(name="login.notices", work=do.guard.keep_notices, every=ROUND_SECONDS, by_one=True),
        Duty(name="classifier.fit", work=do.content.classifier.fit_if_due, every=ROUND_SECONDS, by_one=True),
        Duty(name="ledger.house", work=do.ledger.keep_house, every=ROUND_SECONDS, by_one=True),
        Duty(name="judgements.trim", work=do.learning.trim, every=HOUSE_SECONDS, by_one=True),
        Duty(name="reputation.trim", work=do.door.trim_experience, every=HOUSE_SECONDS, by_one=True),
        Duty(name="greylist.tidy", work=do.door.tidy_greylist, every=HOUSE_SECONDS, by_one=True),
    )


def _of_the_first_slot(do: Workers, slot: int) -> tuple[Duty, ...]:
    """What one does for all and what wants no lease: the numbers are those of a slot."""
    if slot != 0:
        return ()
    return (
        Duty(name="queue.count", work=do.queue.count, every=RECHECK_SECONDS),
        Duty(name="resolver.probe", work=do.probe_resolver, every=PROBE_SECONDS),
    )
