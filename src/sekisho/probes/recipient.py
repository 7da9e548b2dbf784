"""Who is behind a forward path: accounts here, addresses elsewhere, or nobody.

Only reads. Aliases are opened with bounds on depth and number, and a loop ends where it began.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sekisho.core.terms.address import Address, AddressError
from sekisho.ports.directory import Account, Alias, Domain
from sekisho.ports.names import Names
from sekisho.ports.stream import IpAddress

MAX_ALIAS_DEPTH = 10
MAX_ALIAS_TARGETS = 1000

# RFC 5321 §4.5.1 and RFC 2142 §4: these exist in every domain of ours.
POSTMASTER = "postmaster"
ABUSE = "abuse"
ROLES = (POSTMASTER, ABUSE)


@dataclass(frozen=True, slots=True)
class Resolution:
    """`local`: at least one account or remote address takes the mail. `not_ours`: the domain is not served
    here."""

    status: Literal["local", "unknown", "not_ours"]
    accounts: tuple[Account, ...] = ()
    remotes: tuple[Address, ...] = ()  # targets of aliases that lead away
    alias_trouble: str = ""  # for the journal: a target that led nowhere, or a bound that was met


_NOT_OURS = Resolution("not_ours")
_UNKNOWN = Resolution("unknown")


class RecipientProbe:
    """`role_owners` maps "postmaster" and "abuse" to the addresses of those who read that mail (config:
    roles)."""

    def __init__(self, directory: Names, hostname: str, role_owners: dict[str, str]) -> None:
        self._directory = directory
        self._hostname = hostname
        self._role_owners = {role: Address.from_text(owner) for role, owner in role_owners.items()}

    async def resolve(self, address: Address, own_address: IpAddress | None = None) -> Resolution:
        """`own_address` is the address that the client connected to: the only literal that is ours, and only
        for postmaster."""
        domain = await self._directory.domain(address.domain)
        if domain is not None:
            account = await self._account(address)
            if account is not None:
                return Resolution("local", (account,))
            return await self._expand(address, domain)
        role = address.local.lower()
        # RFC 5321 §4.5.1: bare <Postmaster>, and postmaster at our own name or literal, are always taken.
        owner = self._role_owners.get(role) if role in ROLES else None
        if owner is None or not self._is_own_name(address, role, own_address):
            return _NOT_OURS
        return await self._expand(owner, await self._directory.domain(owner.domain))

    def _is_own_name(self, address: Address, role: str, own_address: IpAddress | None) -> bool:
        if not address.domain or address.domain == self._hostname:
            return True
        if role != POSTMASTER or own_address is None:
            return False
        return address.domain in (f"[{own_address}]", f"[IPv6:{own_address}]")

    async def _account(self, address: Address) -> Account | None:
        account = await self._directory.account_by_address(address)
        return account if account is not None and account.state != "deleted" else None

    async def _expand(self, first: Address, first_domain: Domain | None) -> Resolution:
        accounts: dict[int, Account] = {}
        remotes: dict[Address, None] = {}
        trouble = ""
        seen = {first.canonical}
        waiting: deque[tuple[Address, Domain | None, int]] = deque([(first, first_domain, 0)])
        while waiting:
            address, domain, depth = waiting.popleft()
            if domain is None:
                if depth == 0:
                    return _NOT_OURS
                remotes[address] = None
                continue
            found = await self._one_step(address, domain)
            if isinstance(found, Account):
                accounts[found.id] = found
                continue
            if found is None:
                trouble = trouble or f"{address} leads nowhere"
                continue
            for text in found:
                target = _target(text)
                if target is None or depth >= MAX_ALIAS_DEPTH or len(seen) > MAX_ALIAS_TARGETS:
                    trouble = trouble or f"{address}: target {text} is malformed or beyond the bounds"
                elif target.canonical not in seen:
                    seen.add(target.canonical)
                    waiting.append((target, await self._directory.domain(target.domain), depth + 1))
        if not accounts and not remotes:
            return Resolution("unknown", alias_trouble=trouble) if trouble else _UNKNOWN
        return Resolution("local", tuple(accounts.values()), tuple(remotes), trouble)

    async def _one_step(self, address: Address, domain: Domain) -> Account | tuple[str, ...] | None:
        """The account at `address`, the targets that it stands for, or None: whoever has the address, role,
        catch-all."""
        owner = (await find_owner(self._directory, address, domain)).owner
        if isinstance(owner, Alias):
            return owner.targets
        if owner is not None and owner.state != "deleted":
            return owner
        role = self._role_owners.get(address.local_canonical)
        if role is not None:
            return (str(role),)
        return (domain.catch_all,) if domain.catch_all else None


@dataclass(frozen=True, slots=True)
class Ownership:
    """`owner`: who has the address, None for nobody. `names`: the addresses that were looked at, the one that
    decided last."""

    owner: Account | Alias | None
    names: tuple[Address, ...]


async def find_owner(directory: Names, address: Address, domain: Domain) -> Ownership:
    """Whose `address` is, for mail that comes and for mail that goes alike: the first of its names that is an
    account or an alias decides.

    A deleted account that waits out its grace still decides: its mail and its name fall to nobody else.
    """
    names: list[Address] = []
    for name in _names(address, domain.subaddress_separators):
        names.append(name)
        owner = await directory.account_by_address(name) or await directory.alias(name)
        if owner is not None:
            return Ownership(owner, tuple(names))
    return Ownership(None, tuple(names))


def _names(address: Address, separators: str) -> Iterator[Address]:
    """The address itself, then without its detail (RFC 5233 §4: `user+detail`), the longest user first.

    Cut in its canonical form, by which accounts are known: a separator may melt into one character with what
    follows.
    """
    local = address.local_canonical
    yield Address(local, address.domain, address.loose_dots)
    for cut in range(len(local) - 1, 0, -1):
        if local[cut] in separators and local[cut - 1] not in separators:
            yield Address(local[:cut], address.domain)


def _target(text: str) -> Address | None:
    try:
        return Address.from_text(text)
    except AddressError:
        return None
