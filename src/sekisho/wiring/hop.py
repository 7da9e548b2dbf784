"""The TLS of other mail hosts: what the relay asks, keeps and counts."""

from contextlib import AsyncExitStack

from sekisho.adapters.dns.seat import ResolverSeat
from sekisho.adapters.net.stsfetch import HttpsPolicySource
from sekisho.adapters.net.tls import ClientContexts
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.services.relay.hop import KNOWN_SECONDS, HopPorts
from sekisho.services.relay.stsdesk import StsDesk

MAX_HOSTS = 200_000  # that are remembered, at about 100 octets each
COUNTED_DAYS = 10  # sessions that nobody reported are kept so long
_DAY_US = 86_400_000_000


def open_hop(
    store: SqliteStore,
    resolver: ResolverSeat,
    tls: ClientContexts,
    world: tuple[Clock, Journal],
    stack: AsyncExitStack,
) -> tuple[HopPorts, StsDesk]:
    """`stack` ends what is under way and writes down the last counts."""
    clock, journal = world
    desk = StsDesk(resolver, store.sts_policies, HttpsPolicySource(resolver, tls), clock, journal)
    stack.push_async_callback(_write_down_the_last, store, journal)
    stack.push_async_callback(desk.close)
    return HopPorts(policies=desk, hosts=store.known_hosts, sessions=store.hop_sessions), desk


async def tidy_hop(store: SqliteStore, clock: Clock) -> None:
    """One round; raises StoreUnavailable."""
    now_us = clock.now_us()
    await store.known_hosts.sweep(now_us - KNOWN_SECONDS * 1_000_000, MAX_HOSTS)
    await store.hop_sessions.sweep(now_us // _DAY_US - COUNTED_DAYS)


async def _write_down_the_last(store: SqliteStore, journal: Journal) -> None:
    try:
        await store.hop_sessions.flush()
    except StoreUnavailable as error:
        journal.record(Entry("relay.counts_lost", fields={"error": str(error)}))
