"""The watch over hijacked accounts, as the settings want it."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.services.guard.cases import CaseKeeper, CasePorts
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.services.guard.logins import LoginNotices, NoticePorts
from sekisho.services.queue.surroundings import OPEN_GATE, Gate
from sekisho.services.submission.seams import ContentCheck
from sekisho.services.submission.takeover import TakeoverWatch
from sekisho.wiring.letters import letter_rules, letter_writer
from sekisho.wiring.plant import Plant


def gate(store: SqliteStore, config: Config) -> Gate:
    """Observing holds nothing back, nor does it while it is off; cases that are open then wait for an operator."""
    return store.guard if config.guard.mode == "enforce" else OPEN_GATE


def takeover_watch(plant: Plant, config: Config, check: ContentCheck) -> TakeoverWatch:
    return TakeoverWatch(config.guard.rules(), plant.clock, plant.journal, plant.shared.metrics, check, plant.store.places)


def case_keeper(plant: Plant, config: Config) -> CaseKeeper:
    store = plant.store
    letters, freezer = letter_writer(store, config, plant.journal), CredentialFreezer(store.credentials, plant.clock)
    ports = CasePorts(store.guard, store.directory, freezer, letters, plant.clock, plant.journal, plant.shared.metrics)
    return CaseKeeper(ports, letter_rules(config), config.roles.postmaster)


def login_notices(plant: Plant, config: Config) -> LoginNotices:
    store = plant.store
    letters = letter_writer(store, config, plant.journal)
    ports = NoticePorts(
        store.places, store.directory, store.credentials, store.guard, store.counters, letters, plant.clock, plant.journal
    )  # fmt: skip
    return LoginNotices(ports, letter_rules(config), config.roles.postmaster, config.login.notices_per_day)
