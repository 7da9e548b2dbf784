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
from sekisho.faces.cli.handle import CommandError
from sekisho.ports.journal import Journal
from sekisho.probes.reputation import Organizations
from sekisho.services.classifier import LiveClassifier
from sekisho.services.experience import Experience
from sekisho.services.teaching import Teacher, TeacherPorts
from sekisho.testing.records import NoMetrics
from sekisho.wiring.clocks import server_clock
from sekisho.wiring.content import classifier_rules
from sekisho.wiring.desk import admin_context
from sekisho.wiring.experience import door_kit, make_experience, write_down_the_last
from sekisho.wiring.ledger import LedgerKeeper
from sekisho.wiring.stores import StoreProblem, opened_store


def answer_alone(config: Config, request: bytes, owner: pwd.struct_passwd | None = None) -> bytes:
    """Answered with the rights of the data's owner; the caller holds its folder's lock. Raises CommandFailed
    when the store cannot be opened.
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
    link = LedgerKeeper(log, server_clock(), alone=True)
    try:
        async with opened_store(config) as store:
            link.use(config)
            resolver = StubResolver(config.resolver, server_clock())
            experience, teacher, classifier = _learners(store, config, link.journal, resolver)
            kit = door_kit(config, store, experience, teacher)
            context = admin_context(
                store=store,
                config=config,
                journal=link.journal,
                actor=f"uid:{os.getuid()}",
                ledger=link.ledger,
                classifier=classifier,
                door=kit,
            )
            answer = await operations.answer(context, request)
            await teacher.finish()
            await write_down_the_last(store.reputation, link.journal)
            await resolver.close()
            return answer
    except StoreProblem as problem:
        raise CommandError("{problem}", exits.UNREACHABLE, problem=str(problem)) from problem
    finally:
        link.close()
        log.flush()


def _learners(
    store: SqliteStore, config: Config, journal: Journal, resolver: StubResolver
) -> tuple[Experience, Teacher, LiveClassifier]:
    """What learns from an operator's word, without a worker around it."""
    clock = server_clock()
    experience = make_experience(config, store, Organizations(clock), resolver, clock)
    classifier = LiveClassifier(store.lessons, clock, journal)
    classifier.rules = classifier_rules(config)
    return (
        experience,
        Teacher(TeacherPorts(store.mail, store.judgements, journal, NoMetrics()), (experience, classifier)),
        classifier,
    )
