"""Freezing one credential: what a thief has is made useless, what the owner's other devices use goes on."""

from sekisho.core.policy.takeover.wording import CUT, CUT_MADE, CUT_OTHER, NO_PASSWORD, THAWED, THAWED_OTHER
from sekisho.ports.clock import Clock
from sekisho.ports.credentials import PASSWORD, Credentials, kind_of
from sekisho.ports.directory import DirectoryError


class CredentialFreezer:
    """Implements `ports.freezing.Freezer`. Sessions of the credential end as soon as they hear of it."""

    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._credentials, self._clock = credentials, clock

    async def freeze(self, account_id: int, credential_id: str, since_us: int) -> tuple[str, ...]:
        if kind_of(credential_id) is None:
            return (NO_PASSWORD,)
        known = [stored.credential for stored in await self._credentials.of_account(account_id)]
        made = tuple(
            c.id
            for c in known
            if c.created_by == credential_id and c.created_at_us >= since_us and not c.disabled_at_us
        )
        if not made and any(c.id == credential_id and c.disabled_at_us for c in known):
            return ()
        try:
            await self._credentials.set_disabled(account_id, (credential_id, *made), self._clock.now_us())
        except DirectoryError:
            return ()  # the credential, or its account, is gone
        return (CUT if credential_id == PASSWORD else CUT_OTHER, *((CUT_MADE,) if made else ()))

    async def standing(self, account_id: int, credential_id: str, since_us: int) -> tuple[str, ...]:
        if kind_of(credential_id) is None:
            return (NO_PASSWORD,)
        known = [stored.credential for stored in await self._credentials.of_account(account_id)]
        frozen = [c for c in known if c.disabled_at_us and c.disabled_at_us >= since_us]
        if not any(c.id == credential_id for c in frozen):
            return ()
        is_made = any(c.created_by == credential_id for c in frozen)
        return (CUT if credential_id == PASSWORD else CUT_OTHER, *((CUT_MADE,) if is_made else ()))

    async def thaw(self, account_id: int, credential_id: str) -> tuple[str, ...]:
        credential = await self._credentials.credential(account_id, credential_id)
        if credential is None or not credential.disabled_at_us:
            return ()
        await self._credentials.set_disabled(account_id, (credential_id,), 0)
        return (THAWED if credential_id == PASSWORD else THAWED_OTHER,)
