"""Where a scene is played: the DNS, the mail servers outside, the server under test with its accounts, and
the time."""

import asyncio
import random
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from sekisho.core.terms.dns import RecordType
from sekisho.lab.mailbox import Mailbox
from sekisho.lab.scene import Scene, SceneAccount
from sekisho.lab.script import LabScript
from sekisho.lab.sink import Sink
from sekisho.lab.wire import Door
from sekisho.lab.world import World, build_world
from sekisho.ports.lab import RehearsalFailed, RunningServer, ServerOrder, StartServer
from sekisho.testing.dnsserver import DnsServer

_BLOCKS_TRIED = 20
READER = IPv4Address("203.0.113.250")  # people's mail programs at home; no scene's actor lives there


class Stage:
    """Everything that a runner needs. Made by `set_stage`."""

    def __init__(
        self,
        scene: Scene,
        script: LabScript,
        server: RunningServer,
        world: World,
        sink: Sink,
        door: Door,
        offset_us: int,
    ) -> None:
        self.scene = scene
        self.script = script
        self.server = server
        self.world = world
        self.sink = sink
        self.door = door
        self.passwords = {account.name: _password(account) for account in scene.account}
        self._offset_us = offset_us
        self._mailboxes: dict[str, Mailbox] = {}
        self.begin_us = self.now_us()

    def now_us(self) -> int:
        """The time of the lab, which is the server's."""
        return time.time_ns() // 1000 + self._offset_us

    def move_to(self, at_us: int) -> None:
        """Let it be that time, if it is not later already."""
        ahead = at_us - self.now_us()
        if ahead > 0:
            self._offset_us += ahead
            self.server.move_clock(self._offset_us)

    def address_of(self, account: str) -> str:
        return f"{account}@{self.scene.house.domains[0]}"

    def accounts_of(self, recipient: str) -> list[str]:
        """Whose mailboxes mail to this address reaches."""
        local, _, domain = recipient.lower().rpartition("@")
        if domain not in self.scene.house.domains:
            return []
        local = local.partition("+")[0]
        found = [
            account.name
            for account in self.scene.account
            if local == account.name or local in account.aliases
        ]
        if not found and local in ("postmaster", "abuse"):
            return [self.scene.account[0].name]
        return found

    def mailbox(self, account: str) -> Mailbox:
        if account not in self._mailboxes:
            port = self.server.ports["imaps"]
            self._mailboxes[account] = Mailbox(
                self.door, READER, port, self.address_of(account), self.passwords[account]
            )
        return self._mailboxes[account]

    async def prepare_house(self) -> None:
        """Domains, accounts, aliases and keys, as an operator makes them."""
        ask, house = self.server.ask, self.scene.house
        for domain in house.domains:
            await ask("domain.add", {"name": domain})
            if house.dkim:
                key = await ask("dkim.add", {"domain": domain, "algorithm": "ed25519"})
                self._publish(key["name"], "TXT", key["record"].encode())
                await ask("dkim.rotate", {"domain": domain, "published": [key["selector"]]})
        await asyncio.gather(*(self._add_account(account) for account in self.scene.account))

    def _publish(self, name: str, rtype: RecordType, record: bytes) -> None:
        if (name, rtype) not in self.world.zone.sets:
            self.world.zone.add(name, rtype, record)

    async def _add_account(self, account: SceneAccount) -> None:
        address = self.address_of(account.name)
        request = {
            "address": address,
            "password": self.passwords[account.name],
            "display_name": account.display,
            "allow_weak": bool(account.password),
        }
        await self.server.ask("account.add", request)
        if account.bulk:
            await self.server.ask("guard.bulk", {"address": address, "bulk": True})
        if account.recovery:
            await self.server.ask(
                "guard.recovery", {"address": address, "recovery_address": account.recovery}
            )
        for alias in account.aliases:
            await self.server.ask("alias.add", {"address": self.address_of(alias), "targets": [address]})

    async def close(self) -> None:
        for mailbox in self._mailboxes.values():
            await mailbox.close()


@asynccontextmanager
async def set_stage(
    scene: Scene, script: LabScript, start: StartServer, folder: Path | None, language: str
) -> AsyncIterator[Stage]:
    """The server runs and has its accounts; its folder is a temporary one if none is named. Raises
    RehearsalFailed, OSError."""
    async with AsyncExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sekisho-lab-")))
        offset_us = scene.begin_us - time.time_ns() // 1000
        stages: list[Stage] = []
        spoken = scene.house.language or language
        sink = Sink(
            now_us=lambda: stages[0].now_us() if stages else 0,
            outside={entry.domain: entry for entry in scene.outside},
        )
        block = await _take_block(sink)
        stack.push_async_callback(sink.stop)
        world = build_world(scene, script, IPv4Address(sink.host))
        dns = DnsServer(world.zone)
        await dns.start(sink.host)
        stack.push_async_callback(dns.stop)
        order = ServerOrder(
            folder=place,
            host=f"{block}.1",
            hostname=scene.house.hostname,
            tables=_tables(scene, dns, sink, spoken),
            offset_us=offset_us,
            language=spoken,
        )
        server = await stack.enter_async_context(start(order))
        door = Door(f"{block}.1", f"{block}.2", _trust(server.ca_file), scene.house.hostname)
        stage = Stage(
            scene=scene, script=script, server=server, world=world, sink=sink, door=door, offset_us=offset_us
        )
        stages.append(stage)
        stack.push_async_callback(stage.close)
        await stage.prepare_house()
        yield stage


async def _take_block(sink: Sink) -> str:
    """The first three numbers of addresses in 127/8 that nobody uses: two labs may run beside each other."""
    dice = random.SystemRandom()
    for _ in range(_BLOCKS_TRIED):
        block = f"127.{dice.randrange(16, 250)}.{dice.randrange(1, 250)}"
        try:
            await sink.start(f"{block}.3")
        except OSError:
            continue
        return block
    raise RehearsalFailed(
        "No address of 127.0.0.0/8 can be used on this machine; the lab needs the loopback network of Linux."
    )


def _trust(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))


def _tables(scene: Scene, dns: DnsServer, sink: Sink, language: str) -> dict[str, Any]:
    """Tables of sekisho.toml: what the lab needs, under what the scene wants."""
    owner = f"{scene.account[0].name}@{scene.house.domains[0]}"
    tables: dict[str, Any] = {
        "workers": 2,
        "language": language,
        "roles": {"postmaster": owner, "abuse": owner},
        "resolver": {"servers": [dns.address], "timeout_seconds": 1.0, "tries": 2},
        "relay": {"port": sink.port, "ipv6": False},
        # Hashing a password anew for each login is not what a scene is about, and remembered logins would be
        # forgotten as time jumps.
        "login": {"failure_seconds": 0.2, "cache_seconds": 90 * 86_400.0},
    }
    return merged(tables, scene.house.settings)


def merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged, all else is replaced."""
    out = dict(under)
    for name, value in over.items():
        out[name] = (
            merged(out[name], value) if isinstance(value, dict) and isinstance(out.get(name), dict) else value
        )
    return out


def _password(account: SceneAccount) -> str:
    return account.password or f"lab-{random.SystemRandom().getrandbits(64):016x}"
