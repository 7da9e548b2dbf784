"""How often each network asked lately: newcomers should not wait behind those who ask all the time."""

from sekisho.ports.counters import Recent

FIRST_TRIES = 3  # with a typo or two, an owner on a journey gets in


class Lately:
    """Counts by network, each until nothing was counted for `window_seconds`. `what` is counted, apart from
    what others count."""

    def __init__(self, recent: Recent, what: str, window_seconds: float) -> None:
        self._recent, self._what, self._window_seconds = recent, what, window_seconds

    def count(self, network: str) -> int:
        """How often it is now, this time included."""
        return self._recent.count(f"{self._what}:{network}", self._window_seconds)
