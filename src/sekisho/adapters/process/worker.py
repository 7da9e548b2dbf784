"""The child's side: from the fork to the end of the process."""

import asyncio
import concurrent.futures.thread  # noqa: F401  # asyncio would import it late, when a worker may not read it any more
import faulthandler
import gc
import os
import pwd
import signal
import struct
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from sekisho.adapters.process.plan import ProcessPlan, ShutdownSignal, WorkerContext
from sekisho.adapters.process.privileges import drop_privileges
from sekisho.adapters.process.sockets import BoundSockets

BEAT, LISTENING = b"H", b"L"  # to the supervisor
STOP, RELOAD = b"S", b"R"  # from it: a kind, a length, a payload
FRAME_HEAD = struct.Struct("!cI")
EXIT_FAULT = 1
# What a message leaves behind is freed by counting references: to look for circles as often as Python does,
# after 700 records, costs 2 % of a message.
GC_THRESHOLDS = (10_000, 20, 20)
_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where a worker sits."""

    slot: int
    incarnation: int
    channel: socket
    bound: BoundSockets
    user: pwd.struct_passwd | None


def changes_socket(data_dir: Path, slot: int) -> Path:
    return data_dir / "run" / f"changes-{slot}.sock"


def run_worker(plan: ProcessPlan, seat: Seat) -> int:
    """Runs in the forked process; returns its exit status."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    gc.set_threshold(*GC_THRESHOLDS)
    drop_privileges(seat.user)
    seat.bound.close_others(seat.slot)
    try:
        with asyncio.Runner(loop_factory=loop_factory(plan.event_loop)) as runner:
            runner.run(_Worker(plan, seat).run())
    except Exception:
        traceback.print_exc()
        return EXIT_FAULT
    return 0


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


class _Worker:
    def __init__(self, plan: ProcessPlan, seat: Seat) -> None:
        self._plan = plan
        self._seat = seat
        self._inbox = bytearray()

    async def run(self) -> None:
        plan, seat = self._plan, self._seat
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._context = WorkerContext(
            slot=seat.slot,
            incarnation=seat.incarnation,
            data_dir=plan.data_dir,
            sockets=seat.bound.by_slot[seat.slot],
            shutdown=ShutdownSignal(),
            changes_socket=changes_socket(plan.data_dir, seat.slot),
            sibling_sockets=tuple(
                changes_socket(plan.data_dir, slot) for slot in range(plan.workers) if slot != seat.slot
            ),
            reloads=asyncio.Queue(),
            ready=lambda: self._tell(LISTENING),
        )
        seat.channel.setblocking(False)
        loop.add_reader(seat.channel.fileno(), self._hear)
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        self._beat()
        try:
            await _awaited(plan.worker_main(self._context))
        finally:
            loop.remove_reader(seat.channel.fileno())
            faulthandler.cancel_dump_traceback_later()

    def _beat(self) -> None:
        """Tell the supervisor that the loop turns. If it stops turning, a C thread prints where, and ends the
        process."""
        self._tell(BEAT)
        faulthandler.dump_traceback_later(self._plan.heartbeat_seconds, exit=True, file=sys.__stderr__ or 2)
        self._loop.call_later(self._plan.heartbeat_seconds / 4, self._beat)

    def _tell(self, word: bytes) -> None:
        try:
            self._seat.channel.send(word)
        except BlockingIOError:
            pass  # the supervisor is busy; a full pipe is full of beats
        except OSError:
            self._stop()

    def _hear(self) -> None:
        try:
            data = self._seat.channel.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:  # the supervisor is gone
            self._loop.remove_reader(self._seat.channel.fileno())
            self._stop()
            return
        self._inbox += data
        while len(self._inbox) >= FRAME_HEAD.size:
            kind, length = FRAME_HEAD.unpack_from(self._inbox)
            if len(self._inbox) < FRAME_HEAD.size + length:
                return
            payload = bytes(self._inbox[FRAME_HEAD.size : FRAME_HEAD.size + length])
            del self._inbox[: FRAME_HEAD.size + length]
            if kind == STOP:
                self._stop()
            elif kind == RELOAD:
                self._context.reloads.put_nowait(payload)

    def _stop(self) -> None:
        if not self._context.shutdown.is_set:
            self._context.shutdown.set()
            self._loop.call_later(self._plan.stop_seconds, os._exit, EXIT_FAULT)


async def _awaited(work: Awaitable[None]) -> None:
    await work
