"""Our own experience with senders, kept in hints.db or memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from sekisho.core.policy.reputation import History


class Known(Struct, frozen=True):
    """One history under its key (`core.policy.reputation`)."""

    key: str
    history: History


class Expected(Struct, frozen=True):
    """Somebody waits for mail to this account until then; `sender`: from whom, as
    `core.policy.reputation.is_awaited` reads it."""

    account_id: int
    until_us: int
    sender: str = ""


class Reputation(Protocol):
    """What is learned counts at once in this worker, within seconds in the others. All but `learn` raise
    StoreUnavailable."""

    async def histories(self, keys: Sequence[str]) -> Mapping[str, History]:
        """Of those keys that have one. Answered from memory where it is at most some seconds old."""
        ...

    def learn(self, news: Iterable[Known]) -> None:
        """Join these with what is known. Never blocks, never raises; written by the next `flush`, lost with a
        crash before it."""
        ...

    async def flush(self) -> None:
        """Write what was learned."""
        ...

    async def listing(self, prefix: str, limit: int) -> list[Known]:
        """Those whose key begins so (all with ""), as they are stored, the latest first."""
        ...

    async def forget(self, key: str) -> bool:
        """Was there anything? The other workers may remember it for some seconds."""
        ...

    async def trim(self, keep: int) -> int:
        """Keep the `keep` histories that weigh most now, and none that is as good as forgotten; returns how
        many went."""
        ...

    async def expect(self, expected: Expected) -> None:
        """Replaces an earlier wait of that account for the same sender; one that is over already ends it."""
        ...

    async def expected(self) -> Sequence[Expected]:
        """Those that wait now; at most a second old."""
        ...
