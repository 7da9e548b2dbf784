"""One password tried at many accounts: the guesser spreads over networks and names, but the password gives it away.

Kept in this worker's memory only, as HMACs under a key of its own: what people mistype is written down nowhere.
"""

import hmac
from collections import OrderedDict

from sekisho.ports.clock import Clock

PASSWORDS = 20_000
_DIGEST_OCTETS = 12


class SprayWatch:
    """`accounts`: failures at so many make a password a sprayed one, for `window_seconds` after each; 0: none ever is."""

    def __init__(self, key: bytes, clock: Clock, accounts: int, window_seconds: float) -> None:
        self._key, self._clock = key, clock
        self._accounts, self._window_seconds = accounts, window_seconds
        self._tried: OrderedDict[bytes, tuple[float, set[bytes]]] = OrderedDict()  # password → (until, names)

    def note(self, password: str, name: str) -> None:
        """A wrong one, from a network that is strange to the account."""
        if not self._accounts or not password:
            return
        digest, now = self._digest(password), self._clock.monotonic()
        until, names = self._tried.pop(digest, (now, set()))
        if until < now:
            names = set()
        if len(names) < self._accounts:
            names.add(self._digest(name))
        self._tried[digest] = now + self._window_seconds, names
        while len(self._tried) > PASSWORDS:
            self._tried.popitem(last=False)

    def is_sprayed(self, password: str) -> bool:
        if not self._accounts:
            return False
        until, names = self._tried.get(self._digest(password), (0.0, set()))
        return len(names) >= self._accounts and until >= self._clock.monotonic()

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256")[:_DIGEST_OCTETS]
