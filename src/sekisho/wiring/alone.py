"""One operator's request answered in this process, with the server down."""

import asyncio
import os

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.journal import StructlogJournal
from sekisho.admin import operations
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandFailed
from sekisho.wiring.stores import StoreProblem, admin_context, open_log, opened_store


def answer_alone(config: Config, request: bytes) -> bytes:
    """The caller holds the data folder's lock; raises CommandFailed when the store cannot be opened."""
    return asyncio.run(_answer(config, request))


async def _answer(config: Config, request: bytes) -> bytes:
    descriptor = None if config.log.file is None else open_log(config.log.file)
    journal = StructlogJournal(SystemClock(), form=config.log.format, descriptor=descriptor, worker="command")
    try:
        async with opened_store(config) as store:
            return await operations.answer(admin_context(store, config, journal, f"uid:{os.getuid()}"), request)
    except StoreProblem as problem:
        raise CommandFailed("{problem}", exits.UNREACHABLE, problem=str(problem)) from problem
    finally:
        journal.flush()
