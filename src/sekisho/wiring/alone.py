"""One operator's request answered in this process, with the server down."""

import asyncio
import os
import pwd
import sys

from sekisho.adapters.dns.resolver import StubResolver
from sekisho.adapters.journal import StructlogJournal
from sekisho.adapters.process.privileges import acting_as, open_log
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.admin import operations
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandFailed
from sekisho.ports.journal import Journal
from sekisho.services.classifier import LiveClassifier
from sekisho.testing.records import NoMetrics
from sekisho.wiring.clocks import server_clock
from sekisho.wiring.content import ContentLink
from sekisho.wiring.door import DoorLink
from sekisho.wiring.learning import LearningLink
from sekisho.wiring.ledger import LedgerLink
from sekisho.wiring.stores import StoreProblem, admin_context, opened_store


def answer_alone(config: Config, request: bytes, owner: pwd.struct_passwd | None = None) -> bytes:
    """Answered with the rights of the data's owner; the caller holds its folder's lock. Raises CommandFailed when the store cannot be
    opened.
    """
    descriptor = _log(config, owner)
    try:
        with acting_as(owner):
            return asyncio.run(_answer(config, request, descriptor))
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _log(config: Config, owner: pwd.struct_passwd | None) -> int | None:
    """The server's log if we may write to it, else standard error: no command depends on it."""
    if config.log.file is None:
        return None
    try:
        return open_log(config.log.file, owner)
    except OSError as error:
        print(f"sekisho: log.file: {config.log.file}: {error.strerror}", file=sys.stderr)
        return None


async def _answer(config: Config, request: bytes, descriptor: int | None) -> bytes:
    log = StructlogJournal(server_clock(), form=config.log.format, descriptor=descriptor, worker="command")
    link = LedgerLink(log, server_clock(), alone=True)
    try:
        async with opened_store(config) as store:
            link.use(config)
            resolver = StubResolver(config.resolver, server_clock())
            door, learning, classifier = _learners(store, config, link.journal, resolver)
            context = admin_context(
                store, config, link.journal, f"uid:{os.getuid()}", link.ledger, classifier, door.kit(learning.teacher)
            )  # fmt: skip
            answer = await operations.answer(context, request)
            await learning.teacher.finish()
            await door.close()
            await resolver.close()
            return answer
    except StoreProblem as problem:
        raise CommandFailed("{problem}", exits.UNREACHABLE, problem=str(problem)) from problem
    finally:
        link.close()
        log.flush()


def _learners(
    store: SqliteStore, config: Config, journal: Journal, resolver: StubResolver
) -> tuple[DoorLink, LearningLink, LiveClassifier]:
    """What learns from an operator's word, without a worker around it."""
    clock, metrics = server_clock(), NoMetrics()
    door = DoorLink(store, resolver, clock, journal, metrics)
    door.use(config)
    learning, classifier = LearningLink(store, journal, metrics), ContentLink(store, config, journal).classifier
    learning.teacher.learners = (door.experience, classifier)
    return door, learning, classifier
