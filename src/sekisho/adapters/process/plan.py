"""What the supervisor is asked to run, and what a worker is given."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Literal, Protocol

from sekisho.ports.stream import IpAddress


class StartRefused(Exception):
    """The server cannot start; the message is for the operator, one problem a line."""


class ReloadRefused(Exception):
    """The new configuration is not used; the message says why, one problem a line."""


@dataclass(frozen=True, slots=True)
class ListenSpec:
    """A TCP listener: one SO_REUSEPORT socket per worker slot. `shared`: one socket that all workers accept
    from."""

    name: str
    address: IpAddress
    port: int
    shared: bool = False


@dataclass(frozen=True, slots=True)
class UnixSpec:
    """A Unix stream socket that all workers accept from. It belongs to their user."""

    name: str
    path: Path
    mode: int = 0o600
    group: str = ""  # by name or number; "": that of the workers' user


class WorkerColumns(Protocol):
    """Shared memory with a part per worker slot."""

    def forget_worker(self, slot: int) -> None: ...


class ShutdownSignal:
    """`ports.stream.Shutdown`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    @property
    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def set(self) -> None:
        self._event.set()


@dataclass(slots=True, kw_only=True)
class WorkerContext:
    """What one worker process has from the supervisor."""

    slot: int
    incarnation: int  # unique per process start, growing
    data_dir: Path
    sockets: Mapping[str, Sequence[socket]]  # by listener name, Unix sockets too
    shutdown: ShutdownSignal
    changes_socket: Path  # for DatagramChanges
    sibling_sockets: tuple[Path, ...]
    reloads: "asyncio.Queue[bytes]"  # what `on_reload` returned, at each SIGHUP
    ready: Callable[[], None]  # call it when everything listens


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """Callbacks run in the supervisor unless said otherwise. It may be root: nothing there opens a database
    or reads mail."""

    data_dir: Path
    workers: int
    worker_main: Callable[
        [WorkerContext], Awaitable[None]
    ]  # in the worker's loop; returns soon after `shutdown`
    listeners: Sequence[ListenSpec] = ()
    unix_sockets: Sequence[UnixSpec] = ()
    user: str | None = None  # workers run as this user when the supervisor is root
    event_loop: Literal["uvloop", "asyncio"] = "uvloop"
    heartbeat_seconds: float = 20.0  # a worker whose loop stood still for so long is killed and replaced
    stop_seconds: float = 5.0
    # In a child process with the service user's rights, before the first worker: migrations, freeing this
    # host's leases. StartRefused from it stops the start.
    prepare: Callable[[], None] | None = None
    # The same way, beside the running server, with (slot, incarnation) of the dead: free its leases.
    on_worker_death: Callable[[int, int], None] | None = None
    on_reload: Callable[[], bytes] | None = (
        None  # at SIGHUP; what it returns goes to `reloads` of every worker; raises ReloadRefused
    )
    on_upgrade: Callable[[], None] | None = (
        None  # at SIGUSR2: raises ReloadRefused if the new self could not start
    )
    on_ready: Callable[[Mapping[str, int]], None] | None = (
        None  # once, with the real port of each TCP listener
    )
    columns: Sequence[WorkerColumns] = ()
    report: Callable[[str, Mapping[str, str | int]], None] = field(
        default=lambda kind, fields: None
    )  # to the journal
