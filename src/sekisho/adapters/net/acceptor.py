"""Accept connections ourselves, some in each turn of the loop, and only as many as there are descriptors for.

What a loop's own server does without descriptors differs: one pauses for a second, the other hangs up on
whoever waits. Both take what the store, the relay and the DNS need.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

ACCEPTS_PER_TURN = 16
PAUSE_SECONDS = 0.05
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# What accept(2) passes on from the network: the next call may do better.
_OF_THE_CLIENT = frozenset({
    errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENOPROTOOPT, errno.EHOSTDOWN,
    errno.ENONET, errno.EHOSTUNREACH,
    errno.EOPNOTSUPP, errno.ENETUNREACH, errno.ECONNRESET,
})  # fmt: skip


class Acceptor:
    """Of one listening socket, which it closes. `take` gets each connection; `may_accept`: are there
    descriptors? `short`: the system gave none; `spurned`: one that was accepted only to be told so, and is
    closed behind this call."""

    def __init__(
        self,
        sock: socket.socket,
        take: Callable[[socket.socket], None],
        may_accept: Callable[[], bool],
        short: Callable[[], None],
        spurned: Callable[[socket.socket], None],
    ) -> None:
        self._sock, self._take, self._may_accept, self._short, self._spurned = (
            sock,
            take,
            may_accept,
            short,
            spurned,
        )
        self._loop = asyncio.get_running_loop()
        self._spare: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._sock.setblocking(False)
        self._keep_spare()
        self._loop.add_reader(self._sock, self._on_ready)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._loop.remove_reader(self._sock)
        self._sock.close()
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None

    def _on_ready(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            if not self._may_accept():
                self._pause()
                return
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in SHORT:
                    self._short()
                    self._spurn()
                    self._pause()
                    return
                if error.errno in _OF_THE_CLIENT:
                    continue
                raise
            connection.setblocking(False)
            self._take(connection)

    def _pause(self) -> None:
        """Who knocks meanwhile waits in the system's queue."""
        self._loop.remove_reader(self._sock)
        self._timer = self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._keep_spare()
        self._loop.add_reader(self._sock, self._on_ready)

    # One descriptor is kept, so that at least one of those who wait can be told.

    def _keep_spare(self) -> None:
        if self._spare is None:
            try:
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                pass

    def _spurn(self) -> None:
        if self._spare is None:
            return
        os.close(self._spare)
        self._spare = None
        try:
            connection, _ = self._sock.accept()
        except OSError:
            return
        with connection:
            connection.setblocking(False)
            self._spurned(connection)
