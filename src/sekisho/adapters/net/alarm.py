"""Notice when inbound TLS handshakes begin to fail: an expired chain, a wrong key, a sender's new quirk."""

from collections import deque

from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal

LOOK_BACK = 40
AT_LEAST = 20
WITHIN_SECONDS = 600.0
SILENCE_SECONDS = 3600.0


class HandshakeAlarm:
    """`tls.alarm` in the journal when more than half of the last handshakes failed; at most once an hour per
    listener."""

    def __init__(self, listener: str, journal: Journal, clock: Clock) -> None:
        self._listener = listener
        self._journal = journal
        self._clock = clock
        self._recent: deque[tuple[float, bool]] = deque(maxlen=LOOK_BACK)
        self._failures = 0
        self._silent_until = 0.0

    def note(self, failure: str | None) -> None:
        """One handshake ended; `failure` None: well."""
        now = self._clock.monotonic()
        recent = self._recent
        while recent and (len(recent) == LOOK_BACK or recent[0][0] < now - WITHIN_SECONDS):
            self._failures -= recent.popleft()[1]
        recent.append((now, failure is not None))
        self._failures += failure is not None
        if (
            failure is None
            or len(recent) < AT_LEAST
            or self._failures * 2 <= len(recent)
            or now < self._silent_until
        ):
            return
        self._silent_until = now + SILENCE_SECONDS
        self._journal.record(
            Entry(
                "tls.alarm",
                fields={
                    "listener": self._listener,
                    "failed": self._failures,
                    "handshakes": len(recent),
                    "last_failure": failure,
                    "what_to_do": "look at the certificate and key of this listener; clients cannot "
                    "connect securely",
                },
            )
        )
