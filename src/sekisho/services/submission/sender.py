"""Who may send as whom (RFC 6409 §6.1; THREATS: a second From signed for somebody else's domain)."""

import re
import unicodedata

from sekisho.core.terms.address import Address
from sekisho.ports.directory import Account, Alias
from sekisho.ports.names import Senders
from sekisho.probes.recipient import Ownership, find_owner
from sekisho.services.smtp.refusal import Refusal

# What a reader could take for another address, or hides something: the owner of a name chooses details of it,
# and we would sign them.
_ODD = re.compile(r"[\s\x00-\x1f\x7f\"(),:;<>@\[\]\\%!]|=\?")


class SenderRights:
    def __init__(self, directory: Senders) -> None:
        self._directory = directory

    async def refusal(
        self, account: Account, address: Address, what: str, only: Address | None
    ) -> Refusal | None:
        """550 5.7.1 (RFC 6409 §6.1), naming what and what to do. `what` named the address: a field, or the
        envelope."""
        if await self.may_send_as(account, address, only):
            return None
        allowed = (
            f"{account.address} or one of its aliases"
            if only is None
            else f"{only}: this password is for that alone"
        )
        return Refusal.of(
            550, "5.7.1", f"The {what} {address} is not yours; send as {allowed}", "not-your-address"
        )

    async def may_send_as(self, account: Account, address: Address, only: Address | None = None) -> bool:
        """True for the account's own address, an alias of it that may send, what it was granted, and
        subaddresses of these that are no account or alias of their own. A detail with signs that show a
        reader another address (`"mary+<ceo@bank>"@`) is nobody's.

        `only`: the one address that the credential of a program may send as; it must be one of these too.
        """
        if only is not None and address.canonical != only.canonical:
            return False
        domain = await self._directory.domain(address.domain)
        if domain is None:
            return False
        found = await find_owner(self._directory, address, domain)
        if (found.owner is None or len(found.names) > 1) and _is_odd(address.local):
            return str(found.names[0]) in await self._directory.sender_rights(account.id)
        if await self._is_granted(account, found):
            return True
        if isinstance(found.owner, Alias):
            return found.owner.may_send and account.address in found.owner.targets
        return found.owner is not None and found.owner.id == account.id

    async def _is_granted(self, account: Account, found: Ownership) -> bool:
        """By an operator: `sekisho account may-send-as`. "@domain" is every address of the domain; a name of
        somebody else's own below a granted one (`chair+anne`) was not granted."""
        rights = await self._directory.sender_rights(account.id)
        return bool(rights) and any(
            str(name) in rights or f"@{name.domain}" in rights for name in found.names
        )


def _is_odd(local: str) -> bool:
    read = unicodedata.normalize("NFKC", local)
    return bool(_ODD.search(read)) or not read.isprintable()
