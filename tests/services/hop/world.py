"""A relay with a made-up DNS and policy hosts, over real sockets and TLS."""

import functools
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from msgspec import structs
from tests.services.hop.certificates import authority, pem
from tests.services.relay.jobs import Octets, job

from sekisho.adapters.net.dialer import AsyncioDialer
from sekisho.adapters.net.tls import ClientContexts
from sekisho.adapters.stores.memory.hoptls import MemoryHopSessions, MemoryKnownHosts, MemoryStsPolicies
from sekisho.config.schema import RelaySettings
from sekisho.core.tlspolicy.stscache import fetched
from sekisho.ports.hoptls import FetchFailed, PolicySource
from sekisho.ports.spool import Outcome
from sekisho.services.relay.hop import HopPorts
from sekisho.services.relay.relay import Relay
from sekisho.services.relay.stsdesk import StsDesk
from sekisho.services.relay.surroundings import RelayPorts
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics
from sekisho.testing.zones import ZoneResolver

RECORD = '_mta-sts.example.com TXT "v=STSv1; id=1"\n'
ZONE = "$AD on\nexample.com MX 10 mx.example.com\nmx.example.com A 127.0.0.1\n"


def policy(mode: str, *hosts: str, max_age: int = 604_800) -> bytes:
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts or ("mx.example.com",))]
    return "\r\n".join([*lines, f"max_age: {max_age}", ""]).encode()


@functools.cache
def authorities() -> Path:
    path = Path(mkdtemp()) / "ca.pem"
    path.write_bytes(pem(authority()[0]))
    return path


@dataclass
class PolicyHosts:
    """By domain, what is served there; what is not is unreachable."""

    texts: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def fetch(self, domain: str) -> bytes:
        self.asked.append(domain)
        if domain not in self.texts:
            raise FetchFailed("sts-policy-fetch-error", f"mta-sts.{domain} does not answer")
        return self.texts[domain]


class World:
    """`zone` without what stands there always. Real time begins the clock: certificates have dates."""

    def __init__(self, port: int, zone: str = "", *, base: str = ZONE, **settings: object) -> None:
        self.clock = ManualClock(time.time_ns() // 1000)
        self.resolver: Any = ZoneResolver(base + zone)
        self.hosts = PolicyHosts()
        self.source: PolicySource = self.hosts
        self.policies = MemoryStsPolicies()
        self.known = MemoryKnownHosts()
        self.sessions = MemoryHopSessions(self.clock)
        self.journal = MemoryJournal()
        fast = {"greeting_timeout_seconds": 5.0, "command_timeout_seconds": 5.0, "ipv6": False}
        self.settings = RelaySettings(**{"port": port, **fast, **settings})  # type: ignore[arg-type]  # shorthand
        self.relay = self._relay()

    def _relay(self) -> Relay:
        desk = StsDesk(self.resolver, self.policies, self.source, self.clock, self.journal)
        ports = RelayPorts(
            resolver=self.resolver,
            dialer=AsyncioDialer(ClientContexts(authorities())),
            clock=self.clock,
            dice=SeededDice(),
            journal=self.journal,
            metrics=MemoryMetrics(),
            hop=HopPorts(policies=desk, hosts=self.known, sessions=self.sessions),
        )
        return Relay("mail.sender.example", self.settings, ports)

    def anew(self) -> "World":
        """The same memory, another relay."""
        self.relay = self._relay()
        return self

    async def send(
        self, *recipients: str, content: bytes = b"Subject: hi\r\n\r\nhi\r\n", **envelope: object
    ) -> Outcome:
        arrived_at_us = envelope.pop("arrived_at_us", 0)
        sent = job(*recipients, **envelope)  # type: ignore[arg-type]  # test shorthand
        found = await self.relay.carry(structs.replace(sent, arrived_at_us=arrived_at_us), Octets(content))
        return found[0]

    async def keep(self, text: bytes, ago_seconds: int = 60) -> None:
        """A policy from before, with the id 1."""
        at_us = self.clock.now_us() - ago_seconds * 1_000_000
        await self.policies.put(fetched(None, "example.com", "1", text, at_us))

    async def counts(self) -> dict[str, int]:
        """Of today: successes as "ok", failures by result type."""
        found: dict[str, int] = {}
        for counts in await self.sessions.of_day(self.clock.now_us() // 86_400_000_000):
            name = f"{counts.policy_type} ok"
            found[name] = found.get(name, 0) + counts.successes
            for key, number in counts.failures.items():
                name = f"{counts.policy_type} {key.result_type}"
                found[name] = found.get(name, 0) + number
        return {name: number for name, number in found.items() if number}
