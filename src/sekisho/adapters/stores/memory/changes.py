"""Hints inside one process: what the memory store and tests use where no sibling must be told."""

import asyncio
from collections.abc import Callable

from sekisho.ports.changes import AccountChanged, Change, QueueChanged, ScriptsChanged


class LocalChanges:
    """`Changes` for one process. Outside a running loop a hint goes nowhere."""

    def __init__(self) -> None:
        self._accounts: dict[int, dict[object, Callable[[], None]]] = {}
        self._queue: dict[object, Callable[[], None]] = {}
        self._directory: dict[object, Callable[[], None]] = {}
        self.published: list[Change] = []

    def publish(self, change: Change) -> None:
        self.published.append(change)
        del self.published[:-1000]
        if isinstance(change, ScriptsChanged):
            return
        if isinstance(change, AccountChanged):
            wakes = self._accounts.get(change.account_id, {})
        else:
            wakes = self._queue if isinstance(change, QueueChanged) else self._directory
        if wakes:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            for wake in list(wakes.values()):
                loop.call_soon(wake)

    def subscribe_account(self, account_id: int, wake: Callable[[], None]) -> Callable[[], None]:
        wakes = self._accounts.setdefault(account_id, {})

        def unsubscribe() -> None:
            undo()
            if not wakes and self._accounts.get(account_id) is wakes:
                del self._accounts[account_id]

        undo = _subscribe(wakes, wake)
        return unsubscribe

    def subscribe_queue(self, wake: Callable[[], None]) -> Callable[[], None]:
        return _subscribe(self._queue, wake)

    def subscribe_directory(self, wake: Callable[[], None]) -> Callable[[], None]:
        return _subscribe(self._directory, wake)


def _subscribe(wakes: dict[object, Callable[[], None]], wake: Callable[[], None]) -> Callable[[], None]:
    token = object()
    wakes[token] = wake

    def unsubscribe() -> None:
        wakes.pop(token, None)

    return unsubscribe
