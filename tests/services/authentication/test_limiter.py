"""Tries of networks: what uses them up, who keeps theirs, and how it ends."""

from ipaddress import ip_address
from typing import Any

import pytest
from tests.stores.opened import OpenStore

from sekisho.adapters.process.recent import SharedRecent
from sekisho.config.schema import LoginSettings
from sekisho.ports.bans import Ban
from sekisho.ports.stream import IpAddress
from sekisho.services.authentication.bandesk import BanDesk
from sekisho.services.authentication.limiter import FAMILIAR_SECONDS, Leave, LimiterTools, LoginLimiter
from sekisho.services.authentication.tallies import host_of, network_of, plain, wide_network_of
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal, MemoryMetrics

ALICE, BOB = "alice@example.test", "bob@example.test"
HOME, NEXT_DOOR = ip_address("192.0.2.1"), ip_address("192.0.2.99")
ELSEWHERE = ip_address("198.51.100.1")


class World:
    def __init__(self, **settings: Any) -> None:
        self.clock, self.journal, self.metrics = ManualClock(), MemoryJournal(), MemoryMetrics()
        self.store = OpenStore(self.clock, SeededDice())
        self.settings = LoginSettings(**settings)
        tools = LimiterTools(
            counters=self.store.counters,
            bans=self.store.bans,
            clock=self.clock,
            journal=self.journal,
            metrics=self.metrics,
            recent=SharedRecent(1, 16).by(self.clock),
        )
        self.limiter = LoginLimiter(tools, self.settings)
        self.desk = BanDesk(self.store.bans, self.store.counters, self.settings)

    async def fail(
        self, client: IpAddress = HOME, name: str = ALICE, times: int = 1, *, is_known: bool = True
    ) -> None:
        for _ in range(times):
            if (await self.limiter.leave(client, name)).ban is None:
                await self.limiter.count_failure(client, name, is_known=is_known)

    async def spray(self, clients: list[IpAddress], each: int = 1) -> None:
        """Guesses at names that exist, none of them twice from one network."""
        for client in clients:
            for number in range(each):
                await self.fail(client, f"member{number}@example.test")

    async def reason(self, client: IpAddress = HOME, name: str = ALICE) -> str:
        leave = await self.limiter.leave(client, name)
        return leave.ban.reason if leave.ban else "only known" if leave.only_known else ""

    async def bans(self) -> list[tuple[str, str, str]]:
        return sorted((ban.network, ban.account, ban.reason) for ban in await self.store.bans.listing())


async def test_unknown_names_end_it_sooner_than_typos() -> None:
    world = World(
        failures_per_network=30, failures_per_account_and_network=10, unknown_accounts_per_network=6
    )
    for number in range(5):
        await world.fail(HOME, f"guess{number}@example.test", is_known=False)
    await world.fail(
        HOME, "guess0@example.test", times=4, is_known=False
    )  # the same name once more is no new one
    assert await world.reason() == ""
    await world.fail(HOME, "guess5@example.test", is_known=False)
    assert await world.reason() == "unknown-names"
    await world.fail(ELSEWHERE, ALICE, times=9)
    assert await world.reason(ELSEWHERE) == ""
    assert await world.bans() == [("192.0.2.0/24", "", "unknown-names")]


async def test_wrong_passwords_ban_from_the_account_then_from_all() -> None:
    world = World(failures_per_network=12, failures_per_account_and_network=10)
    await world.fail(times=10)
    assert await world.reason() == "account" and await world.reason(NEXT_DOOR) == "account"
    assert await world.reason(HOME, BOB) == "" and await world.reason(ELSEWHERE) == ""
    await world.fail(HOME, BOB, times=2)
    assert await world.reason(HOME, BOB) == "guesses" and await world.reason(ELSEWHERE, BOB) == ""
    assert world.journal.kinds() == ["authentication.banned", "authentication.banned"]
    first = world.journal.entries[0]
    assert (
        first.about == ("192.0.2.0/24", "192.0.2.1", "192.0.2.0/24", ALICE) and first.fields["failures"] == 10
    )
    assert world.metrics.values[("sekisho_login_bans_total", (("reason", "account"),))] == 1


async def test_bans_end_by_themselves_with_all_tries_and_last_longer_each_time() -> None:
    world = World(
        failures_per_account_and_network=3, ban_seconds=100, longest_ban_seconds=350, window_seconds=900
    )
    for seconds in (100, 200, 350, 350):
        await world.fail(times=2)
        assert await world.reason() == ""
        await world.fail()
        assert await world.reason() == "account"
        world.clock.advance(seconds - 1)
        assert await world.reason() == "account"
        world.clock.advance(1)
        assert await world.reason() == ""
    world.clock.advance(15 * 86_400)
    await world.fail(times=3)
    (ban,) = await world.store.bans.listing()
    assert ban.times == 1 and ban.until_us - ban.since_us == 100_000_000


async def test_a_network_that_the_account_knows_keeps_its_tries() -> None:
    world = World(failures_per_network=5, failures_per_account_and_network=4)
    await world.limiter.count_success(HOME, ALICE)
    for number in range(5):
        await world.fail(NEXT_DOOR, f"member{number}@example.test")
    assert await world.reason(HOME, BOB) == "guesses" and await world.reason(HOME, ALICE) == ""
    assert (await world.limiter.leave(HOME, ALICE)) == Leave(None, is_familiar=True)
    await world.fail(HOME, ALICE, times=11)
    assert await world.reason() == ""  # three times as many as a strange one has
    await world.fail(HOME, ALICE)
    assert await world.reason() == "only known"
    assert await world.reason(ELSEWHERE) == ""  # and never everywhere


async def test_familiarity_lasts_a_month_after_the_last_login() -> None:
    world = World()
    await world.limiter.count_success(HOME, ALICE)
    # From any moment of the window: what was seen once is known for the whole time.
    for _ in range(29):
        world.clock.advance(86_400)
        assert (await world.limiter.leave(HOME, ALICE)).is_familiar
    world.clock.advance(2 * FAMILIAR_SECONDS)
    assert not (await world.limiter.leave(HOME, ALICE)).is_familiar


async def test_a_crowd_of_strangers_has_fewer_tries_each_and_the_owner_none_less() -> None:
    world = World(strange_failures_per_account=6, failures_per_account_and_network=10)
    await world.limiter.count_success(HOME, ALICE)
    for number in range(6):
        await world.fail(ip_address(f"203.{number}.113.5"))
    await world.fail(ELSEWHERE, ALICE)
    assert await world.reason(ELSEWHERE) == ""
    await world.fail(ELSEWHERE, ALICE)
    assert await world.reason(ELSEWHERE) == "account"  # a fifth of ten
    await world.fail(HOME, ALICE, times=9)
    assert await world.reason() == ""


async def test_guessing_from_all_around_makes_the_tries_of_strangers_few() -> None:
    world = World(failures_per_wide_network=20, failures_per_network=30, unknown_accounts_per_network=10)
    await world.limiter.count_success(ip_address("203.0.200.1"), ALICE)
    await world.spray([ip_address(f"203.0.{net}.5") for net in range(20)])
    newcomer = ip_address("203.0.113.5")
    await world.spray([newcomer], each=2)
    assert await world.reason(newcomer, BOB) == ""
    await world.fail(newcomer, "member3@example.test")
    assert await world.reason(newcomer, BOB) == "guesses"  # three instead of thirty
    await world.spray([ip_address(f"203.0.{net}.5") for net in range(120, 180)])
    assert await world.reason(ip_address("203.0.250.9"), BOB) == "wide"
    assert await world.reason(ip_address("203.0.200.9"), ALICE) == ""  # known from there
    assert await world.reason(ip_address("203.1.0.9"), BOB) == ""
    assert ("203.0.0.0/16", "", "wide") in await world.bans()


async def test_a_site_with_65536_networks_has_no_more_guesses_than_its_wide_budget() -> None:
    world = World(failures_per_wide_network=20)
    made = 0
    for number in range(500):
        client = ip_address(f"2001:db8:7:{number:x}::1")
        if (await world.limiter.leave(client, ALICE)).ban is None:
            made += 1
            await world.limiter.count_failure(client, ALICE, is_known=True)
    assert made == 80


async def test_who_floods_runs_out_of_tries_though_nobody_looked_at_them() -> None:
    world = World(failures_per_wide_network=20, failures_per_network=30)
    for _ in range(10):
        await world.limiter.count_unanswered(HOME)
    assert await world.reason(HOME, BOB) == ""
    for number in range(10):
        await world.limiter.count_unanswered(ip_address(f"192.0.{100 + number}.1"))
    for _ in range(3):  # a tenth of thirty, as there is a flood all around
        assert await world.reason(ip_address("192.0.200.1")) == ""
        await world.limiter.count_unanswered(ip_address("192.0.200.1"))
    assert await world.reason(ip_address("192.0.200.1")) == "guesses"
    world.clock.advance(901)
    assert await world.reason(ip_address("192.0.200.1")) == ""
    await world.limiter.count_unanswered(ip_address("192.0.200.1"))
    assert await world.reason(ip_address("192.0.200.1")) == ""


async def test_lifting_gives_all_tries_back() -> None:
    world = World(failures_per_account_and_network=3, failures_per_network=5)
    await world.fail(times=3)
    await world.fail(HOME, BOB, times=2)
    assert await world.reason(HOME, BOB) == "guesses"
    await world.desk.lift(await world.desk.about(None))
    assert await world.bans() == [] and await world.reason() == ""
    await world.fail(times=2)
    assert await world.reason() == ""
    await world.fail()
    (ban,) = await world.store.bans.listing()
    assert ban.times == 1


async def test_an_operators_ban_is_for_all_and_stays() -> None:
    world = World(failures_per_network=2)
    await world.limiter.count_success(HOME, ALICE)
    now_us = world.clock.now_us()
    await world.desk.add(
        Ban(network="192.0.2.0/25", account="", reason="operator", since_us=now_us, until_us=0, by="uid:0")
    )
    assert await world.reason() == "operator"
    assert await world.reason(ip_address("192.0.2.200")) == ""
    world.clock.advance(10**6)
    assert await world.reason() == "operator"


@pytest.mark.parametrize(
    ("address", "network", "wide"),
    [
        ("192.0.2.77", "192.0.2.0/24", "192.0.0.0/16"),
        ("::ffff:192.0.2.77", "192.0.2.0/24", "192.0.0.0/16"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
    ],
)
def test_networks(address: str, network: str, wide: str) -> None:
    client = ip_address(address)
    assert network_of(client) == network and wide_network_of(client) == wide
    assert host_of(client).network_address == (ip_address("192.0.2.77") if "192" in address else client)


def test_names_that_may_be_kept() -> None:
    assert plain("x" * 5000) == "x" * 1024 and plain("a\0b") == "a?b" and plain("\ud800") == "?"
