"""Every background duty of a worker, by name. What they do stands elsewhere, how they are kept going in
`wiring.dutykeeper`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sekisho.adapters.process.metrics import PUBLISH_SECONDS
from sekisho.services.queue.queue import RECHECK_SECONDS
from sekisho.wiring.clocks import follow_lab_clock
from sekisho.wiring.dutykeeper import Duty
from sekisho.wiring.hop import tidy_hop
from sekisho.wiring.plant import Plant
from sekisho.wiring.reports import trim_reports
from sekisho.wiring.resolverwatch import ResolverWatch
from sekisho.wiring.services import Services

FLUSH_SECONDS = 2.0  # experience with senders, which another worker may need
ROUND_SECONDS = 2.0  # what people wait for: frozen credentials, letters, a fit
COUNT_SECONDS = 10.0  # sessions with other hosts, which only reports ask for
REFRESH_SECONDS = 60.0
HOUSE_SECONDS = 3600.0
REPORT_SECONDS = 300.0
PROBE_SECONDS = 3600.0
JUDGEMENTS = 500_000  # that are remembered; 60 octets each
QUEUE, BLOCKLISTS, RESOLVER = "queue.run", "blocklists.watch", "resolver.probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Who does the work. `now`: the services of the moment, which a reload exchanges."""

    plant: Plant
    now: Callable[[], Services]
    follow_reloads: Callable[[], Awaitable[None]]


def duties(hands: Hands, slot: int) -> tuple[Duty, ...]:
    """Of the worker in this slot."""
    plant, now = hands.plant, hands.now
    return (
        Duty(name=QUEUE, work=lambda: plant.queue.run(plant.shutdown), vital=True),
        Duty(name="queue.claims", work=plant.queue.give_back_lost, every=RECHECK_SECONDS),
        Duty(name="reload.follow", work=hands.follow_reloads, vital=True),
        Duty(name="metrics.publish", work=plant.shared.metrics.publish_news, every=PUBLISH_SECONDS),
        Duty(name="teacher.teach", work=plant.teacher.run),
        Duty(name="reputation.flush", work=plant.store.reputation.flush, every=FLUSH_SECONDS),
        Duty(name="reports.count", work=plant.store.reports.flush, every=COUNT_SECONDS),
        Duty(name="hop.count", work=plant.store.hop_sessions.flush, every=COUNT_SECONDS),
        Duty(
            name=BLOCKLISTS,
            work=lambda: now().blocklists.look(),
            every=lambda: now().blocklists.pause_seconds,
        ),
        Duty(name="clock.follow", work=lambda: follow_lab_clock(plant.changes), once=True),
        *_of_one_worker(plant, now),
        *(_of_the_first_slot(plant) if slot == 0 else ()),
    )


def _of_one_worker(plant: Plant, now: Callable[[], Services]) -> tuple[Duty, ...]:
    """What one does for all, whoever has the lease."""
    store = plant.store

    def trim_reputation() -> Awaitable[object]:
        return store.reputation.trim(now().config.reputation.entries)

    def tidy_reports() -> Awaitable[object]:
        return trim_reports(plant, now().config)

    def tidy_greylist() -> Awaitable[object]:
        settings = now().config.greylist
        return plant.greylist.tidy(settings.rules(), settings.entries)

    return (
        *(
            Duty(name=name, work=work, every=every, by_one=True)
            for name, (every, work) in store.maintenance.rounds.items()
        ),
        Duty(name="guard.cases", work=lambda: now().cases.keep(), every=ROUND_SECONDS, by_one=True),
        Duty(name="login.notices", work=lambda: now().notices.keep(), every=ROUND_SECONDS, by_one=True),
        Duty(name="classifier.fit", work=plant.classifier.fit_if_due, every=ROUND_SECONDS, by_one=True),
        Duty(name="ledger.house", work=plant.ledger.keep_house, every=ROUND_SECONDS, by_one=True),
        Duty(
            name="judgements.trim",
            work=lambda: store.judgements.trim(JUDGEMENTS),
            every=HOUSE_SECONDS,
            by_one=True,
        ),
        Duty(name="reputation.trim", work=trim_reputation, every=HOUSE_SECONDS, by_one=True),
        Duty(name="hop.refresh", work=plant.sts_desk.refresh, every=REFRESH_SECONDS, by_one=True),
        Duty(name="hop.tidy", work=lambda: tidy_hop(store, plant.clock), every=HOUSE_SECONDS, by_one=True),
        Duty(name="reports.send", work=lambda: now().reports.send_due(), every=REPORT_SECONDS, by_one=True),
        Duty(
            name="reports.send_tls",
            work=lambda: now().tls_reports.send_due(),
            every=REPORT_SECONDS,
            by_one=True,
        ),
        Duty(name="reports.trim", work=tidy_reports, every=HOUSE_SECONDS, by_one=True),
        Duty(name="greylist.tidy", work=tidy_greylist, every=HOUSE_SECONDS, by_one=True),
    )


def _of_the_first_slot(plant: Plant) -> tuple[Duty, ...]:
    """What one does for all and what wants no lease: the numbers are those of a slot."""
    watch = ResolverWatch(plant.resolver, plant.journal)
    return (
        Duty(name="queue.count", work=plant.queue.count, every=RECHECK_SECONDS),
        Duty(name=RESOLVER, work=watch.probe, every=PROBE_SECONDS),
    )
