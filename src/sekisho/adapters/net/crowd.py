"""The connections of one worker: which of them give way when there is not room for all, and when the server
is under stress."""

import asyncio
import math
import os
import resource
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sekisho.adapters.net.stream import SocketStream
from sekisho.core.policy.crowd import HOLD_SECONDS, CrowdRules, burden
from sekisho.ports.clock import Clock
from sekisho.ports.counters import ConnectionCounts
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.metrics import Metrics
from sekisho.ports.stream import IpAddress, Place

GAVE_WAY = "it gave way to others"
DESCRIPTORS = "descriptors"  # as a kind: what all kinds of this worker share
TICK_SECONDS, CALM_TICK_SECONDS = 1.0, 5.0
BATCH = 32  # this part of the strangers goes at once, so that not each newcomer costs a look at all
MOST_OF_ONE_KIND = 7 / 8  # of the descriptors


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdTools:
    """`descriptors`: how many connections this worker may have, of all kinds."""

    counts: ConnectionCounts
    journal: Journal
    metrics: Metrics
    clock: Clock
    descriptors: int


class Guest(Place):
    """One connection that is counted."""

    __slots__ = (
        "_crowd",
        "_now",
        "cancel",
        "client",
        "gone",
        "is_known",
        "is_new",
        "kind",
        "listener",
        "since",
        "stream",
        "vouched",
    )

    def __init__(
        self, crowd: "Crowd", kind: str, listener: str, stream: SocketStream, cancel: Callable[[], object]
    ) -> None:
        self._crowd = crowd
        self.kind, self.listener, self.stream, self.cancel = kind, listener, stream, cancel
        self.client: IpAddress = stream.peer.address
        self._now = crowd.now
        self.since = self._now()
        self.is_new, self.is_known, self.vouched, self.gone = True, False, False, False

    def moved(self) -> None:
        self.is_new = False
        self.since = self._now()

    def excuse(self, seconds: float) -> None:
        self.since = min(self.since + seconds, self._now())

    def vouch(self) -> None:
        if not self.vouched and not self.gone:
            self.vouched = True
            self._crowd.vouched(self)

    def know(self) -> None:
        self.is_known = True

    def give_way(self) -> bool:
        """False while it is we who work for it, and something would be lost."""
        if self.stream.give_way(GAVE_WAY):
            return True
        if self.is_new:  # nothing was asked yet: what we find out about the client may as well stop
            self.cancel()
        return self.is_new


class Crowd:
    """One per worker. Make it inside the loop, when everything that stays open is open."""

    def __init__(self, tools: CrowdTools, rules: CrowdRules) -> None:
        self._tools = tools
        self.use(rules)
        self.now = tools.clock.monotonic
        self._guests: dict[str, set[Guest]] = {}
        self._strangers: Counter[str] = Counter()
        self.open = 0  # descriptors of connections, until they are closed
        self._stress: dict[str, float] = {}  # kind → when it was last seen
        self._given_way: Counter[str] = Counter()  # since it was last written down
        self._told_at = self._searched_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def use(self, rules: CrowdRules) -> None:
        self._rules = rules
        self._calm = min(rules.stress_share / 2, 0.4)  # below this share there is nothing to look for

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    # -- coming and going ------------------------------------------------------------------------------------

    @property
    def has_descriptors(self) -> bool:
        """False: accept nobody until some of those who gave way are gone."""
        descriptors = self._tools.descriptors
        return self.open < descriptors + max(8, min(descriptors // 5, 64))

    def enter(self, guest: Guest) -> str | None:
        """Count it in, after making room; returns the name of the cap that refuses it."""
        kind, tools = guest.kind, self._tools
        if (
            self._stress
            or tools.counts.open_connections(kind) >= self._calm * tools.counts.places
            or self.open >= self._calm * tools.descriptors
        ):
            self._note_stress(kind)
            self._make_room(kind)
        mine = self._guests.setdefault(kind, set())
        if self.open > tools.descriptors and not self._spare_descriptor(kind):
            return DESCRIPTORS
        cap = tools.counts.enter(kind, guest.client)
        if cap == "per_ip" and self._spare_neighbour(guest):
            cap = tools.counts.enter(kind, guest.client)
        if cap is not None:
            return cap
        mine.add(guest)
        self._strangers[kind] += 1
        if self._timer is None:
            self._start_timer()
        return None

    def vouched(self, guest: Guest) -> None:
        self._tools.counts.vouch(guest.kind)
        self._strangers[guest.kind] -= 1

    def leave(self, guest: Guest) -> None:
        """Once and for all; those who gave way have left already."""
        if guest.gone:
            return
        guest.gone = True
        self._guests[guest.kind].discard(guest)
        self._strangers[guest.kind] -= not guest.vouched
        self._tools.counts.leave(guest.kind, guest.client, vouched=guest.vouched)

    # -- making room -----------------------------------------------------------------------------------------

    def _make_room(self, kind: str) -> None:
        counts = self._tools.counts
        strangers = counts.open_connections(kind) - counts.vouched(kind)
        over = strangers + 1 - self._rules.strangers(counts.places, counts.vouched(kind))
        mine = self._strangers[kind]
        if over <= 0 or not mine:
            return
        # Whoever has hardly any of them leaves it to the others, as long as there is room at all.
        if mine * counts.workers * 2 >= strangers or counts.open_connections(kind) >= counts.places:
            self._shed(self._guests[kind], min(mine, over) + mine // BATCH, "room")

    def _spare_descriptor(self, kind: str) -> bool:
        """Of the kind that has the most strangers here; but no kind takes all of them."""
        descriptors = self._tools.descriptors
        if len(self._guests[kind]) < descriptors * MOST_OF_ONE_KIND:
            kind = max(self._strangers, key=self._strangers.__getitem__, default=kind)
        mine = self._strangers[kind]
        return (
            self._shed(self._guests[kind], min(mine, self.open - descriptors) + mine // BATCH, "descriptors")
            > 0
        )

    def _spare_neighbour(self, newcomer: Guest) -> bool:
        """Of the same client, who may be many behind one address: one that is silent for long. Looked for
        once in a while only."""
        now = self.now()
        if now - self._searched_at < TICK_SECONDS:
            return False
        self._searched_at = now
        same, before = host_of(newcomer.client), now - self._rules.stress_seconds
        silent = (
            one
            for one in self._guests[newcomer.kind]
            if not one.vouched and one.since <= before and host_of(one.client) == same
        )
        return self._shed(silent, 1, "room") > 0

    def relieve(self) -> None:
        """The system gives no more descriptors, whatever was planned."""
        for kind in (kind for kind, mine in self._strangers.items() if mine):
            self._shed(self._guests[kind], self._strangers[kind] // 8 + 1, "descriptors")
        self._note_stress(DESCRIPTORS, is_short=True)

    def _shed(self, guests: Iterable[Guest], count: int, reason: str) -> int:
        """The heaviest strangers give way; returns how many could."""
        now, crowding = self.now(), self._tools.counts.crowding
        known: dict[IpAddress, float] = {}
        weighed: list[tuple[float, Guest]] = []
        for guest in guests:
            if guest.vouched:
                continue
            weight = known.get(guest.client)
            if weight is None:
                weight = known[guest.client] = crowding(guest.kind, guest.client)
            weighed.append((burden(weight, now - guest.since, is_known=guest.is_known), guest))
        weighed.sort(key=lambda one: one[0], reverse=True)
        found = 0
        for _, guest in weighed:
            if found >= count:
                break
            found += self._evict(guest, reason)
        return found

    def _evict(self, guest: Guest, reason: str) -> bool:
        if not guest.give_way():
            return False
        self.leave(guest)
        self._tools.metrics.count(
            "sekisho_connections_given_way_total", listener=guest.listener, reason=reason
        )
        self._given_way[guest.kind] += 1
        return True

    # -- stress ----------------------------------------------------------------------------------------------

    def is_stressed(self, kind: str) -> bool:
        return kind in self._stress or DESCRIPTORS in self._stress

    def _note_stress(self, kind: str, *, is_short: bool = False) -> None:
        for name in {kind, DESCRIPTORS}:
            places, taken = self._room(name)
            already = name in self._stress
            if (is_short and name == DESCRIPTORS) or self._rules.is_stress(places, taken, already=already):
                self._stress[name] = self.now()
                if not already:
                    self._tell_stress(name, "began")
                    if self._timer is not None:
                        self._timer.cancel()
                        self._start_timer()

    def _room(self, kind: str) -> tuple[int, int]:
        """Places there are, and how many are taken."""
        tools = self._tools
        if kind == DESCRIPTORS:
            return tools.descriptors, self.open
        return tools.counts.places, tools.counts.open_connections(kind)

    def _tell_stress(self, kind: str, what: str) -> None:
        places, taken = self._room(kind)
        self._tools.metrics.gauge("sekisho_stress", float(what == "began"), kind=kind)
        kinds = {"began": "crowd.stress_began", "ended": "crowd.stress_ended"}
        self._tools.journal.record(
            Entry(kinds[what], fields={"listeners": kind, "open": taken, "places": places})
        )

    def _start_timer(self) -> None:
        seconds = TICK_SECONDS if self._stress else CALM_TICK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.tick()
        if self._stress or any(self._guests.values()):
            self._start_timer()

    def tick(self) -> None:
        """What is done though nobody comes: the silent end, and the stress."""
        for kind, guests in self._guests.items():
            self._note_stress(kind)
            if self.is_stressed(kind):
                self._end_silent(guests)
                self._make_room_in_part(kind)
        now = self.now()
        for kind, seen in list(self._stress.items()):
            if now - seen >= HOLD_SECONDS:
                del self._stress[kind]
                self._tell_stress(kind, "ended")
        self._tell_given_way(now)

    def _end_silent(self, guests: set[Guest]) -> None:
        before = self.now() - self._rules.stress_seconds
        for guest in [one for one in guests if not (one.vouched or one.is_known) and one.since <= before]:
            self._evict(guest, "silence")

    def _make_room_in_part(self, kind: str) -> None:
        """Each worker does its part of what is over the limit."""
        counts, mine = self._tools.counts, self._strangers[kind]
        strangers = counts.open_connections(kind) - counts.vouched(kind)
        over = strangers - self._rules.strangers(counts.places, counts.vouched(kind))
        if over > 0 and mine:
            self._shed(self._guests[kind], math.ceil(over * mine / strangers), "room")

    def _tell_given_way(self, now: float) -> None:
        """Once a minute: a flood must not flood the log."""
        if self._given_way and now - self._told_at >= 60.0:
            self._told_at = now
            for kind, connections in self._given_way.items():
                self._tools.journal.record(
                    Entry("crowd.gave_way", fields={"listeners": kind, "connections": connections})
                )
            self._given_way.clear()


def host_of(client: IpAddress) -> bytes:
    """Whose connections are counted together as one client's: /32, IPv6 /64."""
    return client.packed[:8] if client.version == 6 else client.packed


def descriptors_for_connections(kept: int) -> int:
    """Of what this process may open, without what it has open and `kept` for the store, the relay and the
    DNS."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    used = len(os.listdir("/proc/self/fd"))
    return max(16, limit - used - min(kept, limit // 3))
