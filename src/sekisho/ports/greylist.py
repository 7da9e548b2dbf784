"""Who was asked to come again, and who did; kept in hints.db or memory."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from sekisho.core.policy.greylist import GreylistRules, GreylistSummary, GreylistTry


class KnownTry(Struct, frozen=True):
    """One sender under its key (`core.policy.greylist`)."""

    key: str
    tried: GreylistTry


class Greylist(Protocol):
    """Raises StoreUnavailable. All workers see a change when it returns."""

    async def tried(self, key: str) -> GreylistTry | None: ...

    async def change(self, key: str, step: Callable[[GreylistTry | None], GreylistTry]) -> GreylistTry:
        """Remember what `step` (pure) makes of what is known, in one transaction; returns that."""
        ...

    async def listing(self, limit: int, *, waiting: bool = False) -> list[KnownTry]:
        """The latest first; with `waiting` only those that did not come back yet."""
        ...

    async def summary(self, since_us: int, now_us: int, rules: GreylistRules) -> GreylistSummary:
        """Of senders whose first try was at `since_us` or later."""
        ...

    async def never_came(self, after_us: int, before_us: int) -> int:
        """How many of those whose first try was at `after_us` or later, and before `before_us`, did not come
        back."""
        ...

    async def trim(self, before_us: int, keep: int) -> int:
        """Forget whose last try was before, and what is more than `keep`: those first that never came back,
        the oldest first. Returns how many went."""
        ...
