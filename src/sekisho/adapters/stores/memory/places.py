"""Places that accounts log in from, in memory."""

from collections.abc import Sequence

from msgspec import structs

from sekisho.ports.places import LoginPlace

DAY_US = 86_400_000_000
_Key = tuple[int, str, str]


class MemoryPlaces:
    """Implements `ports.places.Places`."""

    def __init__(self) -> None:
        self._places: dict[_Key, LoginPlace] = {}
        self._untold: dict[_Key, None] = {}

    async def note(self, place: LoginPlace) -> bool:
        key = (place.account_id, place.network, place.credential_id)
        known, today = self._places.get(key), place.last_us // DAY_US
        if known is not None:
            if known.last_us // DAY_US < today:
                self._places[key] = structs.replace(known, last_us=place.last_us, days=known.days + 1)
            return False
        if any(
            other.account_id == place.account_id and other.first_us // DAY_US < today
            for other in self._places.values()
        ):
            self._untold[key] = None
        self._places[key] = place
        return True

    async def of_account(self, account_id: int) -> list[LoginPlace]:
        found = [place for place in self._places.values() if place.account_id == account_id]
        return sorted(found, key=lambda place: (-place.last_us, place.network, place.credential_id))

    async def days_at(self, account_id: int, network: str, before_us: int) -> int:
        found = [
            place
            for place in self._places.values()
            if (place.account_id, place.network) == (account_id, network)
        ]
        return max(
            (place.days - (place.last_us // DAY_US >= before_us // DAY_US) for place in found), default=0
        )

    async def untold(self, limit: int = 100) -> list[LoginPlace]:
        return sorted((self._places[key] for key in self._untold), key=lambda place: place.first_us)[:limit]

    async def told(self, places: Sequence[LoginPlace]) -> None:
        for place in places:
            self._untold.pop((place.account_id, place.network, place.credential_id), None)

    async def sweep(self, before_us: int) -> None:
        self._places = {key: place for key, place in self._places.items() if place.last_us >= before_us}
        self._untold = {key: None for key in self._untold if key in self._places}
