"""When a credential was used last, and from where: written down at most once an hour for each network."""

from collections import OrderedDict

from sekisho.core.terms.identity import Identity
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.credentials import Credentials
from sekisho.ports.directory import DirectoryError

INTERVAL_SECONDS = 3600.0
_CAPACITY = 10_000


class CredentialUses:
    def __init__(self, credentials: Credentials, clock: Clock) -> None:
        self._credentials, self._clock = credentials, clock
        self._noted: OrderedDict[tuple[int, str], tuple[float, str]] = OrderedDict()

    async def note(self, identity: Identity, network: str) -> None:
        """Never raises: a login does not fail for it."""
        key, now = (identity.account_id, identity.credential_id), self._clock.monotonic()
        at, place = self._noted.get(key, (-INTERVAL_SECONDS, ""))
        if place == network and now - at < INTERVAL_SECONDS:
            return
        self._noted[key] = now, network
        self._noted.move_to_end(key)
        if len(self._noted) > _CAPACITY:
            self._noted.popitem(last=False)
        try:
            await self._credentials.note_use(
                identity.account_id, identity.credential_id, self._clock.now_us(), network
            )
        except (StoreUnavailable, DirectoryError):
            del self._noted[key]  # the next login tries again
