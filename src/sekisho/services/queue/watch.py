"""Watching over the whole queue: what is in it, what got stuck, what nobody works on, what a wrong clock put
off."""

from collections.abc import Callable, Set

from sekisho.core.policy.retry import SECOND_US
from sekisho.ports.journal import Entry, JournalValue
from sekisho.ports.spool import QueuePlace
from sekisho.services.queue.surroundings import QueuePorts, QueueRules

STUCK_SECONDS = 3600.0  # claimed so long without an outcome: an alarm, and again after as long
HOUR_US = 3600 * SECOND_US  # beyond the longest wait between attempts, for what the guard slows


class QueueWatch:
    """`in_hand`: the epochs of the claims that this worker knows of."""

    def __init__(self, in_hand: Callable[[], Set[int]]) -> None:
        self._in_hand = in_hand
        self._known_parked: set[int] = set()
        self._told_stuck: dict[int, float] = {}  # recipient → when, on the monotonic clock
        self._suspects: frozenset[int] = frozenset()

    async def count(self, ports: QueuePorts, rules: QueueRules) -> None:
        """A duty of one worker: numbers, and alarms about what crashed its workers three times or does not
        move.

        Raises StoreUnavailable.
        """
        now_us = ports.clock.now_us()
        late = await ports.spool.pull_in(now_us, rules.schedule.longest_wait_us + HOUR_US)
        if late:
            ports.journal.record(Entry("queue.clock_was_wrong", "", {"recipients": late, "alarm": True}))
        tally = await ports.spool.tally(now_us - int(STUCK_SECONDS * SECOND_US))
        for place in tally.parked:
            if place.recipient_id not in self._known_parked:
                self._alarm(ports, "queue.parked", place)
        self._known_parked = {place.recipient_id for place in tally.parked}
        now, told = ports.clock.monotonic(), self._told_stuck
        self._told_stuck = {
            place.recipient_id: told.get(place.recipient_id, -STUCK_SECONDS) for place in tally.stuck
        }
        for place in tally.stuck:
            if now - self._told_stuck[place.recipient_id] >= STUCK_SECONDS:
                self._told_stuck[place.recipient_id] = now
                self._alarm(ports, "queue.stuck", place, seconds=(now_us - place.since_us) // SECOND_US)
        for state, count in tally.counts.items():
            ports.metrics.gauge("sekisho_queue_recipients", count, state=state)
        ports.metrics.gauge("sekisho_queue_stuck", len(tally.stuck))

    def _alarm(self, ports: QueuePorts, kind: str, place: QueuePlace, **more: int) -> None:
        fields: dict[str, JournalValue] = {
            "recipient": place.address,
            "next_hop": place.next_hop,
            **more,
            "alarm": True,
        }
        ports.journal.record(Entry(kind, place.message_id, fields))

    async def give_back_lost(self, ports: QueuePorts, rules: QueueRules) -> None:
        """A duty of every worker: claims in its name that no task of it holds, seen twice: the first time one
        may be on its way here.

        Raises StoreUnavailable.
        """
        claims = await ports.spool.claims(rules.owner)
        lost = frozenset(claims.keys() - self._in_hand())
        to_give = lost & self._suspects
        self._suspects = lost - to_give
        if not to_give:
            return
        count = await ports.spool.give_back(rules.owner, to_give)
        for epoch in to_give:
            ports.journal.record(
                Entry("queue.claim_lost", claims[epoch], {"recipients": count, "alarm": True})
            )
