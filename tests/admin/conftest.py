import pytest
from tests.services.door_kit import door_kit
from tests.services.guard.kit import guard_kit
from tests.stores.opened import OpenStore

from sekisho.admin.context import Context
from sekisho.config.schema import LoginSettings, RoleOwners
from sekisho.config.sieve import SieveSettings
from sekisho.services.authentication.bandesk import BanDesk
from sekisho.services.classifier import LiveClassifier
from sekisho.services.sieve.desk import ScriptDesk
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture
def store() -> OpenStore:
    return OpenStore(ManualClock(), SeededDice())


@pytest.fixture
def context(store: OpenStore, journal: MemoryJournal) -> Context:
    roles = RoleOwners(postmaster="taro@example.org", abuse="Taro@example.org")
    classifier = LiveClassifier(store.lessons, ManualClock(), journal)
    return Context(
        directory=store.directory,
        spool=store.spool,
        keys=store.keys,
        journal=journal,
        clock=ManualClock(),
        roles=roles,
        actor="uid:0",
        guard_kit=guard_kit(store),
        classifier=classifier,
        door_kit=door_kit(store),
        ban_desk=BanDesk(store.bans, store.counters, LoginSettings()),
        credentials=store.credentials,
        places=store.places,
        shapes=store.shapes,
        script_desk=ScriptDesk(store.scripts, SieveSettings()),
        reports=store.reports,
    )
