"""Many networks guess at passwords: credential stuffing and spraying."""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from ipaddress import IPv4Address

import msgspec

from sekisho.lab.guesser import Guess, Plan, Yield
from sekisho.lab.scene import Actor
from sekisho.lab.script import Act, IpAddress, pick_address
from sekisho.lab.stage import Stage
from sekisho.ports.lab import RehearsalFailed

# What everybody tries first. A scene gives its own with `passwords`.
COMMON = ("123456", "password", "qwerty123", "sakura2024", "welcome1", "abc123456", "letmein99", "iloveyou1")


_FIRST_NETWORK = IPv4Address("10.0.0.0")


class Campaign:
    """Guesses spread over networks and accounts in an order of the seed. `tried` counts them, `found` are the
    accounts opened."""

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
        """Raises RehearsalFailed."""
        known = [
            (self._stage.address_of(account), password)
            for account in self._accounts
            for password in self._passwords
        ]
        self._dice.shuffle(known)  # nobody tries the same twice while there is something else to try
        guesses = [
            Guess(number, str(self._client(number)), *known[number % len(known)])
            for number in range(self._count)
        ]
        stage, door = self._stage, self._stage.door
        plan = Plan(
            host=door.host,
            proxy_source=door.proxy_source,
            hostname=door.hostname,
            ca_file=str(stage.server.ca_file),
            ports=dict(stage.server.ports),
            service=self._act.step.service,
            together=self._together,
            guesses=guesses,
        )
        result = await _run_guesser(plan)
        self.tried, self.found, self._said = result.tried, set(result.found), Counter(result.said)

    def summary(self) -> str:
        """How often the server said what."""
        return "; ".join(f"{count} × {text}" for text, count in self._said.most_common(4))

    def _client(self, number: int) -> IpAddress:
        """An address in one of the networks, each of which takes its turn."""
        if self._networks == 1:
            return pick_address(self._actor.address, random.Random(self._act.seed))
        return _FIRST_NETWORK + number % self._networks * 256 + 1 + number // self._networks % 200


async def _run_guesser(plan: Plan) -> Yield:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sekisho.lab.guesser",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = await process.communicate(msgspec.json.encode(plan))
    except asyncio.CancelledError:
        process.kill()
        raise
    if process.returncode:
        reason = errors.decode("utf-8", "replace")[-2000:]
        raise RehearsalFailed("{operation}: {reason}", operation="guess", reason=reason)
    return msgspec.json.decode(output, type=Yield)
