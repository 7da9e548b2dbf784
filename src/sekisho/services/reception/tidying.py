"""Keeping the greylist small, and counting those who never came back. A duty of one worker."""

from sekisho.core.policy.greylist import GreylistRules
from sekisho.ports.clock import Clock
from sekisho.ports.greylist import Greylist
from sekisho.ports.metrics import Metrics


class GreylistTidier:
    """Remembers how far it has counted."""

    def __init__(self, greylist: Greylist, clock: Clock, metrics: Metrics) -> None:
        self._greylist, self._clock, self._metrics = greylist, clock, metrics
        self._counted_us = 0  # first tries before this were counted

    async def tidy(self, rules: GreylistRules, entries: int) -> None:
        """Count those whose time to come back is over, and forget whom nobody needs to know any more. Raises
        StoreUnavailable."""
        now_us = self._clock.now_us()
        over_us = now_us - rules.until_us
        if self._counted_us:
            never = await self._greylist.never_came(self._counted_us, over_us)
            self._metrics.count("sekisho_greylist_total", never, result="never_came_back")
        self._counted_us = max(self._counted_us, over_us)
        await self._greylist.trim(now_us - rules.remember_us, entries)
