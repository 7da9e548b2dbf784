"""One operator's request answered in this process, with the server down."""

import asyncio
import os

from sekisho.adapters.journal import StructlogJournal
from sekisho.admin import operations
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandFailed
from sekisho.wiring.clocks import server_clock
from sekisho.wiring.ledger import LedgerLink
from sekisho.wiring.stores import StoreProblem, admin_context, open_log, opened_store


def answer_alone(config: Config, request: bytes) -> bytes:
    """The caller holds the data folder's lock; raises CommandFailed when the store cannot be opened."""
    return asyncio.run(_answer(config, request))


async def _answer(config: Config, request: bytes) -> bytes:
    descriptor = None if config.log.file is None else open_log(config.log.file)
    log = StructlogJournal(server_clock(), form=config.log.format, descriptor=descriptor, worker="command")
    link = LedgerLink(log, server_clock(), alone=True)
    try:
        async with opened_store(config) as store:
            link.use(config)
            context = admin_context(store, config, link.journal, f"uid:{os.getuid()}", link.ledger)
            return await operations.answer(context, request)
    except StoreProblem as problem:
        raise CommandFailed("{problem}", exits.UNREACHABLE, problem=str(problem)) from problem
    finally:
        link.close()
        log.flush()
