"""The guard's kit for operators over a memory store, signing nothing."""

from tests.stores.opened import OpenStore

from sekisho.probes.recipient import RecipientProbe
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.services.guard.releasing import GuardKit, Releaser
from sekisho.services.signing import NO_SIGNING


def guard_kit(store: OpenStore) -> GuardKit:
    recipients = RecipientProbe(store.directory, "mx.example.org", {})
    releaser = Releaser(
        spool=store.spool,
        guard=store.guard,
        recipients=recipients,
        signing=NO_SIGNING,
        clock=store.clock,
        lifetime_us=432_000_000_000,
    )
    return GuardKit(store.guard, releaser, CredentialFreezer(store.credentials, store.clock))
