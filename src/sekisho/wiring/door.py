"""The door as the settings want it: who is asked about a message, by which rules it is judged, and what is
learned from it."""

from sekisho.config.door import blocklists, door_rules
from sekisho.config.schema import Config
from sekisho.core.policy.door.author import IMPERSONATED
from sekisho.core.policy.door.stranger import GREYLIST, SENDER
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.content import ContentProbe
from sekisho.probes.greylist import GreylistProbe
from sekisho.probes.kept import KeptFindings
from sekisho.probes.rate import RateProbe
from sekisho.probes.reputation import ReputationProbe
from sekisho.probes.table import Probes
from sekisho.services.experience import Experience
from sekisho.services.reception.blocklists import BlocklistWatch
from sekisho.services.reception.greylisting import Greylisting, GreylistPorts
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.services.reception.watch import DoorWatch, WatchTools
from sekisho.services.reports.intake import Intake
from sekisho.wiring.clocks import sleep_by_clock
from sekisho.wiring.plant import Plant
from sekisho.wiring.reports import dmarc_tallies

_GREETING_SECONDS = 3.0  # that the DNS may take before the greeting


def blocklist_watch(plant: Plant, config: Config) -> BlocklistWatch:
    """What is known of a list's health outlives the settings."""
    return BlocklistWatch(
        blocklists(config), plant.resolver, plant.journal, plant.shared.metrics, plant.blocklist_health
    )


def inspector(
    plant: Plant,
    config: Config,
    experience: Experience,
    content: ContentProbe,
    watch: BlocklistWatch,
    kept: KeptFindings,
    intake: Intake,
) -> DoorInspector:
    rules, is_learning, store = door_rules(config), config.reputation.enabled, plant.store
    probes = Probes(
        reputation=ReputationProbe(store.reputation, plant.organizations, experience.rules)
        if is_learning
        else None,
        content=content,
        greylist=GreylistProbe(store.greylist, experience.rules) if rules.mode(GREYLIST) != "off" else None,
        sender=rules.mode(SENDER) != "off",
        names=plant.names if rules.mode(IMPERSONATED) != "off" else None,
    )
    ports = GreylistPorts(store.greylist, plant.clock, plant.journal, plant.shared.metrics)
    tools = DoorTools(
        directory=plant.own_names,
        budgeted=lambda: BudgetedResolver(plant.resolver),
        journal=plant.journal,
        probes=probes,
        experience=experience if is_learning else None,
        blocklists=lambda: watch.fit,
        greylisting=Greylisting(rules.waiting, config.greylist.tarpit_connections, ports),
        kept=kept,
        tallies=dmarc_tallies(plant, config),
        intake=intake,
    )
    return DoorInspector(config.hostname, rules, config.door.unchecked_networks, tools)


def connection_watch(plant: Plant, config: Config, experience: Experience, kept: KeptFindings) -> DoorWatch:
    rules, clock, rates = door_rules(config), plant.clock, plant.shared.rates
    reputation = plant.store.reputation if config.reputation.enabled else None
    tools = WatchTools(
        rates=rates,
        probe=RateProbe(rates, rules.limits, clock, reputation, experience.rules),
        directory=plant.own_names,
        budgeted=lambda: BudgetedResolver(plant.resolver, seconds=_GREETING_SECONDS),
        clock=clock,
        journal=plant.journal,
        metrics=plant.shared.metrics,
        kept=kept,
        pause=sleep_by_clock,
    )
    return DoorWatch(
        config.hostname, rules, config.door.unchecked_networks, tools, config.door.greet_delay_seconds
    )
