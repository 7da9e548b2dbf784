"""What is learned about senders, as the settings want it."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.door import reputation_rules
from sekisho.config.schema import Config
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.learning import JunkWatch
from sekisho.ports.reputation import Reputation
from sekisho.probes.budget import BudgetedResolver, CachingResolver
from sekisho.probes.recipient import RecipientProbe
from sekisho.probes.reputation import Organizations
from sekisho.services.doorkeeping import DoorKit
from sekisho.services.experience import Experience


def make_experience(
    config: Config, store: SqliteStore, organizations: Organizations, resolver: CachingResolver, clock: Clock
) -> Experience:
    experience = Experience(
        store.reputation, store.judgements, organizations, lambda: BudgetedResolver(resolver), clock
    )
    experience.rules, experience.hostname = reputation_rules(config), config.hostname
    return experience


def door_kit(config: Config, store: SqliteStore, experience: Experience, junk: JunkWatch) -> DoorKit:
    """For an operator's commands."""
    recipients = RecipientProbe(store.directory, config.hostname, config.roles.model_dump())
    return DoorKit(
        reputation=store.reputation,
        rules=experience.rules,
        recipients=recipients,
        mail=store.mail,
        junk=junk,
        experience=experience,
        greylist=store.greylist,
        waiting=config.greylist.rules(),
    )


async def write_down_the_last(reputation: Reputation, journal: Journal) -> None:
    """At the end of a process."""
    try:
        await reputation.flush()
    except StoreUnavailable as error:
        journal.record(Entry("reputation.lost", fields={"error": str(error)}))
