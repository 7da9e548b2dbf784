"""A process of its own that guesses at passwords, so that honest logins beside it are not measured through
its crowd.

Reads one `Plan` in JSON from standard input and writes one `Yield` to standard output.
"""

import asyncio
import ssl
import sys
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from sekisho.lab.logins import service_of, try_login
from sekisho.lab.wire import Door


class Guess(msgspec.Struct, frozen=True, array_like=True):
    number: int
    client: str
    address: str
    password: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Where, and what. `ca_file` vouches for the server; `together`: guesses at the same time."""

    host: str
    proxy_source: str
    hostname: str
    ca_file: str
    ports: dict[str, int]
    service: str
    together: int
    guesses: list[Guess]


class Yield(msgspec.Struct, frozen=True):
    """`found`: addresses whose password was right; `said`: how often the server said what."""

    tried: int
    found: list[str]
    said: dict[str, int]


async def guess(plan: Plan) -> Yield:
    door = Door(plan.host, plan.proxy_source, ssl.create_default_context(cafile=plan.ca_file), plan.hostname)
    guesses = iter(plan.guesses)
    found: set[str] = set()
    said: Counter[str] = Counter()
    await asyncio.gather(*(_lane(plan, door, guesses, found, said) for _ in range(plan.together)))
    return Yield(said.total(), sorted(found), dict(said))


async def _lane(
    plan: Plan, door: Door, guesses: Iterator[Guess], found: set[str], said: Counter[str]
) -> None:
    for one in guesses:
        service = service_of(plan.service, one.number)
        try:
            is_in, words = await try_login(
                door, ip_address(one.client), plan.ports, service, (one.address, one.password)
            )
        except (OSError, TimeoutError) as error:
            is_in, words = False, type(error).__name__
        said[words[:60]] += 1
        if is_in:
            found.add(one.address)


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(guess(plan))))


if __name__ == "__main__":
    main()
