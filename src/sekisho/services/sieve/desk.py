"""Where owners and operators bring scripts: looked at as a whole before they are kept, since a script that
runs must be one."""

from sekisho.config.sieve import SieveSettings
from sekisho.core.sieve.commands.include import SCRIPT_NAME
from sekisho.core.sieve.compiler import compile_script
from sekisho.core.sieve.language import LANGUAGE
from sekisho.ports.scripts import ScriptInfo, Scripts, ScriptsRefused


class ScriptDesk:
    """One per configuration."""

    def __init__(self, scripts: Scripts, settings: SieveSettings) -> None:
        self._scripts, self._settings = scripts, settings

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What `require` may name."""
        return tuple(sorted(LANGUAGE.capabilities))

    @property
    def script_octets(self) -> int:
        return self._settings.script_octets

    @property
    def redirects(self) -> int:
        return self._settings.redirects

    async def listing(self, account_id: int) -> list[ScriptInfo]:
        return await self._scripts.listing(account_id)

    async def script(self, account_id: int, name: str) -> bytes | None:
        return await self._scripts.script(account_id, name)

    async def check(self, account_id: int, name: str, octets: bytes) -> None:
        """Raises SieveError with all that is wrong."""
        known = {
            each.name: await self._scripts.script(account_id, each.name)
            for each in await self._scripts.listing(account_id)
        }
        known[name] = octets

        def find(location: str, wanted: str) -> bytes | None:
            return known.get(wanted) if location == "personal" else None

        compile_script(octets, LANGUAGE, self._settings.limits(), find)

    async def have_space(self, account_id: int, name: str, size: int) -> None:
        """RFC 5804 §2.5. Raises ScriptsRefused if a script of that name and size would be."""
        check_name(name)
        settings, others = (
            self._settings,
            [each for each in await self._scripts.listing(account_id) if each.name != name],
        )
        if size > settings.script_octets:
            raise ScriptsRefused(
                "A script may have at most {limit} octets.", "QUOTA/MAXSIZE", limit=settings.script_octets
            )
        if len(others) >= settings.scripts:
            raise ScriptsRefused(
                "An account may have at most {limit} scripts. Remove one first.",
                "QUOTA/MAXSCRIPTS",
                limit=settings.scripts,
            )
        if sum(each.size_octets for each in others) + size > settings.all_octets:
            raise ScriptsRefused(
                "The scripts of an account may have at most {limit} octets together. Remove one first.",
                "QUOTA",
                limit=settings.all_octets,
            )

    async def put(self, account_id: int, name: str, octets: bytes) -> None:
        """Raises SieveError for a script that is none, ScriptsRefused, StoreUnavailable."""
        check_name(name)
        await self.check(account_id, name, octets)
        await self._scripts.put(account_id, name, octets, self._settings.store_limits())

    async def activate(self, account_id: int, name: str) -> None:
        """ "": none. Raises ScriptsRefused."""
        await self._scripts.activate(account_id, name)

    async def rename(self, account_id: int, name: str, new_name: str) -> None:
        """Raises ScriptsRefused."""
        check_name(new_name)
        await self._scripts.rename(account_id, name, new_name)

    async def remove(self, account_id: int, name: str) -> None:
        """Raises ScriptsRefused."""
        await self._scripts.remove(account_id, name)


def check_name(name: str) -> None:
    """RFC 5804 §1.6. Raises ScriptsRefused."""
    if not SCRIPT_NAME.match(name):
        raise ScriptsRefused(
            "A script's name has 1 to 128 characters, without control characters and slashes."
        )
