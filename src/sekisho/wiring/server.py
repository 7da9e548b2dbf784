"""The supervisor's plan: what `serve` runs."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from sekisho.adapters.journal import StructlogJournal
from sekisho.adapters.process.changes import DatagramChanges
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.adapters.process.metrics import SharedMetrics
from sekisho.adapters.process.plan import ListenSpec, ProcessPlan, StartRefused, UnixSpec, WorkerContext
from sekisho.adapters.process.privileges import open_log, service_user
from sekisho.adapters.process.rates import SharedRates
from sekisho.adapters.process.recent import SharedRecent
from sekisho.adapters.process.supervisor import Supervisor
from sekisho.adapters.process.versions import SharedVersion
from sekisho.adapters.process.worker import changes_socket
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.ports.journal import Entry
from sekisho.ports.leases import Owner
from sekisho.wiring.clocks import check_clock, server_clock
from sekisho.wiring.paths import control_socket, submission_socket
from sekisho.wiring.plant import Shared
from sekisho.wiring.reading import SetupReader, read_setup
from sekisho.wiring.setup import AUTH, CONTROL, LOCAL, METRICS, Setup, listener_names
from sekisho.wiring.stores import HOST, StoreProblem, opened_store
from sekisho.wiring.worker import run_worker

SPRAYED_NAMES = 16  # that each worker tells apart at least, of those that one password was tried at

# Work with the opened store before the first worker starts (a try-out makes its accounts there).
Preparation = Callable[[SqliteStore, Config], Awaitable[None]]
OnReady = Callable[[Mapping[str, int]], None]


def serve(config_file: Path, prepare: Preparation | None = None, on_ready: OnReady | None = None) -> int:
    """Until SIGTERM or SIGINT. Raises ConfigError with everything that is wrong, CommandFailed when it cannot
    start."""
    setup = read_setup(config_file)
    check_clock(setup.config)
    try:
        return Supervisor(_plan(config_file, setup, prepare, on_ready)).run()
    except StartRefused as refused:
        raise CommandError("{problem}", exits.FAILED, problem=str(refused)) from refused


def _plan(
    config_file: Path, setup: Setup, prepare: Preparation | None, on_ready: OnReady | None
) -> ProcessPlan:
    config = setup.config
    workers = config.workers or len(os.sched_getaffinity(0))
    shared = Shared(
        counts=SharedConnectionCounts(workers, config.limits.connections, config.limits.connections_per_ip),
        metrics=SharedMetrics(workers),
        rates=SharedRates(workers, config.door.rates.window_seconds),
        recent=SharedRecent(workers, max(SPRAYED_NAMES, config.login.sprayed_accounts)),
        directory=SharedVersion(workers),
        scripts=SharedVersion(workers),
    )
    listeners = [
        ListenSpec(name, listener.address, listener.port)
        for name, listener in zip(listener_names(config), config.listeners, strict=True)
    ]
    if config.metrics.port is not None:
        listeners.append(ListenSpec(METRICS, config.metrics.address, config.metrics.port, shared=True))
    reporter = _Reporter(config)
    reader = SetupReader(config_file, setup, reporter)

    def reload() -> bytes:
        reporter.use(
            reader.latest.config
        )  # the file may have been rotated, whatever is wrong with the configuration
        payload = reader.reload()
        reporter.use(reader.latest.config)
        return payload

    async def worker_main(context: WorkerContext) -> None:
        await run_worker(reader.latest, shared, context)

    return ProcessPlan(
        data_dir=config.data_dir,
        workers=workers,
        worker_main=worker_main,
        listeners=listeners,
        # Anybody may knock at the submission socket: who it is decides (submission.local_users).
        unix_sockets=[
            UnixSpec(CONTROL, control_socket(config)),
            UnixSpec(LOCAL, submission_socket(config), 0o666),
            *_auth_socket(config),
        ],
        user=config.user,
        event_loop=config.event_loop,
        heartbeat_seconds=config.worker_heartbeat_seconds,
        prepare=lambda: asyncio.run(_prepare(config, prepare)),
        on_worker_death=lambda slot, incarnation: asyncio.run(
            _free(config, workers, Owner(HOST, slot, incarnation))
        ),
        on_reload=reload,
        on_upgrade=reader.check,
        on_ready=on_ready,
        columns=(shared.counts, shared.metrics),
        report=reporter,
    )


def _auth_socket(config: Config) -> list[UnixSpec]:
    settings = config.auth_socket
    return (
        [UnixSpec(AUTH, settings.path, int(settings.mode, 8), settings.group)]
        if settings.path is not None
        else []
    )


async def _prepare(config: Config, work: Preparation | None) -> None:
    """Bring the store's schema up to date and free what an earlier run of this host held."""
    try:
        async with opened_store(config) as store:
            await store.leases.free_host(HOST)
            if work is not None:
                await work(store, config)
    except StoreProblem as problem:
        raise StartRefused(str(problem)) from problem


async def _free(config: Config, workers: int, owner: Owner) -> None:
    """Free what a dead worker held, and tell the living that there is work."""
    siblings = tuple(changes_socket(config.data_dir, slot) for slot in range(workers))
    changes = DatagramChanges(config.data_dir / "run" / f"changes-helper-{os.getpid()}.sock", siblings)
    changes.start()
    try:
        async with opened_store(config, changes) as store:
            await store.leases.free_owner(owner)
    finally:
        changes.close()


class _Reporter:
    """The supervisor's words in the journal. A log file is made here, by root perhaps, and given to the
    workers' user."""

    def __init__(self, config: Config) -> None:
        self._log, self._user = config.log, config.user
        self._journal = StructlogJournal(
            server_clock(), form=self._log.format, descriptor=self._open(), worker="supervisor"
        )

    def __call__(self, kind: str, fields: Mapping[str, str | int]) -> None:
        self._journal.record(Entry(kind, fields=fields))

    def use(self, config: Config) -> None:
        """At SIGHUP, before the workers do. A file that cannot be opened leaves the old one in use."""
        self._log = config.log
        self._journal.use(self._log.format)
        try:
            self._journal.redirect(self._open())
        except OSError as error:
            self._journal.fault("log", error)

    def _open(self) -> int | None:
        if self._log.file is None:
            return None
        return open_log(self._log.file, service_user(self._user))
