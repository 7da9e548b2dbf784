"""Whether what was once proved still counts: accounts end, passwords change, one credential is disabled while
others go on."""

from sekisho.core.terms.identity import Identity
from sekisho.ports.clock import Clock
from sekisho.ports.credentials import PASSWORD, Credentials, kind_of
from sekisho.ports.directory import Directory


class LoginStanding:
    def __init__(self, directory: Directory, credentials: Credentials, clock: Clock) -> None:
        self._directory, self._credentials, self._clock = directory, credentials, clock

    async def still_valid(self, identity: Identity) -> bool:
        """See `ports.authentication.Authenticator`. A system user of this machine has no credential, only an
        account."""
        now_us = self._clock.now_us()
        if 0 < identity.valid_until_us <= now_us:
            return False
        account = await self._directory.account(identity.account_id)
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
