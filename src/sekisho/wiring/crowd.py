"""How many connections this worker may have, and who gives way."""

from sekisho.adapters.net.crowd import Crowd, CrowdTools, descriptors_for_connections
from sekisho.config.schema import Config
from sekisho.core.policy.crowd import CrowdRules
from sekisho.ports.clock import Clock
from sekisho.ports.counters import ConnectionCounts
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics

KEPT_DESCRIPTORS = 64  # for the store, the DNS and content on its way, beside those of the relay


def make_crowd(
    config: Config, counts: ConnectionCounts, journal: Journal, metrics: Metrics, clock: Clock
) -> Crowd:
    """When the store is open: what it holds is seen."""
    descriptors = descriptors_for_connections(KEPT_DESCRIPTORS + config.relay.concurrency)
    return Crowd(
        CrowdTools(counts=counts, journal=journal, metrics=metrics, clock=clock, descriptors=descriptors),
        crowd_rules(config),
    )


def crowd_rules(config: Config) -> CrowdRules:
    limits = config.limits
    return CrowdRules(limits.kept_share, limits.stress_share, limits.stress_seconds)
