"""The parent: binds, forks, watches, replaces, reloads, stops, upgrades. Synchronous on purpose: it forks
while it works."""

import gc
import os
import pwd
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from sekisho.adapters.process.lock import hand_over_lock, lock_data_directory
from sekisho.adapters.process.notify import notify, notify_reloading
from sekisho.adapters.process.plan import ProcessPlan, ReloadRefused, StartRefused
from sekisho.adapters.process.privileges import (
    acting_as,
    drop_privileges,
    folder_owner,
    give_socket,
    make_directory,
    service_user,
)
from sekisho.adapters.process.sockets import INHERITED, BoundSockets, bind_all
from sekisho.adapters.process.worker import (
    FRAME_HEAD,
    LISTENING,
    RELOAD,
    STOP,
    Seat,
    loop_factory,
    run_worker,
)

SHORT_LIFE_SECONDS = 5.0  # dying earlier counts as dying at once
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 5.0
STILLBORN_LIMIT = 5  # so many deaths before anybody ever listened: the start has failed
KILL_MARGIN = 1.25  # a hung worker has this much of its heartbeat time to say itself where it hangs
EXIT_FAILED = 1
DESCRIPTORS = 65536
HELPER_SECONDS = 10.0  # at the end, for those who free a dead worker's leases
CAUGHT = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2, signal.SIGCHLD)


@dataclass(slots=True, kw_only=True)
class _Child:
    """A living worker."""

    slot: int
    pid: int
    incarnation: int
    channel: socket.socket
    started: float
    last_beat: float
    listening: bool = False
    killed: bool = False
    outbox: bytearray = field(default_factory=bytearray)


@dataclass(slots=True)
class _Vacancy:
    """A slot that waits for its next worker."""

    at: float
    deaths: int  # in a row, at once after the start


class Supervisor:
    def __init__(self, plan: ProcessPlan) -> None:
        self._plan = plan
        self._children: dict[int, _Child] = {}  # by slot
        self._vacancies: dict[int, _Vacancy] = {}
        self._deaths = [0] * plan.workers
        self._selector = selectors.DefaultSelector()
        self._signals: set[int] = set()
        self._signal_ends = socket.socketpair()
        for end in self._signal_ends:
            end.setblocking(False)
        self._helpers: set[int] = set()
        self._incarnation = 0
        self._announced = self._upgrading = False
        self._stopping_until: float | None = None
        self._exit_status = 0

    def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit status. Raises StartRefused before anything runs."""
        plan = self._plan
        os.umask(0o077)
        self._user: pwd.struct_passwd | None = service_user(plan.user)
        make_directory(plan.data_dir, self._user)
        with acting_as(
            self._user
        ):  # what lies in its folder is its own: its commands lock too, when no server runs
            make_directory(plan.data_dir / "run", None)
            self._lock = lock_data_directory(plan.data_dir, plan.stop_seconds + 2.0)
        _raise_descriptor_limit()
        self._catch_signals()
        self._bound: BoundSockets = bind_all(plan.listeners, plan.unix_sockets, plan.workers, user=self._user)
        self._give_unix_sockets()
        if plan.prepare is not None:
            self._run_prepare(plan.prepare)
        loop_factory(plan.event_loop)  # imported once, and while we may still read every file
        gc.collect()
        gc.freeze()  # what is imported stays shared with the workers
        for slot in range(plan.workers):
            self._start_worker(slot)
        while self._children or self._stopping_until is None:
            self._turn()
        self._clean_up()
        if self._upgrading:
            self._become_new()
        plan.report("server.stopped", {"status": self._exit_status})
        return self._exit_status

    # ------------------------------------------------------------------ start

    def _give_unix_sockets(self) -> None:
        for spec in self._plan.unix_sockets:
            give_socket(spec, self._user)

    def _catch_signals(self) -> None:
        read_end, write_end = self._signal_ends
        self._old_wakeup = signal.set_wakeup_fd(write_end.fileno(), warn_on_full_buffer=False)
        for number in CAUGHT:
            signal.signal(number, lambda number, _frame: self._signals.add(number))
        self._selector.register(read_end, selectors.EVENT_READ, None)

    def _run_prepare(self, prepare: Callable[[], None]) -> None:
        read_end, write_end = os.pipe()
        pid = self._fork_helper(prepare, write_end)
        os.close(write_end)
        with open(read_end, "rb") as report:
            problem = report.read().decode("utf-8", "replace")
        _, status = os.waitpid(pid, 0)
        if problem or status != 0:
            raise StartRefused(
                problem
                or f"the preparation ended with status {os.waitstatus_to_exitcode(status)}; its error "
                f"stands above"
            )

    def _fork_helper(self, work: Callable[[], None], report: int | None = None) -> int:
        """Run `work` in a child with the service user's rights; a StartRefused goes into the pipe
        `report`."""
        _flush_standard_streams()
        pid = os.fork()
        if pid == 0:
            self._help(work, report)
        return pid

    def _help(self, work: Callable[[], None], report: int | None) -> NoReturn:
        status = EXIT_FAILED
        try:
            self._forget_parent()
            for number in CAUGHT:
                signal.signal(number, signal.SIG_DFL)
            drop_privileges(self._user)
            work()
            status = 0
        except (StartRefused, OSError) as problem:
            os.write(2 if report is None else report, str(problem).encode("utf-8", "replace")[:4000])
        except BaseException:
            sys.excepthook(*sys.exc_info())
        _leave(status)

    def _start_worker(self, slot: int) -> None:
        self._incarnation = max(self._incarnation + 1, time.time_ns() // 1000)
        ours, theirs = socket.socketpair()
        _flush_standard_streams()
        pid = os.fork()
        if pid == 0:
            status = EXIT_FAILED
            try:
                ours.close()
                self._forget_parent()
                status = run_worker(
                    self._plan,
                    Seat(
                        slot=slot,
                        incarnation=self._incarnation,
                        channel=theirs,
                        bound=self._bound,
                        user=self._user,
                    ),
                )
            except BaseException:
                sys.excepthook(*sys.exc_info())
            _leave(status)
        theirs.close()
        ours.setblocking(False)
        now = time.monotonic()
        child = _Child(
            slot=slot, pid=pid, incarnation=self._incarnation, channel=ours, started=now, last_beat=now
        )
        self._children[slot] = child
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _forget_parent(self) -> None:
        """In the child: a sibling's channel held open here would keep that sibling from noticing our parent's
        death."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for end in self._signal_ends:
            end.close()
        for child in self._children.values():
            child.channel.close()

    # ------------------------------------------------------------------ the loop

    def _turn(self) -> None:
        for key, events in self._selector.select(self._patience()):
            if key.data is None:
                self._drain_signal_pipe()
            elif events & selectors.EVENT_WRITE:
                self._send(key.data)
            else:
                self._hear(key.data)
        self._act_on_signals()
        self._bury()
        self._kill_hung()
        self._fill_vacancies()
        self._announce()

    def _patience(self) -> float:
        """Seconds until something must be looked at."""
        now = time.monotonic()
        times = [
            child.last_beat + self._plan.heartbeat_seconds * KILL_MARGIN
            for child in self._children.values()
            if not child.killed
        ]
        times += [vacancy.at for vacancy in self._vacancies.values()]
        if self._stopping_until is not None:
            times.append(self._stopping_until)
        return max(0.0, min(times, default=now + 60.0) - now)

    def _drain_signal_pipe(self) -> None:
        try:
            self._signal_ends[0].recv(4096)
        except BlockingIOError:
            pass

    def _hear(self, child: _Child) -> None:
        try:
            words = child.channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            words = b""
        if not words:
            self._selector.unregister(child.channel)
            return
        child.last_beat = time.monotonic()
        child.listening = child.listening or LISTENING in words

    def _act_on_signals(self) -> None:
        signals, self._signals = self._signals, set()
        if signals & {signal.SIGTERM, signal.SIGINT}:
            self._stop(self._plan.stop_seconds if self._stopping_until is None else 0.0)
        elif signal.SIGUSR2 in signals and self._stopping_until is None:
            self._upgrade()
        elif signal.SIGHUP in signals and self._stopping_until is None:
            self._reload()

    def _reload(self) -> None:
        notify_reloading()
        on_reload = self._plan.on_reload
        payloads: list[bytes] = []
        if self._agrees(lambda: payloads.append(on_reload() if on_reload is not None else b"")):
            for child in self._children.values():
                self._post(child, RELOAD, payloads[0])
            self._plan.report("config.reloaded", {"workers": len(self._children)})
        notify("READY=1")

    def _upgrade(self) -> None:
        on_upgrade = self._plan.on_upgrade
        if on_upgrade is not None and not self._agrees(on_upgrade):
            return
        self._upgrading = True
        self._plan.report("server.upgrade", {"pid": os.getpid()})
        notify_reloading()
        self._stop(self._plan.stop_seconds)

    def _agrees(self, ask: Callable[[], None]) -> bool:
        """False, and a report, when the new configuration cannot be used: whatever the reason, the server
        goes on."""
        try:
            ask()
            return True
        except ReloadRefused as refused:
            problems = str(refused)
        except Exception as error:
            sys.excepthook(*sys.exc_info())
            problems = f"internal error, its traceback stands on standard error: {error!r}"
        self._plan.report(
            "config.refused", {"problems": problems, "what_now": "the old configuration stays in force"}
        )
        return False

    def _post(self, child: _Child, kind: bytes, payload: bytes = b"") -> None:
        child.outbox += FRAME_HEAD.pack(kind, len(payload)) + payload
        self._send(child)

    def _send(self, child: _Child) -> None:
        try:
            del child.outbox[: child.channel.send(child.outbox)]
        except BlockingIOError:
            pass
        except OSError:
            child.outbox.clear()
        if child.channel in self._selector.get_map():
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.outbox else 0)
            self._selector.modify(child.channel, wanted, child)

    # ------------------------------------------------------------------ births and deaths

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._helpers.discard(pid)
            child = next((child for child in self._children.values() if child.pid == pid), None)
            if child is not None:
                self._lay_to_rest(child, os.waitstatus_to_exitcode(status))

    def _lay_to_rest(self, child: _Child, status: int) -> None:
        del self._children[child.slot]
        if child.channel in self._selector.get_map():
            self._selector.unregister(child.channel)
        child.channel.close()
        for columns in self._plan.columns:
            columns.forget_worker(child.slot)
        if self._stopping_until is not None:
            return  # the next start frees what is left
        on_death = self._plan.on_worker_death
        if on_death is not None:
            self._helpers.add(self._fork_helper(lambda: on_death(child.slot, child.incarnation)))
        self._plan.report(
            "worker.died", {"slot": child.slot, "pid": child.pid, "status": status, "hung": int(child.killed)}
        )
        now = time.monotonic()
        lived_short = now - child.started < SHORT_LIFE_SECONDS
        self._deaths[child.slot] = deaths = self._deaths[child.slot] + 1 if lived_short else 0
        if not self._announced and not child.listening and deaths >= STILLBORN_LIMIT:
            self._plan.report(
                "server.failed", {"reason": "a worker ends before it listens; its error stands above"}
            )
            self._exit_status = EXIT_FAILED
            self._stop(self._plan.stop_seconds)
            return
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (deaths - 2)) if deaths > 1 else 0.0
        self._vacancies[child.slot] = _Vacancy(now + wait, deaths)

    def _fill_vacancies(self) -> None:
        now = time.monotonic()
        for slot, vacancy in list(self._vacancies.items()):
            if vacancy.at <= now:
                del self._vacancies[slot]
                self._start_worker(slot)

    def _kill_hung(self) -> None:
        now = time.monotonic()
        limit = self._plan.heartbeat_seconds * KILL_MARGIN
        too_late = self._stopping_until is not None and now >= self._stopping_until
        for child in self._children.values():
            if not child.killed and (too_late or now - child.last_beat > limit):
                child.killed = True
                self._kill(child.pid)

    def _kill(self, pid: int) -> None:
        """As its own user, so that root needs no right to signal everybody (CAP_KILL)."""
        try:
            with acting_as(self._user):
                os.kill(pid, signal.SIGKILL)
        except PermissionError:
            os.kill(pid, signal.SIGKILL)  # it has not become that user yet

    def _announce(self) -> None:
        if self._announced or self._stopping_until is not None or len(self._children) < self._plan.workers:
            return
        if all(child.listening for child in self._children.values()):
            self._announced = True
            notify(f"READY=1\nMAINPID={os.getpid()}")
            if self._plan.on_ready is not None:
                self._plan.on_ready(dict(self._bound.ports))
            self._plan.report("server.ready", {"workers": len(self._children), "pid": os.getpid()})

    # ------------------------------------------------------------------ the end

    def _stop(self, seconds: float) -> None:
        if self._stopping_until is None and not self._upgrading:
            notify("STOPPING=1")
        self._stopping_until = time.monotonic() + seconds
        self._vacancies.clear()
        for child in self._children.values():
            self._post(child, STOP)

    def _clean_up(self) -> None:
        signal.set_wakeup_fd(self._old_wakeup)
        self._selector.close()
        for end in self._signal_ends:
            end.close()
        self._await_helpers()
        if self._upgrading:
            return
        for path in self._bound.unix_paths:
            try:
                with acting_as(folder_owner(path.parent, self._user)):
                    path.unlink(missing_ok=True)
            except OSError:
                pass  # the next start replaces it
        self._bound.close()
        os.close(self._lock)

    def _await_helpers(self) -> None:
        deadline = time.monotonic() + HELPER_SECONDS
        while self._helpers:
            self._bury()
            if time.monotonic() > deadline:
                for pid in self._helpers:
                    self._kill(pid)
            time.sleep(0.01)

    def _become_new(self) -> NoReturn:
        """The same command line again, in this process, with the sockets and the lock: clients wait in the
        backlog meanwhile."""
        os.environ[INHERITED] = self._bound.hand_over()
        hand_over_lock(self._lock)
        _flush_standard_streams()
        os.execv(sys.executable, sys.orig_argv)


def _raise_descriptor_limit() -> None:
    """Each connection is a descriptor; the usual soft limit of 1024 is for programs that use select."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _flush_standard_streams() -> None:
    """Before a fork or the end, so that nothing is printed twice or lost."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _leave(status: int) -> NoReturn:
    """End a child without running what the parent registered for its own end."""
    try:
        _flush_standard_streams()
    finally:
        os._exit(status)
