"""From where each account logs in, with what: so that the first login from a new place can be told to its
owner."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class LoginPlace(Struct, frozen=True, kw_only=True):
    """A credential seen on a network. `days`: on how many (UTC) it logged in there. `service` … `tls` are
    those of the first login.

    `network` is as the guard has them: a /24 or /48.
    """

    account_id: int
    network: str
    credential_id: str
    first_us: int
    last_us: int
    days: int
    client: str
    service: str
    mechanism: str
    tls: str


class Places(Protocol):
    """Raises StoreUnavailable."""

    async def note(self, place: LoginPlace) -> bool:
        """A login at `last_us`; True when that credential was never seen there. Costs a write only when
        something changes: once a day.

        What is new to an account that was seen before today (UTC) anywhere waits to be told.
        """
        ...

    async def of_account(self, account_id: int) -> list[LoginPlace]:
        """The one that was used last first."""
        ...

    async def days_at(self, account_id: int, network: str, before_us: int) -> int:
        """On how many days before that of `before_us` this account was there, by whatever credential (< 200
        µs)."""
        ...

    async def untold(self, limit: int = 100) -> list[LoginPlace]:
        """What waits to be told, the oldest first."""
        ...

    async def told(self, places: Sequence[LoginPlace]) -> None: ...

    async def sweep(self, before_us: int) -> None:
        """Forget places that were not used since."""
        ...
