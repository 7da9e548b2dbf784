"""The kit of an operator's commands about the door, over a memory store."""

from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.core.policy.reputation import ReputationRules
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.doorkeeping import DoorKit


def door_kit(store: MemoryStore) -> DoorKit:
    return DoorKit(store.reputation, ReputationRules(), RecipientProbe(store.directory, "mx.example.org", {}))
