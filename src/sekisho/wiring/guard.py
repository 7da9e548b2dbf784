"""The watch over hijacked accounts, as the settings want it."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.services.guard.cases import CaseKeeper, CasePorts
from sekisho.services.guard.freezing import CredentialFreezer
from sekisho.services.guard.logins import LoginNoticePorts, LoginNotices
from sekisho.services.queue.surroundings import OPEN_GATE, Gate
from sekisho.services.submission.seams import ContentInspection
from sekisho.services.submission.takeover import TakeoverWatch
from sekisho.wiring.letters import letter_rules, letter_writer
from sekisho.wiring.plant import Plant


def gate(store: SqliteStore, config: Config) -> Gate:
    """Observing holds nothing back, nor does it while it is off; cases that are open then wait for an
    operator."""
    return store.guard if config.guard.mode == "enforce" else OPEN_GATE


def takeover_watch(plant: Plant, config: Config, check: ContentInspection) -> TakeoverWatch:
    return TakeoverWatch(
        rules=config.guard.rules(),
        clock=plant.clock,
        journal=plant.journal,
        metrics=plant.shared.metrics,
        check=check,
        places=plant.store.places,
    )


def case_keeper(plant: Plant, config: Config) -> CaseKeeper:
    store = plant.store
    letters, freezer = (
        letter_writer(store, config, plant.journal),
        CredentialFreezer(store.credentials, plant.clock),
    )
    ports = CasePorts(
        guard=store.guard,
        directory=store.directory,
        freezer=freezer,
        letters=letters,
        clock=plant.clock,
        journal=plant.journal,
        metrics=plant.shared.metrics,
    )
    return CaseKeeper(ports, letter_rules(config), config.roles.postmaster)


def login_notices(plant: Plant, config: Config) -> LoginNotices:
    store = plant.store
    letters = letter_writer(store, config, plant.journal)
    ports = LoginNoticePorts(
        places=store.places,
        directory=store.directory,
        credentials=store.credentials,
        guard=store.guard,
        counters=store.counters,
        letters=letters,
        clock=plant.clock,
        journal=plant.journal,
    )
    return LoginNotices(ports, letter_rules(config), config.roles.postmaster, config.login.notices_per_day)
