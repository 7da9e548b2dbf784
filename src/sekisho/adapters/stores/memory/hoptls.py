"""What the relay knows of the TLS of other mail hosts, in memory."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from sekisho.adapters.stores.hopcounts import DAY_US, gather_counts
from sekisho.core.tlspolicy.stscache import StsEntry
from sekisho.core.tlspolicy.tlsrpt import PolicyCounts
from sekisho.ports.clock import Clock
from sekisho.ports.hoptls import HopSession, KnownHost


class MemoryStsPolicies:
    """Implements `ports.hoptls.StsPolicies`."""

    def __init__(self) -> None:
        self._entries: dict[str, StsEntry] = {}

    async def find(self, domain: str) -> StsEntry | None:
        return self._entries.get(domain)

    async def put(self, entry: StsEntry) -> None:
        self._entries[entry.domain] = entry

    async def touch(self, domain: str, now_us: int) -> None:
        entry = self._entries.get(domain)
        if entry is not None and entry.used_at_us < now_us // DAY_US * DAY_US:
            self._entries[domain] = replace(entry, used_at_us=now_us)

    async def due(self, now_us: int, used_since_us: int, limit: int) -> list[StsEntry]:
        live = (
            e for e in self._entries.values() if e.expires_at_us > now_us and e.used_at_us >= used_since_us
        )
        due = [entry for entry in live if entry.refresh_at_us() <= now_us]
        return sorted(due, key=lambda entry: entry.refresh_at_us())[:limit]

    async def sweep(self, now_us: int, most: int) -> int:
        before = len(self._entries)
        kept = [
            e for e in self._entries.values() if e.expires_at_us > now_us or e.tried_at_us > now_us - DAY_US
        ]
        kept = sorted(kept, key=lambda entry: entry.used_at_us)[max(0, len(kept) - most) :]
        self._entries = {entry.domain: entry for entry in kept}
        return before - len(kept)


class MemoryKnownHosts:
    """Implements `ports.hoptls.KnownHosts`."""

    def __init__(self) -> None:
        self._hosts: dict[str, KnownHost] = {}

    async def find(self, host: str) -> KnownHost | None:
        return self._hosts.get(host)

    async def note(self, host: str, version: str, now_us: int) -> None:
        known = self._hosts.get(host)
        if known is None:
            self._hosts[host] = KnownHost(host=host, first_us=now_us, last_us=now_us, days=1, version=version)
        elif known.last_us < now_us // DAY_US * DAY_US:
            self._hosts[host] = structs.replace(known, last_us=now_us, days=known.days + 1, version=version)

    async def forget(self, host: str) -> bool:
        return self._hosts.pop(host, None) is not None

    async def sweep(self, before_us: int, most: int) -> int:
        before = len(self._hosts)
        kept = sorted(
            (h for h in self._hosts.values() if h.last_us >= before_us), key=lambda host: host.last_us
        )
        kept = kept[max(0, len(kept) - most) :]
        self._hosts = {known.host: known for known in kept}
        return before - len(kept)


class MemoryHopSessions:
    """Implements `ports.hoptls.HopSessions`; what was counted is there at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counted: Counter[tuple[int, HopSession]] = Counter()

    def count(self, session: HopSession) -> None:
        self._counted[self._clock.now_us() // DAY_US, session] += 1

    async def flush(self) -> None:
        pass

    async def days(self) -> list[int]:
        return sorted({day for day, _ in self._counted})

    async def of_day(self, day: int) -> Sequence[PolicyCounts]:
        found = [(session, number) for (on, session), number in self._counted.items() if on == day]
        return gather_counts(sorted(found, key=lambda pair: _order(pair[0])))

    async def forget(self, day: int, policy_domain: str) -> None:
        for key in [key for key in self._counted if key[0] == day and key[1].policy_domain == policy_domain]:
            del self._counted[key]

    async def sweep(self, before_day: int) -> int:
        gone = [key for key in self._counted if key[0] < before_day]
        for key in gone:
            del self._counted[key]
        return len(gone)


def _order(session: HopSession) -> tuple[str, str, str]:
    return (
        session.policy_domain,
        session.policy_type,
        "" if session.failure is None else session.failure.result_type,
    )
