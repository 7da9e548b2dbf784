"""One worker as the supervisor would run it, in the test's own process: real sockets, store, log and
metrics."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.adapters.process.exporter import exposition
from sekisho.adapters.process.metrics import SharedMetrics
from sekisho.adapters.process.plan import ShutdownSignal, WorkerContext
from sekisho.adapters.process.rates import SharedRates
from sekisho.adapters.process.recent import SharedRecent
from sekisho.adapters.process.versions import SharedVersion
from sekisho.config.schema import Config
from sekisho.wiring.plant import Shared
from sekisho.wiring.setup import AUTH, CONTROL, LOCAL, METRICS, Setup, listener_names
from sekisho.wiring.worker import run_worker

SECONDS = 30.0  # of a loaded machine


def settings(folder: Path, **tables: Any) -> Config:
    """A worker's, without certificates; `tables` replace or add."""
    value: dict[str, Any] = {
        "hostname": "mx.example.test",
        "data_dir": str(folder / "data"),
        "roles": {"postmaster": "taro@example.test", "abuse": "taro@example.test"},
        "listeners": [{"kind": "smtp", "address": "127.0.0.1", "port": 0}],
        "limits": {"free_disk_octets": 0},
        "resolver": {"servers": ["127.0.0.1:9"], "timeout_seconds": 0.1, "tries": 1},
        "log": {"file": str(folder / "log")},
        "relay": {"routes": {"*": "127.0.0.1:9"}},
        **tables,
    }
    return Config.model_validate_json(json.dumps(value), strict=True)


@dataclass
class Running:
    folder: Path
    ports: dict[str, int]
    shared: Shared
    context: WorkerContext
    task: "asyncio.Task[None]" = field(init=False)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "log").read_text().splitlines()]

    def entries(self, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self.log if entry["kind"] == kind]

    def metrics(self) -> str:
        return exposition(self.shared.metrics).decode()

    async def reload(self, setup: Setup) -> None:
        before = len(self.entries("worker.reloaded"))
        self.context.reloads.put_nowait(msgspec.msgpack.encode(setup))
        await self.until(lambda: len(self.entries("worker.reloaded")) > before)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not done():  # noqa: ASYNC110 (what the worker does shows in its log file)
                await asyncio.sleep(0.01)

    def stop(self) -> None:
        self.context.shutdown.set()


@asynccontextmanager
async def worker(
    folder: Path, setup: Setup, *, run: Callable[[Setup, Shared, WorkerContext], Awaitable[None]] = run_worker
) -> AsyncIterator[Running]:
    config = setup.config
    config.data_dir.mkdir(exist_ok=True)
    (config.data_dir / "run").mkdir(exist_ok=True)
    sockets = {name: [socket.create_server(("127.0.0.1", 0))] for name in (*listener_names(config), METRICS)}
    for name in (CONTROL, LOCAL, AUTH):
        sockets[name] = [socket.socket(socket.AF_UNIX)]
        sockets[name][0].bind(str(config.data_dir / "run" / f"{name}.sock"))
        sockets[name][0].listen()
    ready = asyncio.Event()
    context = WorkerContext(
        slot=0,
        incarnation=1,
        data_dir=config.data_dir,
        sockets=sockets,
        shutdown=ShutdownSignal(),
        changes_socket=config.data_dir / "run" / "changes-0.sock",
        sibling_sockets=(),
        reloads=asyncio.Queue(),
        ready=ready.set,
    )
    shared = Shared(
        counts=SharedConnectionCounts(1, 100, 50),
        metrics=SharedMetrics(1),
        rates=SharedRates(1, 60),
        recent=SharedRecent(1, 16),
        directory=SharedVersion(1),
        scripts=SharedVersion(1),
    )
    ports = {
        name: held[0].getsockname()[1] for name, held in sockets.items() if held[0].family == socket.AF_INET
    }
    running = Running(folder, ports, shared, context)
    hook, handler = sys.unraisablehook, asyncio.get_running_loop().get_exception_handler()

    async def whole() -> None:
        await run(setup, shared, context)

    running.task = asyncio.create_task(whole())
    try:
        async with asyncio.timeout(SECONDS):
            await asyncio.wait(
                (running.task, asyncio.ensure_future(ready.wait())), return_when=asyncio.FIRST_COMPLETED
            )
        if running.task.done():
            running.task.result()
        yield running
    finally:
        context.shutdown.set()
        await asyncio.wait((running.task,), timeout=SECONDS)
        running.task.cancel()
        sys.unraisablehook = hook
        asyncio.get_running_loop().set_exception_handler(handler)
