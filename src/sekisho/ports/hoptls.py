"""What the relay remembers and asks about the TLS of other mail hosts. All of it lies in hints.db: losing
its last moments loses no mail, and what it says is asked for again."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from sekisho.core.tlspolicy.stscache import StsEntry
from sekisho.core.tlspolicy.tlsrpt import FailureKey, PolicyCounts, PolicyType


class StsPolicies(Protocol):
    """MTA-STS policies by domain, beyond restarts. Raises StoreUnavailable."""

    async def find(self, domain: str) -> StsEntry | None: ...

    async def put(self, entry: StsEntry) -> None: ...

    async def touch(self, domain: str, now_us: int) -> None:
        """It was used: costs a write at most once a day."""
        ...

    async def due(self, now_us: int, used_since_us: int, limit: int) -> list[StsEntry]:
        """Live ones that were used since then and should be fetched again (`StsEntry.refresh_at_us`)."""
        ...

    async def sweep(self, now_us: int, most: int) -> int:
        """Forget what has ended, and what is over `most`; returns how many."""
        ...


class FetchFailed(Exception):
    """No policy came. `failure`: the result type of RFC 8460 §4.3; `str()` says why, for the journal and
    reports."""

    def __init__(self, failure: str, reason: str) -> None:
        super().__init__(reason)
        self.failure = failure


class PolicySource(Protocol):
    async def fetch(self, domain: str) -> bytes:
        """The policy file of a domain, by HTTPS and only from its policy host (RFC 8461 §3.3); raises
        FetchFailed."""
        ...


class KnownHost(Struct, frozen=True, kw_only=True):
    """A mail host that had TLS. `days`: on how many (UTC) it was seen with it, between the first and the
    last time."""

    host: str
    first_us: int
    last_us: int
    days: int
    version: str  # "TLSv1.3"


class KnownHosts(Protocol):
    """Hosts that once offered TLS. Raises StoreUnavailable."""

    async def find(self, host: str) -> KnownHost | None: ...

    async def note(self, host: str, version: str, now_us: int) -> None:
        """A session with TLS: costs a write at most once a day."""
        ...

    async def forget(self, host: str) -> bool:
        """True if it was known."""
        ...

    async def sweep(self, before_us: int, most: int) -> int:
        """Forget who was not seen with TLS since, and the oldest over `most`."""
        ...


class HopSession(Struct, frozen=True, kw_only=True):
    """One session, or one try of it, under one policy (RFC 8460 §4.2). `failure` None: it was as the policy
    wants it."""

    policy_type: PolicyType
    policy_domain: str
    policy_string: tuple[str, ...] = ()
    mx_host: tuple[str, ...] = ()
    failure: FailureKey | None = None


class HopSessions(Protocol):
    """Counts of a day (UTC), for reports to others (RFC 8460). `day`: days since 1970."""

    def count(self, session: HopSession) -> None:
        """At once and in memory; never raises."""
        ...

    async def flush(self) -> None:
        """Write down what was counted; raises StoreUnavailable, and keeps it."""
        ...

    async def days(self) -> list[int]:
        """Of which something is there, the oldest first."""
        ...

    async def of_day(self, day: int) -> Sequence[PolicyCounts]:
        """By domain, then policy."""
        ...

    async def forget(self, day: int, policy_domain: str) -> None:
        """It was reported, or nobody wants to know it."""
        ...

    async def sweep(self, before_day: int) -> int: ...
