"""How often each network asked lately, in this worker's memory: newcomers should not wait behind those who ask all the time."""

from collections import OrderedDict

from sekisho.ports.clock import Clock

NETWORKS = 20_000
FIRST_TRIES = 3  # with a typo or two, an owner on a journey gets in


class Lately:
    """Counts by network, each until nothing was counted for `window_seconds`."""

    def __init__(self, clock: Clock, window_seconds: float) -> None:
        self._clock, self._window_seconds = clock, window_seconds
        self._counted: OrderedDict[str, tuple[float, int]] = OrderedDict()  # network → (until, times)

    def count(self, network: str) -> int:
        """How often it is now, this time included."""
        now = self._clock.monotonic()
        until, times = self._counted.pop(network, (now, 0))
        times = times + 1 if until > now else 1
        self._counted[network] = now + self._window_seconds, times
        while len(self._counted) > NETWORKS:
            self._counted.popitem(last=False)
        return times
