"""How providers are treated, kept in hints.db or memory: shared by the workers, and there after a restart."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from msgspec import Struct

from sekisho.core.policy.shaping.shape import Shape

T = TypeVar("T")


class KnownShape(Struct, frozen=True, kw_only=True):
    """`source`: the address that we send from, "" for the system's choice; `group`: a provider or a host."""

    source: str
    group: str
    shape: Shape


class Shapes(Protocol):
    """Raises StoreUnavailable. All workers see a change when it returns."""

    async def listing(self) -> list[KnownShape]: ...

    async def change(self, source: str, group: str, step: Callable[[Shape], tuple[Shape, T]]) -> T:
        """Remember what `step` (pure) makes of what is known, in one transaction; returns its second word."""
        ...

    async def is_established(self) -> bool:
        """Was this server sending before it kept budgets? Told when the store was migrated."""
        ...
