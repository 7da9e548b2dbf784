"""Logins whose outcome is known already: an IMAP client that reconnects each minute must not cost 25 ms each
time."""

import hmac
from collections import OrderedDict

from sekisho.ports.clock import Clock


class RememberedLogins:
    """A bounded set of HMACs over everything that the outcome depended on (THREATS 17). Holds neither
    passwords nor their hashes."""

    def __init__(self, key: bytes, clock: Clock, lifetime_seconds: float, capacity: int = 10_000) -> None:
        self._key = key
        self._clock = clock
        self._lifetime_seconds = lifetime_seconds
        self._capacity = capacity
        self._expiries: OrderedDict[bytes, float] = OrderedDict()

    def fingerprint(self, *inputs: str) -> bytes:
        """Inputs are length-prefixed, so that no two lists of them run together."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in inputs]
        message = b"".join(b"%d:%b" % (len(octets), octets) for octets in encoded)
        return hmac.digest(self._key, message, "sha256")

    def has(self, fingerprint: bytes) -> bool:
        expiry = self._expiries.get(fingerprint)
        if expiry is None:
            return False
        if expiry <= self._clock.monotonic():
            del self._expiries[fingerprint]
            return False
        return True

    def remember(self, fingerprint: bytes) -> None:
        if self._lifetime_seconds <= 0:
            return
        self._expiries[fingerprint] = self._clock.monotonic() + self._lifetime_seconds
        self._expiries.move_to_end(fingerprint)
        while len(self._expiries) > self._capacity:
            self._expiries.popitem(last=False)

    def clear(self) -> None:
        self._expiries.clear()
