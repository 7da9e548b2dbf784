"""Who works on what. An owner is one worker incarnation; a dead worker's leases are freed at once by the
supervisor."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Owner:
    """`incarnation` is unique per worker process start; `host` names the machine (cluster)."""

    host: str
    slot: int
    incarnation: int

    def __str__(self) -> str:
        return f"{self.host}/{self.slot}/{self.incarnation}"


class Leases(Protocol):
    async def acquire(self, name: str, owner: Owner, ttl_seconds: float) -> int | None:
        """The fencing epoch (> 0, greater than any earlier one of this name), or None while somebody else
        holds it.

        Acquiring again what one holds already renews it and keeps the epoch, unless `name` starts with
        "pop3:": those are exclusive per connection.
        """
        ...

    async def release(self, name: str, owner: Owner, epoch: int) -> None: ...

    async def free_owner(self, owner: Owner) -> None:
        """Free everything that a dead worker held, claimed queue work included."""
        ...

    async def free_host(self, host: str) -> None: ...
