"""Hints between the workers of one data directory, by Unix datagram. One that gets lost costs nothing but
time."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from sekisho.ports.changes import AccountChanged, Change, DirectoryChanged, QueueChanged, ScriptsChanged

_ACCOUNT, _QUEUE, _DIRECTORY = b"A", b"Q", b"D"
DATAGRAM_LIMIT = 9  # the kind and a 64-bit account id
RECEIVE_AT_ONCE = 256  # then the loop gets a turn

Wake = Callable[[], None]


class DatagramChanges:
    """`ports.changes.Changes`. `own` is this worker's socket path, `siblings` those of the others; a missing
    sibling is fine. `directory_changed` and `scripts_changed` are called inside `publish`, before anybody
    hears that the change is done."""

    def __init__(
        self,
        own: Path,
        siblings: tuple[Path, ...],
        *,
        directory_changed: Wake = lambda: None,
        scripts_changed: Wake = lambda: None,
    ) -> None:
        self._own = own
        self._directory_changed, self._scripts_changed = directory_changed, scripts_changed
        self._siblings = tuple(str(path) for path in siblings)
        self._accounts: dict[int, list[Wake]] = {}
        self._queue: list[Wake] = []
        self._directory: list[Wake] = []
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Inside the loop. A socket that a dead predecessor left is replaced."""
        self._loop = asyncio.get_running_loop()
        self._own.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self._own))
        os.chmod(self._own, 0o600)
        self._loop.add_reader(self._socket.fileno(), self._receive)

    def close(self) -> None:
        if self._socket is None or self._loop is None:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self._socket = None
        self._own.unlink(missing_ok=True)

    def publish(self, change: Change) -> None:
        if isinstance(change, ScriptsChanged):
            self._scripts_changed()
            return
        if isinstance(change, DirectoryChanged):
            self._directory_changed()
        datagram = _encode(change)
        if self._loop is not None:
            self._loop.call_soon(self._deliver, datagram)
        if self._socket is None:
            return
        for path in self._siblings:
            try:
                self._socket.sendto(datagram, path)
            except OSError:
                pass  # not there, or its queue is full: it looks into the store every 30 s

    def subscribe_account(self, account_id: int, wake: Wake) -> Callable[[], None]:
        wakes = self._accounts.setdefault(account_id, [])
        wakes.append(wake)

        def unsubscribe() -> None:
            _remove(wakes, wake)
            if not wakes and self._accounts.get(account_id) is wakes:
                del self._accounts[account_id]

        return unsubscribe

    def subscribe_queue(self, wake: Wake) -> Callable[[], None]:
        self._queue.append(wake)
        return lambda: _remove(self._queue, wake)

    def subscribe_directory(self, wake: Wake) -> Callable[[], None]:
        self._directory.append(wake)
        return lambda: _remove(self._directory, wake)

    def _receive(self) -> None:
        if self._socket is None:
            return
        for _ in range(RECEIVE_AT_ONCE):
            try:
                datagram = self._socket.recv(DATAGRAM_LIMIT + 1)
            except (BlockingIOError, InterruptedError):
                return
            self._deliver(datagram)

    def _deliver(self, datagram: bytes) -> None:
        kind = datagram[:1]
        if kind == _ACCOUNT and len(datagram) == DATAGRAM_LIMIT:
            wakes = self._accounts.get(struct.unpack_from("!q", datagram, 1)[0], ())
        elif datagram == _QUEUE:
            wakes = self._queue
        elif datagram == _DIRECTORY:
            wakes = self._directory
        else:
            return  # from a newer version during an upgrade
        for wake in tuple(wakes):
            wake()


def _encode(change: AccountChanged | QueueChanged | DirectoryChanged) -> bytes:
    match change:
        case AccountChanged(account_id):
            return _ACCOUNT + struct.pack("!q", account_id)
        case QueueChanged():
            return _QUEUE
        case DirectoryChanged():
            return _DIRECTORY


def _remove(wakes: list[Wake], wake: Wake) -> None:
    if wake in wakes:
        wakes.remove(wake)
