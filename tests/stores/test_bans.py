"""Bans of networks: found from inside them, over by themselves, one for each network and account."""

from ipaddress import ip_network
from typing import Any

from sekisho.ports.bans import ANYBODY, Ban
from sekisho.testing.clock import ManualClock

HOST = ip_network("192.0.2.7/32")
HOST6 = ip_network("2001:db8:1:2:3::4/128")
SECOND_US = 1_000_000


def ban(clock: ManualClock, network: str, account: str = ANYBODY, seconds: int = 60, **more: Any) -> Ban:
    now_us = clock.now_us()
    return Ban(
        network=network,
        account=account,
        reason="guesses",
        since_us=now_us,
        until_us=now_us + seconds * SECOND_US if seconds else 0,
        **more,
    )


async def networks(store: Any, client: Any, account: str = "alice@example.test") -> list[str]:
    return sorted(found.network for found in await store.bans.banning(client, account))


async def test_a_client_meets_the_networks_around_it(store: Any, clock: ManualClock) -> None:
    assert await networks(store, HOST) == []
    for network in (
        "192.0.2.0/24",
        "192.0.0.0/16",
        "192.0.2.7/32",
        "192.0.2.8/32",
        "2001:db8:1:2::/64",
        "2001:db8:1::/48",
    ):
        await store.bans.put(ban(clock, network))
    assert await networks(store, HOST) == ["192.0.0.0/16", "192.0.2.0/24", "192.0.2.7/32"]
    assert await networks(store, ip_network("192.0.3.7/32")) == ["192.0.0.0/16"]
    assert await networks(store, ip_network("192.1.2.7/32")) == []
    assert await networks(store, HOST6) == ["2001:db8:1:2::/64", "2001:db8:1::/48"]


async def test_a_ban_from_one_account_meets_no_other(store: Any, clock: ManualClock) -> None:
    await store.bans.put(ban(clock, "192.0.2.0/24", "alice@example.test"))
    assert await networks(store, HOST) == ["192.0.2.0/24"]
    assert await networks(store, HOST, "bob@example.test") == []


async def test_a_ban_ends_by_itself_or_never(store: Any, clock: ManualClock) -> None:
    await store.bans.put(ban(clock, "192.0.2.0/24", seconds=60))
    await store.bans.put(ban(clock, "192.0.0.0/16", seconds=0))
    clock.advance(59)
    assert await networks(store, HOST) == ["192.0.0.0/16", "192.0.2.0/24"]
    clock.advance(1)
    assert await networks(store, HOST) == ["192.0.0.0/16"]
    assert [found.network for found in await store.bans.listing()] == ["192.0.0.0/16"]


async def test_the_last_one_counts_and_the_newest_is_first(store: Any, clock: ManualClock) -> None:
    await store.bans.put(ban(clock, "192.0.2.0/24"))
    clock.advance(1)
    await store.bans.put(ban(clock, "198.51.100.0/24"))
    clock.advance(1)
    newer = ban(clock, "192.0.2.0/24", failures=30, times=2, by="uid:0", note="guesses")
    await store.bans.put(newer)
    assert [found.network for found in await store.bans.listing()] == ["192.0.2.0/24", "198.51.100.0/24"]
    assert (await store.bans.listing())[0] == newer
    assert await store.bans.banning(HOST, ANYBODY) == [newer]


async def test_lifting(store: Any, clock: ManualClock) -> None:
    one, other = ban(clock, "192.0.2.0/24"), ban(clock, "192.0.2.0/24", "alice@example.test")
    await store.bans.put(one)
    await store.bans.put(other)
    await store.bans.lift([one])
    assert await store.bans.listing() == [other]
    await store.bans.lift([one, other])
    assert await store.bans.listing() == [] and await networks(store, HOST) == []


async def test_counters_are_forgotten_by_their_beginning(store: Any) -> None:
    for key in ("login:192.0.2.0/24:all", "login:192.0.2.0/24:name:x", "login:192.0.20.0/24:all"):
        await store.counters.add(key, 5, 100)
    await store.counters.clear_below("login:192.0.2.0/24:")
    totals = [
        await store.counters.total(key, 100)
        for key in ("login:192.0.2.0/24:all", "login:192.0.2.0/24:name:x")
    ]
    assert totals == [0, 0] and await store.counters.total("login:192.0.20.0/24:all", 100) == 5
