"""The part of the directory that is asked about nearly every message: which names are ours, who is behind
them, and who may write in which name."""

from typing import Protocol

from sekisho.core.terms.address import Address
from sekisho.ports.directory import Account, Alias, Domain


class Names(Protocol):
    """As `ports.directory.Directory` answers. `used_octets` of an account without a quota may be old."""

    async def domain(self, name: str) -> Domain | None: ...

    async def account_by_address(self, address: Address) -> Account | None: ...

    async def alias(self, address: Address) -> Alias | None: ...


class Senders(Names, Protocol):
    """As `ports.directory.Directory` answers; `used_octets` may be old."""

    async def account(self, account_id: int) -> Account | None: ...

    async def sender_rights(self, account_id: int) -> tuple[str, ...]: ...
