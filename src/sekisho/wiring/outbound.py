"""Queue and relay as the settings want them."""

from sekisho.config.schema import Config
from sekisho.ports.leases import Owner
from sekisho.ports.names import Names
from sekisho.ports.stream import Endpoint
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.queue.surroundings import QueueRules
from sekisho.services.relay.pool import Pool
from sekisho.services.relay.relay import Relay
from sekisho.services.relay.surroundings import RelayPorts


def recipient_probe(names: Names, config: Config) -> RecipientProbe:
    return RecipientProbe(names, config.hostname, config.roles.model_dump())


def queue_rules(owner: Owner, config: Config) -> QueueRules:
    return QueueRules.of(config.hostname, config.language, owner, config.queue, config.relay)


def make_relay(ports: RelayPorts, pool: Pool, config: Config) -> Relay:
    own = frozenset(
        Endpoint(listener.address, listener.port) for listener in config.listeners if listener.kind == "smtp"
    )
    return Relay(config.hostname, config.relay, ports, own_endpoints=own, pool=pool)
