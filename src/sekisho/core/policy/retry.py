"""When to try again, when to give up and when to tell the sender (RFC 5321 §4.5.4.1): pure.

Instants and durations are int µs here, as in the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sekisho.core.terms.envelope import Notify
from sekisho.core.terms.reply import Reply

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """`waits_us` between attempts, the last one repeats; `jitter` is the part by which each varies (0 to
    0.5)."""

    waits_us: tuple[int, ...]
    jitter: float
    lifetime_us: int
    notice_lifetime_us: int
    delay_notice_us: int

    @classmethod
    def of_seconds(
        cls,
        waits: Sequence[float],
        *,
        jitter: float,
        lifetime: float,
        notice_lifetime: float,
        delay_notice: float,
    ) -> "RetrySchedule":
        return cls(
            waits_us=tuple(int(wait * SECOND_US) for wait in waits),
            jitter=jitter,
            lifetime_us=int(lifetime * SECOND_US),
            notice_lifetime_us=int(notice_lifetime * SECOND_US),
            delay_notice_us=int(delay_notice * SECOND_US),
        )

    def wait_us(self, attempts: int, roll: float) -> int:
        """The wait after so many attempts (≥ 1). `roll`: a throw of the dice, −1 to 1."""
        wait = self.waits_us[min(max(attempts, 1), len(self.waits_us)) - 1]
        return int(wait * (1.0 + self.jitter * roll))

    @property
    def longest_wait_us(self) -> int:
        return int(max(self.waits_us) * (1.0 + self.jitter))

    def retry_at_us(self, now_us: int, attempts: int, expires_at_us: int, roll: float) -> int | None:
        """When to try again, or None: the lifetime is over. The last try falls on the expiry itself."""
        if now_us >= expires_at_us:
            return None
        return min(now_us + self.wait_us(attempts, roll), expires_at_us)

    def expires_at_us(self, arrived_at_us: int, *, is_notice: bool) -> int:
        """When to give up; notices (null reverse path) live shorter (STANDARDS Q-01)."""
        return arrived_at_us + (self.notice_lifetime_us if is_notice else self.lifetime_us)

    def wants_delay_notice(
        self, now_us: int, arrived_at_us: int, notify: frozenset[Notify] | None, *, by_default: bool
    ) -> bool:
        """Is it time for a "delayed" DSN? RFC 3461 §4.1: as NOTIFY says, or `by_default` where the client
        said nothing."""
        wanted = by_default if notify is None else "DELAY" in notify
        return wanted and now_us - arrived_at_us >= self.delay_notice_us


def wants_failure_notice(notify: frozenset[Notify] | None) -> bool:
    """RFC 3461 §4.1: without NOTIFY a failure is told."""
    return notify is None or "FAILURE" in notify


def wants_success_notice(notify: frozenset[Notify] | None) -> bool:
    return notify is not None and "SUCCESS" in notify


def is_about_next_hop(reply: Reply | None) -> bool:
    """Did the whole next hop fail (unreachable, or going down), and not only this message?

    RFC 5321 §4.5.4.1: then the destination must rest, for other messages too.
    """
    if reply is None:
        return False
    # RFC 3463 §3.5: 4.4.x is the network or the routing.
    return reply.code == 421 or (
        reply.enhanced is not None and (reply.enhanced.class_, reply.enhanced.subject) == (4, 4)
    )
