"""The ports Scripts and Remembered over dictionaries."""

from collections.abc import Collection

from sekisho.adapters.stores import scripting
from sekisho.adapters.stores.memory.state import KeptScript, MemoryState
from sekisho.ports.scripts import ActiveScripts, ScriptInfo, ScriptLimits


class MemoryScripts:
    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def _of(self, account_id: int) -> dict[str, KeptScript]:
        found = self._state.accounts.get(account_id)
        return found.scripts if found is not None else {}

    async def listing(self, account_id: int) -> list[ScriptInfo]:
        return [
            ScriptInfo(name, len(kept.octets), kept.is_active, kept.changed_at_us)
            for name, kept in sorted(self._of(account_id).items())
        ]

    async def script(self, account_id: int, name: str) -> bytes | None:
        kept = self._of(account_id).get(name)
        return kept.octets if kept is not None else None

    async def active(self, account_id: int) -> ActiveScripts | None:
        scripts = self._of(account_id)
        active = next((name for name, kept in scripts.items() if kept.is_active), None)
        return (
            None
            if active is None
            else ActiveScripts(active, {name: kept.octets for name, kept in scripts.items()})
        )

    async def put(self, account_id: int, name: str, octets: bytes, limits: ScriptLimits) -> None:
        self._state.check_available()
        if account_id not in self._state.accounts:
            raise scripting.no_account(account_id)
        scripts = self._of(account_id)
        others = [kept for other, kept in scripts.items() if other != name]
        scripting.check_put(len(others), sum(len(kept.octets) for kept in others), len(octets), limits)
        was_active = name in scripts and scripts[name].is_active
        scripts[name] = KeptScript(octets, self._state.clock.now_us(), was_active)

    async def activate(self, account_id: int, name: str) -> None:
        self._state.check_available()
        scripts = self._of(account_id)
        if name and name not in scripts:
            raise scripting.no_script(name)
        for other, kept in scripts.items():
            kept.is_active = other == name

    async def rename(self, account_id: int, name: str, new_name: str) -> None:
        self._state.check_available()
        scripts = self._of(account_id)
        if name not in scripts:
            raise scripting.no_script(name)
        if name != new_name and new_name in scripts:
            raise scripting.is_taken(new_name)
        scripts[new_name] = scripts.pop(name)

    async def remove(self, account_id: int, name: str) -> None:
        self._state.check_available()
        scripts = self._of(account_id)
        if name not in scripts:
            raise scripting.no_script(name)
        if scripts[name].is_active:
            raise scripting.is_active(name)
        del scripts[name]


class MemoryRemembered:
    def __init__(self) -> None:
        self._until: dict[bytes, int] = {}

    async def known(self, keys: Collection[bytes], now_us: int) -> frozenset[bytes]:
        return frozenset(key for key in keys if self._until.get(key, 0) > now_us)

    async def remember(self, key: bytes, now_us: int, forget_at_us: int) -> bool:
        if self._until.get(key, 0) > now_us:
            return False
        self._until[key] = forget_at_us
        return True

    async def renew(self, key: bytes, forget_at_us: int) -> None:
        self._until[key] = forget_at_us
