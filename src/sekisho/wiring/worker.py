"""One worker process: a plant, services over it, listeners before them, duties beside them."""

import asyncio
from contextlib import AsyncExitStack

import msgspec

from sekisho.adapters.net.listener import Listener, listener_info
from sekisho.adapters.process.control import ControlServer
from sekisho.adapters.process.exporter import Exporter
from sekisho.adapters.process.plan import WorkerContext
from sekisho.adapters.process.privileges import open_log
from sekisho.admin import operations
from sekisho.ports.journal import Entry
from sekisho.ports.stream import ListenerInfo, ServiceKind, Stream
from sekisho.wiring.clocks import sleep_by_clock
from sekisho.wiring.duties import BLOCKLISTS, QUEUE, RESOLVER, Hands, duties
from sekisho.wiring.dutykeeper import DutyKeeper, DutyPorts, OneOfAll
from sekisho.wiring.plant import Shared, open_plant
from sekisho.wiring.services import Services, adopt, build
from sekisho.wiring.setup import AUTH, CONTROL, LOCAL, METRICS, Setup, listener_names

_DRAIN_SECONDS = 2.5  # of the supervisor's 5: connections say goodbye, then the queue settles


async def run_worker(setup: Setup, shared: Shared, context: WorkerContext) -> None:
    """Until the shutdown; raises what makes the worker useless."""
    async with AsyncExitStack() as stack:
        await Worker(setup, shared, context, stack).run()


class Worker:
    def __init__(self, setup: Setup, shared: Shared, context: WorkerContext, stack: AsyncExitStack) -> None:
        self._context, self._stack = context, stack
        self._plant = open_plant(setup, shared, context, stack)
        self._now: Services = build(self._plant, setup)  # replaced as a whole at a reload
        adopt(self._plant, self._now)
        self._listeners: dict[str, Listener] = {}

    async def run(self) -> None:
        plant = self._plant
        keeper = self._make_keeper()
        await self._listen()
        self._context.ready()
        keeper.start()
        await keeper.until_shutdown()
        await asyncio.gather(*(listener.finish(_DRAIN_SECONDS) for listener in self._listeners.values()))
        await keeper.finished(QUEUE)
        await plant.pool.close()
        await keeper.stop()
        await asyncio.gather(*plant.letters_under_way, return_exceptions=True)

    def _make_keeper(self) -> DutyKeeper:
        plant, context = self._plant, self._context
        ports = DutyPorts(
            clock=plant.clock,
            journal=plant.journal,
            metrics=plant.shared.metrics,
            sleep=sleep_by_clock,
            is_ours=OneOfAll(plant.store.leases, plant.owner, plant.clock).is_ours,
            shutdown=context.shutdown,
            worker=str(context.slot),
        )
        hands = Hands(plant=plant, now=lambda: self._now, follow_reloads=self._follow_reloads)
        self._keeper = DutyKeeper(duties(hands, context.slot), ports)
        self._stack.push_async_callback(self._keeper.stop)
        return self._keeper

    # Listening

    async def _listen(self) -> None:
        sockets, config = self._context.sockets, self._now.config
        kinds: dict[str, ServiceKind] = {LOCAL: "local", AUTH: "auth"}
        kinds |= zip(listener_names(config), (each.kind for each in config.listeners), strict=True)
        for name, kind in kinds.items():
            if name in sockets:
                use = self._now.listeners[name]
                listener = Listener(
                    listener_info(name, kind, self._plant.tls),
                    self._handle,
                    use.tools,
                    use.proxy_from,
                    use.client_ca,
                )
                await listener.start(sockets[name])
                self._listeners[name] = listener
        control = ControlServer(self._answer, self._plant.journal, operations.BUSY)
        await control.start(sockets[CONTROL])
        self._stack.callback(control.close)
        if METRICS in sockets:
            exporter = Exporter(self._plant.shared.metrics)
            await exporter.start(sockets[METRICS])
            self._stack.callback(exporter.close)

    async def _handle(self, stream: Stream, listener: ListenerInfo) -> None:
        await self._now.handlers[listener.kind](stream, listener)

    async def _answer(self, request: bytes, uid: int) -> bytes:
        return await operations.answer(self._now.admin(f"uid:{uid}"), request)

    # Reloading

    async def _follow_reloads(self) -> None:
        """A duty: a configuration of which nothing can be built leaves the one before it in force."""
        while True:
            self._reload(msgspec.msgpack.decode(await self._context.reloads.get(), type=Setup))

    def _reload(self, setup: Setup) -> None:
        plant = self._plant
        services = build(plant, setup, self._now)
        self._now = services
        adopt(plant, services)
        for name, listener in self._listeners.items():
            if name in services.listeners:
                use = services.listeners[name]
                listener.use(
                    listener_info(name, listener.info.kind, plant.tls),
                    use.tools,
                    use.proxy_from,
                    use.client_ca,
                )
        self._reopen_log()
        self._keeper.now(BLOCKLISTS)
        if RESOLVER in self._keeper:
            self._keeper.now(RESOLVER)
        plant.journal.record(Entry("worker.reloaded"))

    def _reopen_log(self) -> None:
        """It may have been rotated, or be another one. One that cannot be opened leaves the old one in
        use."""
        file = self._now.config.log.file
        try:
            self._plant.log.redirect(None if file is None else open_log(file))
        except OSError as error:
            self._plant.journal.fault("log", error)
