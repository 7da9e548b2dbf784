"""The kit of an operator's commands about the door, over a memory store."""

from tests.stores.opened import OpenStore

from sekisho.core.policy.greylist import GreylistRules
from sekisho.core.policy.reputation import ReputationRules
from sekisho.ports.learning import JunkWatch
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.recipient import RecipientProbe
from sekisho.probes.reputation import Organizations
from sekisho.services.access.imap.context import NobodyWatches
from sekisho.services.doorkeeping import DoorKit
from sekisho.services.experience import Experience
from sekisho.testing.zones import ZoneResolver


def door_kit(
    store: OpenStore, junk: JunkWatch | None = None, hostname: str = "mx.example.org", zone: str = ""
) -> DoorKit:
    clock = store.clock
    experience = Experience(
        store.reputation,
        store.judgements,
        Organizations(clock),
        lambda: BudgetedResolver(ZoneResolver(zone)),
        clock,
    )
    experience.hostname = hostname
    recipients = RecipientProbe(store.directory, hostname, {})
    return DoorKit(
        reputation=store.reputation,
        rules=ReputationRules(),
        recipients=recipients,
        mail=store.mail,
        junk=junk or NobodyWatches(),
        experience=experience,
        greylist=store.greylist,
        waiting=GreylistRules(),
    )
