"""Where the resolver sits: everybody asks the seat, and a reload puts another resolver into it."""

from collections.abc import Coroutine
from typing import Any

from sekisho.adapters.dns.resolver import ResolverFacts, StubResolver
from sekisho.core.terms.dns import Answer, RecordType


class ResolverSeat:
    """Implements `core.terms.dns.Resolver`. Questions under way are answered by whom they were asked of."""

    def __init__(self, first: StubResolver) -> None:
        self.now = first
        self._leaving: list[StubResolver] = []

    def use(self, resolver: StubResolver) -> None:
        """From now on this one is asked. Its predecessor closes its sockets when the last answer is there."""
        if resolver is self.now:
            return
        self._leaving = [old for old in (*self._leaving, self.now) if not old.retire()]
        self.now = resolver

    def resolve(self, name: str, rtype: RecordType) -> Coroutine[Any, Any, Answer]:
        return self.now.resolve(name, rtype)

    def cached(self, name: str, rtype: RecordType) -> Answer | None:
        return self.now.cached(name, rtype)

    async def probe(self) -> ResolverFacts:
        return await self.now.probe()

    async def close(self) -> None:
        for resolver in (*self._leaving, self.now):
            await resolver.close()
