"""What did the client's network do lately, and does our own experience vouch for it?"""

from collections.abc import Sequence

from sekisho.core.policy.rates import Measure, RateFinding, RateLimits
from sekisho.core.policy.reputation import NOTHING, ReputationRules, is_good, standing
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.counters import Rates
from sekisho.ports.reputation import Reputation
from sekisho.ports.stream import IpAddress
from sekisho.probes.reputation import address_keys

REMEMBER_SECONDS = 60.0  # that a client is known for good mail: it was asked for at each of its connections
MOST_REMEMBERED = 4096


class RateProbe:
    """One per worker. `reputation` None: nobody is known."""

    def __init__(
        self,
        rates: Rates,
        limits: RateLimits,
        clock: Clock,
        reputation: Reputation | None,
        rules: ReputationRules,
    ) -> None:
        self._rates, self._limits, self._clock = rates, limits, clock
        self._reputation, self._rules = reputation, rules
        self._vouched: dict[IpAddress, tuple[str, float]] = {}

    @staticmethod
    def network(client: IpAddress) -> str:
        return address_keys(client)[2]

    def is_passed(
        self, client: IpAddress, measure: Measure, count: int, besides: Sequence[Measure], now_us: int
    ) -> bool:
        """Could a rule have something to say, when so many were counted? For nearly all clients not, and
        nothing more is asked."""
        limits, rates = self._limits, self._rates
        if limits.is_passed(measure, count):
            return True
        return any(limits.is_passed(other, rates.total(other, client, now_us)) for other in besides)

    async def look(self, client: IpAddress, measures: Sequence[Measure]) -> RateFinding:
        now_us = self._clock.now_us()
        counts = {measure: self._rates.total(measure, client, now_us) for measure in measures}
        return RateFinding(self.network(client), counts, await self.vouched(client))

    async def vouched(self, client: IpAddress) -> str:
        """Why the client, or its network, is known for good mail; "" if it is not, or that cannot be
        known."""
        if self._reputation is None:
            return ""
        told, until = self._vouched.get(client, ("", 0.0))
        if told and self._clock.monotonic() < until:
            return told
        keys, now_us = address_keys(client)[:2], self._clock.now_us()
        try:
            found = await self._reputation.histories(keys)
        except StoreUnavailable:
            return ""
        standings = [standing(key, found.get(key, NOTHING), now_us, self._rules.half_life_us) for key in keys]
        told = next((str(one) for one in standings if is_good(one, self._rules)), "")
        if told:
            if len(self._vouched) >= MOST_REMEMBERED:
                self._vouched.clear()
            self._vouched[client] = (told, self._clock.monotonic() + REMEMBER_SECONDS)
        return told
