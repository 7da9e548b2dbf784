"""Freezing where an account has one password and no more: its logins are switched off."""

from sekisho.core.policy.takeover.wording import CUT, NO_PASSWORD, THAWED
from sekisho.ports.directory import Directory

SYSTEM_USER = "uid:"


class AccountFreezer:
    """Implements `ports.freezing.Freezer`. Open sessions of the account end by themselves at their next command."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def freeze(self, account_id: int, credential_id: str, since_us: int) -> tuple[str, ...]:
        if credential_id.startswith(SYSTEM_USER):
            return (NO_PASSWORD,)
        account = await self._directory.account(account_id)
        if account is None or account.state not in ("active", "sending_held"):
            return ()
        await self._directory.set_state(account_id, "login_disabled")
        return (CUT,)

    async def thaw(self, account_id: int, credential_id: str) -> tuple[str, ...]:
        account = await self._directory.account(account_id)
        if credential_id.startswith(SYSTEM_USER) or account is None or account.state != "login_disabled":
            return ()
        await self._directory.set_state(account_id, "active")
        return (THAWED,)
