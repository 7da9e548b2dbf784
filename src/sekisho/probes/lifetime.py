"""Findings that follow from DNS answers alone, kept for as long as all of those answers live.

What could not be known is never kept: neither a temperror nor anything that was found while one of the
answers was missing.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from sekisho.core.terms.dns import Answer, RecordType, Resolver

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
MOST_SECONDS = 3_600  # as long as the cache below keeps that there is nothing (RFC 2308 §5)
MOST_FINDINGS = 4_096


class WatchedResolver:
    """Asks another resolver, and notes how long what it said may be believed."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.seconds = MOST_SECONDS  # that the shortest answer lives; 0: one was missing

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        answer = await self._resolver.resolve(name, rtype)
        if answer.is_unknown:
            self.seconds = 0
        elif answer.ttl_seconds < self.seconds:
            self.seconds = answer.ttl_seconds
        return answer


class Findings(Generic[K, V]):
    """Bounded by entries, the least recently used given up first. `monotonic`: the clock that the DNS cache
    goes by too."""

    def __init__(self, monotonic: Callable[[], float], most: int = MOST_FINDINGS) -> None:
        self._monotonic, self._most = monotonic, most
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] <= self._monotonic():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept[1]

    def keep(self, key: K, finding: V, seconds: float) -> None:
        if seconds <= 0:
            return
        self._kept[key] = (self._monotonic() + seconds, finding)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
