"""Hints after a commit: "account 7 is at modseq 91", "the queue has work". The truth is the store."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AccountChanged:
    account_id: int


@dataclass(frozen=True, slots=True)
class QueueChanged:
    pass


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """Accounts, domains, aliases or passwords changed: caches are stale."""


@dataclass(frozen=True, slots=True)
class ScriptsChanged:
    """Somebody's scripts changed. Nobody waits for it: who remembers scripts looks at their version."""


Change = AccountChanged | QueueChanged | DirectoryChanged | ScriptsChanged


class Changes(Protocol):
    def publish(self, change: Change) -> None:
        """Tell this worker's subscribers (soon, not inside the call) and the siblings. Never blocks or
        raises."""
        ...

    def subscribe_account(self, account_id: int, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called on the loop at each hint; returns the function that unsubscribes."""
        ...

    def subscribe_queue(self, wake: Callable[[], None]) -> Callable[[], None]: ...

    def subscribe_directory(self, wake: Callable[[], None]) -> Callable[[], None]: ...
