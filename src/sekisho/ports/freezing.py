"""Making one credential useless, without touching the mailbox behind it."""

from typing import Protocol


class Freezer(Protocol):
    async def freeze(self, account_id: int, credential_id: str, since_us: int) -> tuple[str, ...]:
        """No login with it from now on, its sessions are cut, and what was made with it since then (app
        passwords, redirects, vacation) is disabled. What was done, in English sentences; twice does no harm.
        Raises StoreUnavailable."""
        ...

    async def standing(self, account_id: int, credential_id: str, since_us: int) -> tuple[str, ...]:
        """What `freeze` did since then and what still holds, in the same sentences: for who was interrupted
        before writing it down."""
        ...

    async def thaw(self, account_id: int, credential_id: str) -> tuple[str, ...]:
        """The credential works again; what was made with it stays disabled. What was done, in sentences."""
        ...
