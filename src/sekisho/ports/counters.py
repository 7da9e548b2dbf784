"""Counts that are global over workers."""

from typing import Protocol

from sekisho.core.policy.rates import Measure
from sekisho.ports.stream import IpAddress


class ConnectionCounts(Protocol):
    """Open connections per listener kind and per client network, in shared memory. Synchronous."""

    @property
    def places(self) -> int:
        """Of each kind."""
        ...

    @property
    def workers(self) -> int: ...

    def enter(self, kind: str, client: IpAddress) -> str | None:
        """Count one in; returns None, or the name of the cap that refuses it ("total" or "per_ip": /32 or
        /64) without counting."""
        ...

    def leave(self, kind: str, client: IpAddress, *, vouched: bool = False) -> None:
        """`vouched`: `vouch` was called for it."""
        ...

    def vouch(self, kind: str) -> None:
        """One that is counted is no stranger's any more."""
        ...

    def open_connections(self, kind: str) -> int: ...

    def vouched(self, kind: str) -> int: ...

    def crowding(self, kind: str, client: IpAddress) -> float:
        """`core.policy.crowd.crowding` of the networks around it."""
        ...


class Counters(Protocol):
    """Sums that decay: guesses per network and account, messages per hour. Kept in hints.db or memory."""

    async def add(self, key: str, amount: int, window_seconds: int) -> int:
        """Add to the current window of `key` and return its sum (this and the previous window, weighted)."""
        ...

    async def total(self, key: str, window_seconds: int) -> int: ...

    async def clear(self, key: str) -> None: ...

    async def clear_below(self, prefix: str) -> None:
        """All keys that begin so."""
        ...


class Recent(Protocol):
    """What was tried lately on this host, over all its workers, in bounded memory. Synchronous. Forgotten by
    a restart, and what is oldest when too much is new; keys and members are kept as keyed hashes only."""

    def count(self, key: str, seconds: float) -> int:
        """How often it was counted, this time included, since nothing was for `seconds` (by each worker)."""
        ...

    def note(self, key: str, member: str, seconds: float) -> None:
        """`member` was seen with `key`; that is remembered until nothing was noted for `seconds`."""
        ...

    def members(self, key: str) -> int:
        """How many different ones were seen with it, as far as they are told apart."""
        ...


class Rates(Protocol):
    """What each network (/24 or /64) did at the door lately, in shared memory. Synchronous. A sum may come
    out too large by chance, when networks share their cells, never too small."""

    def add(self, measure: Measure, client: IpAddress, amount: int, now_us: int) -> int:
        """Count, and return the sum of this and the previous window, weighted."""
        ...

    def total(self, measure: Measure, client: IpAddress, now_us: int) -> int: ...
