"""Does From show the name or the address of somebody here, on a foreign address?"""

from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.door.stranger import trusting
from sekisho.core.policy.impersonation import (
    ImpersonationFinding,
    addresses_in,
    folded,
    is_telling,
    shown_name,
)
from sekisho.core.policy.reputation import ReputationFinding
from sekisho.core.terms.address import Address, AddressError
from sekisho.ports.clock import Clock
from sekisho.ports.directory import Directory

REFRESH_SECONDS = 300.0  # so long a new account's name may be unknown


class ImpersonationProbe:
    """One per worker. It keeps the names of all accounts in memory."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory, self._clock = directory, clock
        self._names: dict[str, str] = {}
        self._until = float("-inf")

    async def look(
        self, header: HeaderSection, author: Address, known: ReputationFinding | None
    ) -> ImpersonationFinding | None:
        """None: nobody is imitated, or somebody here knows the author, who may well have that name."""
        name = shown_name(header.first(b"from") or b"")
        if not name:
            return None
        finding = await self._by_address(name, author) or await self._by_name(name, author)
        if (
            finding is None or await self._directory.domain(author.domain) is not None
        ):  # which the rule about our own domains judges
            return None
        return None if await self._is_known(author, known) else finding

    async def _by_address(self, name: str, author: Address) -> ImpersonationFinding | None:
        for text in addresses_in(name):
            try:
                address = Address.from_text(text)
            except AddressError:
                continue
            if address.domain != author.domain and await self._directory.domain(address.domain) is not None:
                return ImpersonationFinding(str(address), str(author), "address")
        return None

    async def _by_name(self, name: str, author: Address) -> ImpersonationFinding | None:
        now = self._clock.monotonic()
        if now >= self._until:
            accounts = await self._directory.accounts()
            named = [
                account
                for account in accounts
                if account.state != "deleted" and is_telling(account.display_name)
            ]
            self._names = {folded(account.display_name): account.address for account in named}
            self._until = now + REFRESH_SECONDS
        account = self._names.get(folded(name))
        return ImpersonationFinding(account, str(author), "name") if account is not None else None

    async def _is_known(self, author: Address, known: ReputationFinding | None) -> bool:
        """Did a recipient or a letter from here show trust, or does an alias of ours lead to that address?"""
        if known is not None and (
            trusting(known) or (known.written is not None and known.written.history.is_trusted)
        ):
            return True
        return bool(await self._directory.aliases_to(str(author.canonical)))
