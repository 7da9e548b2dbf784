"""Tells what resolver there is, at the start and when it is another one."""

from sekisho.adapters.dns.seat import ResolverSeat
from sekisho.ports.journal import Entry, Journal


class ResolverWatch:
    def __init__(self, resolver: ResolverSeat, journal: Journal) -> None:
        self._resolver, self._journal = resolver, journal
        self._told = ""

    async def probe(self) -> None:
        """A duty."""
        facts = await self._resolver.probe()
        if facts.sentence != self._told:
            self._told = facts.sentence
            self._journal.record(Entry("resolver.probed", fields={"text": facts.sentence}))
