"""Aliases: addresses here that lead to other addresses."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, parse_address, parse_domain_name
from sekisho.ports.directory import Alias


class AddAlias(Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    targets: tuple[str, ...]
    may_send: bool = True
    replace: bool = False


class ListAliases(Struct, frozen=True, forbid_unknown_fields=True):
    domain: str | None = None


class AliasRequest(Struct, frozen=True, forbid_unknown_fields=True):
    address: str


async def add_alias(context: Context, request: AddAlias) -> Alias:
    address = parse_address(request.address)
    if await context.directory.domain(address.domain) is None:
        raise AdminRefused(
            "There is no domain {name}; add it first: sekisho domain add {name}", name=address.domain
        )
    if await context.directory.account_by_address(address) is not None:
        raise AdminRefused(
            "{address} is an account; an alias needs an address of its own.", address=str(address)
        )
    if not request.replace and await context.directory.alias(address) is not None:
        raise AdminRefused(
            "The alias {address} already exists; use --replace to change where it leads.",
            address=str(address),
        )
    targets = tuple(dict.fromkeys(str(parse_address(target)) for target in request.targets))
    if not targets:
        raise AdminRefused("An alias needs at least one target.")
    if str(address) in targets:
        raise AdminRefused("The alias {address} cannot lead to itself.", address=str(address))
    await _check_targets(context, targets)
    alias = Alias(str(address), targets, request.may_send)
    await context.directory.put_alias(alias)
    context.audit("alias.add", alias.address, targets=" ".join(targets), may_send=request.may_send)
    return alias


async def list_aliases(context: Context, request: ListAliases) -> list[Alias]:
    domain = parse_domain_name(request.domain) if request.domain else None
    return sorted(await context.directory.aliases(domain), key=lambda alias: alias.address)


async def remove_alias(context: Context, request: AliasRequest) -> Alias:
    address = parse_address(request.address)
    alias = await context.directory.alias(address)
    if alias is None:
        raise AdminRefused("There is no alias {address}.", address=str(address))
    await context.directory.remove_alias(address)
    context.audit("alias.remove", alias.address, targets=" ".join(alias.targets))
    return alias


async def _check_targets(context: Context, targets: tuple[str, ...]) -> None:
    """A target at one of our own domains must exist: a typing error here would lose mail."""
    for text in targets:
        target = parse_address(text)
        domain = await context.directory.domain(target.domain)
        if (
            domain is None
            or domain.catch_all is not None
            or target.local_canonical in ("postmaster", "abuse")
        ):
            continue
        if await context.directory.account_by_address(target) or await context.directory.alias(target):
            continue
        if any(separator in target.local for separator in domain.subaddress_separators):
            continue
        raise AdminRefused("There is neither an account nor an alias {address}.", address=text)
