"""Rows that are asked for with nearly every message and hardly ever change, remembered until somebody changes
one.

Who may change them raises a version that all workers see (`process.versions`) before their caller hears that
it is done, so an answer is never older than the last change that anybody was told of.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from sekisho.core.terms.address import Address
from sekisho.ports.clock import Clock
from sekisho.ports.credentials import Credential, Credentials, SecondFactor
from sekisho.ports.directory import Account, Alias, Domain
from sekisho.ports.keys import DkimKey, Keys
from sekisho.ports.names import Senders
from sekisho.ports.scripts import ActiveScripts, Scripts

K = TypeVar("K")
V = TypeVar("V")
MOST_ROWS = 10_000  # of a kind; strangers choose what they ask for
LOOK_AGAIN_SECONDS = 30.0  # whatever the version says, as for every hint


class _Rows(Generic[K, V]):
    """Of one kind. What raises is not kept."""

    def __init__(self, version: Callable[[], bytes], clock: Clock) -> None:
        self._version, self._monotonic = version, clock.monotonic
        self._rows: dict[K, V] = {}
        self._seen = b""
        self._until = float("-inf")

    async def get(
        self, key: K, ask: Callable[[], Awaitable[V]], may_stay: Callable[[V], bool] | None = None
    ) -> V:
        seen, now = self._version(), self._monotonic()
        if seen != self._seen or now >= self._until or len(self._rows) >= MOST_ROWS:
            self._rows.clear()
            self._seen, self._until = seen, now + LOOK_AGAIN_SECONDS
        try:
            return self._rows[key]
        except KeyError:
            pass
        row = await ask()
        # A change that came while we asked has raised the version since: then this is a row of before.
        if self._seen == seen and (may_stay is None or may_stay(row)):
            self._rows[key] = row
        return row


class RememberedNames:
    """Implements `ports.names.Senders`. One per worker. `version`: another one after each change of the
    directory."""

    def __init__(self, names: Senders, version: Callable[[], bytes], clock: Clock) -> None:
        self._names = names
        self._domains: _Rows[str, Domain | None] = _Rows(version, clock)
        self._accounts: _Rows[tuple[str, str], Account | None] = _Rows(version, clock)
        self._aliases: _Rows[tuple[str, str], Alias | None] = _Rows(version, clock)
        self._senders: _Rows[int, Account | None] = _Rows(version, clock)
        self._rights: _Rows[int, tuple[str, ...]] = _Rows(version, clock)

    async def domain(self, name: str) -> Domain | None:
        return await self._domains.get(name, lambda: self._names.domain(name))

    async def account_by_address(self, address: Address) -> Account | None:
        key = (address.local, address.domain)
        return await self._accounts.get(key, lambda: self._names.account_by_address(address), _has_no_quota)

    async def alias(self, address: Address) -> Alias | None:
        return await self._aliases.get((address.local, address.domain), lambda: self._names.alias(address))

    async def account(self, account_id: int) -> Account | None:
        return await self._senders.get(account_id, lambda: self._names.account(account_id))

    async def sender_rights(self, account_id: int) -> tuple[str, ...]:
        return await self._rights.get(account_id, lambda: self._names.sender_rights(account_id))


class RememberedCredentials:
    """Implements `services.authentication.standing.KnownCredentials`. When a credential was used, and which
    codes of a second factor, may be old."""

    def __init__(self, credentials: Credentials, version: Callable[[], bytes], clock: Clock) -> None:
        self._credentials = credentials
        self._rows: _Rows[tuple[int, str], Credential | None] = _Rows(version, clock)
        self._factors: _Rows[int, SecondFactor | None] = _Rows(version, clock)

    async def credential(self, account_id: int, credential_id: str) -> Credential | None:
        ask = self._credentials.credential
        return await self._rows.get((account_id, credential_id), lambda: ask(account_id, credential_id))

    async def second_factor(self, account_id: int) -> SecondFactor | None:
        return await self._factors.get(account_id, lambda: self._credentials.second_factor(account_id))


class RememberedKeys:
    """Implements `services.signing.SigningKeys`."""

    def __init__(self, keys: Keys, version: Callable[[], bytes], clock: Clock) -> None:
        self._keys = keys
        self._rows: _Rows[str, list[DkimKey]] = _Rows(version, clock)

    async def dkim_keys(self, domain: str) -> list[DkimKey]:
        return await self._rows.get(domain, lambda: self._keys.dkim_keys(domain))


class RememberedScripts:
    """Implements `ports.scripts.ScriptsToRun`. One per worker; who has no active script, as most, is
    remembered. Scripts themselves may be large, and are read."""

    def __init__(self, scripts: Scripts, version: Callable[[], bytes], clock: Clock) -> None:
        self._scripts = scripts
        self._active: _Rows[int, ActiveScripts | None] = _Rows(version, clock)

    async def active(self, account_id: int) -> ActiveScripts | None:
        return await self._active.get(account_id, lambda: self._scripts.active(account_id), _is_none)


def _is_none(active: ActiveScripts | None) -> bool:
    return active is None


def _has_no_quota(account: Account | None) -> bool:
    """What an account uses changes with every message; it is looked at only where there is a quota."""
    return account is None or not account.quota_octets
