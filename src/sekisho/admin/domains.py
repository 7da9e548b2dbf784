"""The domains that this server takes mail for."""

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, parse_address, parse_domain_name
from sekisho.ports.directory import Account, Alias, Domain


class DomainRequest(Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class AddDomain(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    subaddress_separators: str = "+"
    catch_all: str | None = None


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """A request without arguments."""


class DomainDetails(Struct, frozen=True, kw_only=True):
    domain: Domain
    accounts: list[Account]
    aliases: list[Alias]
    postmaster: str  # who reads mail to postmaster@ and abuse@ there
    abuse: str


async def add_domain(context: Context, request: AddDomain) -> Domain:
    name = parse_domain_name(request.name)
    if await context.directory.domain(name) is not None:
        raise AdminRefused("The domain {name} already exists.", name=name)
    if any(separator.isalnum() or separator in ".@\"' " for separator in request.subaddress_separators):
        raise AdminRefused(
            "Subaddress separators must be signs such as + or -, not {text}.",
            text=repr(request.subaddress_separators),
        )
    catch_all = str(parse_address(request.catch_all)) if request.catch_all else None
    domain = Domain(name, context.clock.now_us(), request.subaddress_separators, catch_all)
    await context.directory.add_domain(domain)
    context.audit("domain.add", name, catch_all=catch_all)
    return domain


async def list_domains(context: Context, request: Nothing) -> list[Domain]:
    return sorted(await context.directory.domains(), key=lambda domain: domain.name)


async def show_domain(context: Context, request: DomainRequest) -> DomainDetails:
    domain = await _find(context, request.name)
    accounts = await context.directory.accounts(domain.name)
    aliases = await context.directory.aliases(domain.name)
    owners = {}
    for role, owner in (("postmaster", context.roles.postmaster), ("abuse", context.roles.abuse)):
        address = f"{role}@{domain.name}"
        own = any(account.address == address for account in accounts) or any(
            alias.address == address for alias in aliases
        )
        owners[role] = address if own else owner
    return DomainDetails(
        domain=domain,
        accounts=accounts,
        aliases=aliases,
        postmaster=owners["postmaster"],
        abuse=owners["abuse"],
    )


async def remove_domain(context: Context, request: DomainRequest) -> Domain:
    domain = await _find(context, request.name)
    accounts = await context.directory.accounts(domain.name)
    aliases = await context.directory.aliases(domain.name)
    if accounts or aliases:
        raise AdminRefused(
            "The domain {name} still has {accounts} accounts and {aliases} aliases; remove and purge them "
            "first.",
            name=domain.name,
            accounts=len(accounts),
            aliases=len(aliases),
        )
    keys = await context.keys.dkim_keys(domain.name)
    await context.directory.remove_domain(domain.name)
    context.audit("domain.remove", domain.name, selectors=" ".join(key.selector for key in keys))
    return domain


async def _find(context: Context, text: str) -> Domain:
    name = parse_domain_name(text)
    domain = await context.directory.domain(name)
    if domain is None:
        raise AdminRefused("There is no domain {name}.", name=name)
    return domain
