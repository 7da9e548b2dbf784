"""The Sieve service over the memory store of a `World`."""

from tests.services.smtp_world import HOSTNAME, World

from sekisho.config.sieve import SieveSettings
from sekisho.ports.scripts import ScriptLimits
from sekisho.services.letters import LetterRules, LetterWriter
from sekisho.services.sieve.aftermath import Aftermath, AftermathPorts
from sekisho.services.sieve.running import RunPorts, ScriptRunner
from sekisho.services.sieve.service import SieveService
from sekisho.services.sieve.sorting import Sorting, SortingPorts
from sekisho.services.signing import NO_SIGNING


def sieve_service(world: World, settings: SieveSettings | None = None) -> SieveService:
    settings, store = settings or SieveSettings(), world.store
    runner = ScriptRunner(
        RunPorts(store.scripts, store.remembered, store.mail, world.clock), HOSTNAME, settings.limits()
    )
    sorting = SortingPorts(
        runner=runner,
        directory=store.directory,
        recipients=world.recipients,
        remembered=store.remembered,
        counters=store.counters,
        clock=world.clock,
        journal=world.journal,
    )
    letters = LetterWriter(
        LetterRules(HOSTNAME, "en", {}, 10**12), store.spool, world.recipients, NO_SIGNING, world.clock
    )
    aftermath = AftermathPorts(
        letters=letters,
        remembered=store.remembered,
        counters=store.counters,
        clock=world.clock,
        journal=world.journal,
    )
    return SieveService(Sorting(sorting, settings), Aftermath(aftermath, settings, HOSTNAME, "en"))


async def activate(world: World, name: str, script: str, **others: str) -> None:
    """Make it the account's active script; `others` are there to be included."""
    account_id = world.accounts[name].id
    for other, text in {"main": script, **others}.items():
        await world.store.scripts.put(account_id, other, text.encode(), ScriptLimits())
    await world.store.scripts.activate(account_id, "main")
