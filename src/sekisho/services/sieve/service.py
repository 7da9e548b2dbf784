"""What reception asks about the scripts of its recipients."""

from typing import Protocol

from sekisho.services.sieve.aftermath import Aftermath
from sekisho.services.sieve.sorting import Offered, Sorted, Sorting


class Sieving(Protocol):
    async def sort(self, offered: Offered) -> Sorted:
        """Before the message is accepted. Raises StoreUnavailable."""
        ...

    async def follow(self, offered: Offered, sorted_: Sorted) -> None:
        """Once it is accepted, and before the reply. Never raises."""
        ...


def as_offered(offered: Offered) -> Sorted:
    """Without scripts."""
    return Sorted(deliveries=offered.deliveries, destinations=tuple(offered.destinations))


class NoSieve:
    """Nobody has scripts."""

    async def sort(self, offered: Offered) -> Sorted:
        return as_offered(offered)

    async def follow(self, offered: Offered, sorted_: Sorted) -> None:
        return None


NO_SIEVE = NoSieve()


class SieveService:
    """Implements `Sieving`."""

    def __init__(self, sorting: Sorting, aftermath: Aftermath) -> None:
        self._sorting, self._aftermath = sorting, aftermath

    async def sort(self, offered: Offered) -> Sorted:
        return await self._sorting.sort(offered)

    async def follow(self, offered: Offered, sorted_: Sorted) -> None:
        if not any(one.remotes for one in sorted_.destinations) and not sorted_.deliveries:
            offered.content.discard()  # the owners wanted it nowhere
        if sorted_.ran:
            await self._aftermath.follow(offered, sorted_)
