"""Which blocklists may be asked now: their canaries are looked at when the server starts and every hour (RFC
5782 §5).

A list that is dead, lists everything or refuses our questions is left out and said so; it comes back by
itself.
"""

import asyncio
from collections.abc import Sequence

from sekisho.core.policy.dnsbl import Blocklist, Health, canaries, judge_canaries
from sekisho.core.terms.dns import Resolver
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.metrics import Metrics

FIT_SECONDS = 3600.0
UNFIT_SECONDS = 300.0  # looked at more often: its absence is felt


class BlocklistWatch:
    """`fit` is empty until the first look has ended: an unproven list is not believed. `health`, by zone,
    outlives this watch and its settings."""

    def __init__(
        self,
        blocklists: Sequence[Blocklist],
        resolver: Resolver,
        journal: Journal,
        metrics: Metrics,
        health: dict[str, Health] | None = None,
    ) -> None:
        self._blocklists = tuple(blocklists)
        self._resolver = resolver
        self._journal = journal
        self._metrics = metrics
        self._health: dict[str, Health] = {} if health is None else health

    @property
    def fit(self) -> tuple[Blocklist, ...]:
        return tuple(
            blocklist
            for blocklist in self._blocklists
            if blocklist.zone in self._health and self._health[blocklist.zone].is_fit
        )

    @property
    def pause_seconds(self) -> float:
        """Until the next look."""
        return FIT_SECONDS if len(self.fit) == len(self._blocklists) else UNFIT_SECONDS

    async def look(self) -> None:
        """At the canaries of every list, once."""
        await asyncio.gather(*map(self._look_at, self._blocklists))

    async def _look_at(self, blocklist: Blocklist) -> None:
        questions = canaries(blocklist)
        answers = await asyncio.gather(*(self._resolver.resolve(name, "A") for name, _ in questions))
        found = judge_canaries(
            blocklist, [(must, answer) for (_, must), answer in zip(questions, answers, strict=True)]
        )
        before = self._health.get(blocklist.zone)
        if found.is_fit is None:  # could not know: what was known before still counts
            found = Health(before.is_fit if before else None, found.problem)
        self._health[blocklist.zone] = found
        self._metrics.gauge("sekisho_blocklist_fit", 1.0 if found.is_fit else 0.0, zone=blocklist.zone)
        if before is not None and before.is_fit == found.is_fit:
            return
        kind = "blocklist.fit" if found.is_fit else "blocklist.unfit"
        self._journal.record(Entry(kind, fields={"zone": blocklist.zone, "because": found.problem}))
