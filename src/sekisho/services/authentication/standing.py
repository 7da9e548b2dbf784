"""Whether what was once proved still counts: accounts end, passwords change, one credential is disabled while
others go on."""

from typing import Protocol

from sekisho.core.terms.identity import Identity
from sekisho.ports.clock import Clock
from sekisho.ports.credentials import PASSWORD, Credential, SecondFactor, kind_of
from sekisho.ports.directory import Account


class KnownAccounts(Protocol):
    async def account(self, account_id: int) -> Account | None: ...


class KnownCredentials(Protocol):
    async def credential(self, account_id: int, credential_id: str) -> Credential | None: ...

    async def second_factor(self, account_id: int) -> SecondFactor | None: ...


class LoginStanding:
    """Asked with each message, so its rows are remembered (`adapters.remembering`)."""

    def __init__(self, accounts: KnownAccounts, credentials: KnownCredentials, clock: Clock) -> None:
        self._accounts, self._credentials, self._clock = accounts, credentials, clock

    async def still_valid(self, identity: Identity) -> bool:
        """See `ports.authentication.Authenticator`. A system user of this machine has no credential, only an
        account."""
        now_us = self._clock.now_us()
        if 0 < identity.valid_until_us <= now_us:
            return False
        account = await self._accounts.account(identity.account_id)
        if account is None or not account.may_log_in(now_us):
            return False
        kind = kind_of(identity.credential_id)
        if kind is None:
            return True
        if identity.credential_id == PASSWORD and account.credential_version != identity.version:
            return False
        if identity.credential_id == PASSWORD:
            factor = await self._credentials.second_factor(account.id)
            if factor is not None and factor.counts:
                return False  # since it counts, the password alone opens nothing
        credential = await self._credentials.credential(account.id, identity.credential_id)
        if credential is None:
            return kind not in ("app", "service")
        return credential.is_usable(now_us)
