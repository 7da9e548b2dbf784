"""Who may send as whom (RFC 6409 §6.1; THREATS: a second From signed for somebody else's domain)."""

from sekisho.core.terms.address import Address
from sekisho.ports.directory import Account, Directory


class SenderRights:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def may_send_as(self, account: Account, address: Address, only: Address | None = None) -> bool:
        """True for the account's own address, an alias of it that may send, what it was granted, and subaddresses of these.

        `only`: the one address that the credential of a program may send as; it must be one of these too.
        """
        if only is not None and address.canonical != only.canonical:
            return False
        domain = await self._directory.domain(address.domain)
        if domain is None:
            return False
        candidates = [address]
        for separator in domain.subaddress_separators:
            user = address.local.partition(separator)[0]
            if user and user != address.local:
                candidates.append(Address(user, address.domain))
        if any(str(candidate.canonical) == account.address for candidate in candidates):
            return True
        return await self._is_alias(account, candidates) or await self._is_granted(account, candidates)

    async def _is_alias(self, account: Account, candidates: list[Address]) -> bool:
        for candidate in candidates:
            if await self._directory.account_by_address(candidate) is not None:
                return False  # somebody else's own address
            alias = await self._directory.alias(candidate)
            if alias is not None:
                return alias.may_send and account.address in alias.targets
        return False

    async def _is_granted(self, account: Account, candidates: list[Address]) -> bool:
        """By an operator: `sekisho account may-send-as`. "@domain" is every address of the domain."""
        rights = await self._directory.sender_rights(account.id)
        return bool(rights) and any(str(c.canonical) in rights or f"@{c.domain}" in rights for c in candidates)
