"""The port Keys over a dictionary."""

from sekisho.adapters.stores.memory.state import MemoryState
from sekisho.ports.keys import DkimKey


class MemoryKeys:
    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def dkim_keys(self, domain: str | None = None) -> list[DkimKey]:
        return [
            key for name, key in sorted(self._state.dkim_keys.items()) if domain is None or name[0] == domain
        ]

    async def put_dkim_keys(self, keys: tuple[DkimKey, ...]) -> None:
        self._state.check_available()
        self._state.dkim_keys.update({(key.domain, key.selector): key for key in keys})

    async def remove_dkim_keys(self, keys: tuple[DkimKey, ...]) -> None:
        self._state.check_available()
        for key in keys:
            self._state.dkim_keys.pop((key.domain, key.selector), None)
