"""Open sessions per next hop: so many at once, and the idle ones kept a few seconds for the next message."""

import asyncio
from collections import deque
from collections.abc import Callable

from sekisho.services.relay.session import RelaySession, Target

IDLE_SECONDS = 5.0
CLOSE_SECONDS = 0.7  # at shutdown, for all goodbyes together


Fits = Callable[[RelaySession], bool]


class _Hop:
    """One next hop while anybody cares about it."""

    __slots__ = ("idle", "slots", "users")

    def __init__(self, slots: int) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.users = 0
        self.idle: deque[tuple[RelaySession, asyncio.TimerHandle]] = deque()


class Pool:
    """One per worker: sessions stay open while settings change."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._hops: dict[str, _Hop] = {}
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._closed = False

    async def enter(self, next_hop: str, slots: int) -> None:
        """Wait for one of the next hop's slots: as many as the first of those who use it now wanted."""
        hop = self._hops.get(next_hop)
        if hop is None:
            hop = self._hops[next_hop] = _Hop(slots)
        hop.users += 1
        try:
            await hop.slots.acquire()
        except BaseException:
            self._forget(next_hop, hop)
            raise

    def leave(self, next_hop: str) -> None:
        hop = self._hops[next_hop]
        hop.slots.release()
        self._forget(next_hop, hop)

    def _forget(self, next_hop: str, hop: _Hop) -> None:
        hop.users -= 1
        self._drop_if_unused(next_hop, hop)

    def _drop_if_unused(self, next_hop: str, hop: _Hop) -> None:
        if not hop.users and not hop.idle:
            self._hops.pop(next_hop, None)

    def take(self, next_hop: str, fits: Fits) -> RelaySession | None:
        """An idle session to this next hop that `fits`; those that do not stay."""
        hop = self._hops.get(next_hop)
        for entry in list(reversed(hop.idle)) if hop is not None else ():
            session, timer = entry
            if session.is_usable and not fits(session):
                continue
            assert hop is not None
            timer.cancel()
            hop.idle.remove(entry)
            if session.is_usable:
                return session
            self.dismiss(session)
        return None

    def take_target(self, target: Target, fits: Fits) -> RelaySession | None:
        """An idle session to the same host and address, opened for another domain that it serves."""
        for next_hop, hop in list(self._hops.items()):
            for entry in hop.idle:
                session, timer = entry
                if session.target == target and session.is_usable and fits(session):
                    timer.cancel()
                    hop.idle.remove(entry)
                    self._drop_if_unused(next_hop, hop)
                    return session
        return None

    def give_back(self, next_hop: str, session: RelaySession) -> None:
        """Keep the session for a while, if it can carry more."""
        hop = self._hops.get(next_hop)
        if self._closed or hop is None or session.is_spent or not session.is_usable:
            self.dismiss(session)
            return
        timer = asyncio.get_running_loop().call_later(self._idle_seconds, self._expire, next_hop, session)
        hop.idle.append((session, timer))

    def _expire(self, next_hop: str, session: RelaySession) -> None:
        hop = self._hops.get(next_hop)
        if hop is not None:
            hop.idle = deque(entry for entry in hop.idle if entry[0] is not session)
            self._drop_if_unused(next_hop, hop)
        self.dismiss(session)

    def dismiss(self, session: RelaySession) -> None:
        """Say goodbye in the background."""
        task = asyncio.get_running_loop().create_task(session.quit())
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)

    async def close(self) -> None:
        """QUIT on every idle session; who does not answer soon is left standing."""
        self._closed = True
        for next_hop, hop in list(self._hops.items()):
            while hop.idle:
                session, timer = hop.idle.pop()
                timer.cancel()
                self.dismiss(session)
            self._drop_if_unused(next_hop, hop)
        if self._goodbyes:
            _, late = await asyncio.wait(set(self._goodbyes), timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
