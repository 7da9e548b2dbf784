"""What the shaped courier works with, and what a worker remembers of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from sekisho.core.policy.shaping.shape import UNKNOWN, Shape
from sekisho.core.policy.shaping.warmup import WarmupRules
from sekisho.core.terms.dns import Resolver
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.metrics import Metrics
from sekisho.ports.shaping import Shapes

FRESH_SECONDS = 2.0  # what another worker learned is known here so soon
DEFAULT_BUDGET = WarmupRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapingPorts:
    shapes: Shapes
    resolver: Resolver
    clock: Clock
    journal: Journal
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapingRules:
    """`warmup`: auto, on or off; auto is on where this server never sent before. `workers` share a provider's
    connections; `connections`: of a host that is no known provider's, per worker."""

    enabled: bool
    warmup: str
    source: str
    routes: Mapping[str, str]
    workers: int
    connections: int
    budget: WarmupRules = DEFAULT_BUDGET


@dataclass(slots=True)
class Slots:
    """Of one group in this worker: `running` now, and how many wait for one of them to end."""

    running: int = 0
    waiting: int = 0
    freed: asyncio.Event = field(default_factory=asyncio.Event)


class ShapingMemory:
    """One per worker; it outlives settings, as messages are under way while they change."""

    def __init__(self) -> None:
        self.slots: dict[str, Slots] = {}
        self._known: dict[tuple[str, str], Shape] = {}
        self._read_at = float("-inf")
        self._established: bool | None = None

    async def shape(self, ports: ShapingPorts, source: str, group: str) -> Shape:
        """At most some seconds old. A store that does not answer slows nobody."""
        now = ports.clock.monotonic()
        if now - self._read_at >= FRESH_SECONDS:
            self._read_at = now
            try:
                listing = await ports.shapes.listing()
                self._known = {(known.source, known.group): known.shape for known in listing}
            except StoreUnavailable as error:
                ports.journal.record(Entry("queue.store_unavailable", "", {"error": str(error)}))
        return self._known.get((source, group), UNKNOWN)

    def note(self, source: str, group: str, shape: Shape) -> None:
        self._known[source, group] = shape

    async def is_established(self, ports: ShapingPorts) -> bool:
        if self._established is None:
            try:
                self._established = await ports.shapes.is_established()
            except StoreUnavailable:
                return True
        return self._established
