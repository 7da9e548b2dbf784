"""Queue and relay as the settings want them."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.ports.courier import Courier
from sekisho.ports.leases import Owner
from sekisho.ports.names import Names
from sekisho.ports.stream import Endpoint
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.queue.surroundings import QueueRules
from sekisho.services.relay.pool import Pool
from sekisho.services.relay.relay import Relay
from sekisho.services.relay.surroundings import RelayPorts
from sekisho.services.shaping.courier import ShapedCourier
from sekisho.services.shaping.surroundings import ShapingMemory, ShapingPorts, ShapingRules


def recipient_probe(names: Names, config: Config) -> RecipientProbe:
    return RecipientProbe(names, config.hostname, config.roles.model_dump())


def queue_rules(owner: Owner, config: Config) -> QueueRules:
    return QueueRules.of(config.hostname, config.language, owner, config.queue, config.relay)


def shaping_ports(store: SqliteStore, ports: RelayPorts) -> ShapingPorts:
    return ShapingPorts(
        shapes=store.shapes,
        resolver=ports.resolver,
        clock=ports.clock,
        journal=ports.journal,
        metrics=ports.metrics,
    )


def make_courier(
    relay: Relay, ports: ShapingPorts, memory: ShapingMemory, config: Config, workers: int
) -> Courier:
    """The relay, at the pace that providers bear."""
    rules = ShapingRules(
        enabled=config.shaping.enabled,
        warmup=config.shaping.warmup,
        source=shaping_source(config),
        routes=config.relay.routes,
        workers=workers,
        connections=config.relay.connections_per_next_hop,
    )
    return ShapedCourier(relay, rules, ports, memory)


def shaping_source(config: Config) -> str:
    """Which address budgets belong to. The providers that keep them are reached over IPv4 as well as IPv6."""
    return str(config.relay.source_ipv4 or config.relay.source_ipv6 or "")


def make_relay(ports: RelayPorts, pool: Pool, config: Config) -> Relay:
    own = frozenset(
        Endpoint(listener.address, listener.port) for listener in config.listeners if listener.kind == "smtp"
    )
    return Relay(config.hostname, config.relay, ports, own_endpoints=own, pool=pool)
