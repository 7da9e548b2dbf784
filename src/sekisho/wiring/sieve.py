"""The scripts of accounts, as the settings want them run."""

from sekisho.config.schema import Config
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.sieve.aftermath import Aftermath, AftermathPorts
from sekisho.services.sieve.running import RunPorts, ScriptRunner
from sekisho.services.sieve.service import SieveService
from sekisho.services.sieve.sorting import Sorting, SortingPorts
from sekisho.wiring.letters import letter_writer
from sekisho.wiring.plant import Plant


def sieve_service(plant: Plant, config: Config, recipients: RecipientProbe) -> SieveService:
    store, settings = plant.store, config.sieve
    runner = ScriptRunner(
        RunPorts(plant.active_scripts, store.remembered, store.mail, plant.clock),
        config.hostname,
        settings.limits(),
    )
    sorting = SortingPorts(
        runner=runner,
        directory=store.directory,
        recipients=recipients,
        remembered=store.remembered,
        counters=store.counters,
        clock=plant.clock,
        journal=plant.journal,
    )
    aftermath = AftermathPorts(
        letters=letter_writer(store, config, plant.journal),
        remembered=store.remembered,
        counters=store.counters,
        clock=plant.clock,
        journal=plant.journal,
    )
    return SieveService(
        Sorting(sorting, settings), Aftermath(aftermath, settings, config.hostname, config.language)
    )
