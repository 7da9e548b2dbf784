"""Many networks guess at passwords: credential stuffing and spraying."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address

from sekisho.lab.logins import service_of, try_login
from sekisho.lab.scene import Actor
from sekisho.lab.script import Act, IpAddress, pick_address
from sekisho.lab.stage import Stage

# What everybody tries first. A scene gives its own with `passwords`.
COMMON = ("123456", "password", "qwerty123", "sakura2024", "welcome1", "abc123456", "letmein99", "iloveyou1")


_FIRST_NETWORK = IPv4Address("10.0.0.0")


class Campaign:
    """Guesses spread over networks and accounts in an order of the seed. `tried` counts them, `found` are the accounts opened."""

    def __init__(self, stage: Stage, act: Act, actor: Actor) -> None:
        step = act.step
        self._stage, self._act, self._actor = stage, act, actor
        self._dice = random.Random(f"guess:{act.seed}")
        full = stage.script.full
        self._count = step.full_count if full and step.full_count else step.count
        self._networks = step.full_networks if full and step.full_networks else step.networks
        self._together = step.full_together if full and step.full_together else step.together
        self._accounts = list(step.accounts) or [account.name for account in stage.scene.account]
        self._passwords = list(step.passwords) or list(COMMON)
        self.tried = 0
        self.found: set[str] = set()
        self._said: Counter[str] = Counter()

    async def run(self) -> None:
        known = [(account, password) for account in self._accounts for password in self._passwords]
        self._dice.shuffle(known)  # nobody tries the same twice while there is something else to try
        tries = iter([(number, self._client(number), *known[number % len(known)]) for number in range(self._count)])
        await asyncio.gather(*(self._lane(tries) for _ in range(self._together)))

    def summary(self) -> str:
        """How often the server said what."""
        return "; ".join(f"{count} × {text}" for text, count in self._said.most_common(4))

    def _client(self, number: int) -> IpAddress:
        """An address in one of the networks, each of which takes its turn."""
        if self._networks == 1:
            return pick_address(self._actor.address, random.Random(self._act.seed))
        return _FIRST_NETWORK + number % self._networks * 256 + 1 + number // self._networks % 200

    async def _lane(self, tries: Iterator[tuple[int, IpAddress, str, str]]) -> None:
        stage, service = self._stage, self._act.step.service
        for number, client, account, password in tries:
            login = stage.address_of(account), password
            try:
                is_in, said = await try_login(stage.door, client, stage.server.ports, service_of(service, number), login)
            except (OSError, TimeoutError) as error:
                is_in, said = False, type(error).__name__
            self.tried += 1
            self._said[said[:60]] += 1
            if is_in:
                self.found.add(account)
