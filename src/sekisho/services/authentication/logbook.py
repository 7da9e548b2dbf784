"""Which places each account logs in from: noted at each good login, cheaply when it is nothing new."""

from sekisho.core.policy.takeover.sending import network_of
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.records import by_position
from sekisho.ports.authentication import Channel
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.places import LoginPlace, Places

REMEMBERED = 20_000  # places noted today, by this worker
DAY_US = 86_400_000_000


class LoginBook:
    def __init__(self, places: Places, clock: Clock) -> None:
        self._places, self._clock = places, clock
        self._today = 0
        self._noted: set[tuple[int, str, str]] = set()

    async def note(self, channel: Channel, mechanism: str, identity: Identity) -> bool:
        """Is it the first login with that credential from there? A store that fails only loses the note:
        people get in all the same."""
        now_us = self._clock.now_us()
        key = (identity.account_id, network_of(channel.client), identity.credential_id)
        if now_us // DAY_US != self._today or len(self._noted) >= REMEMBERED:
            self._today, self._noted = now_us // DAY_US, set()
        if key in self._noted:
            return False
        tls = channel.tls.version if channel.tls else ""
        place = by_position(
            LoginPlace, *key, now_us, now_us, 1, str(channel.client), channel.service, mechanism, tls
        )
        try:
            is_new = await self._places.note(place)
        except StoreUnavailable:
            return False
        self._noted.add(key)
        return is_new
