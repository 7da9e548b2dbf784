"""Accounts: who has a mailbox and may log in here."""

import asyncio
from typing import Literal

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, find_account, parse_address, parse_domain_name
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Account, AccountState, Alias
from sekisho.services.authentication.former import keep_former
from sekisho.services.authentication.passwords import HashedPassword, WeakPassword, hash_password
from sekisho.services.authentication.quality import check_quality
from sekisho.services.authentication.scramkeys import scram_terms


class AccountRequest(Struct, frozen=True, forbid_unknown_fields=True):
    address: str


class AddAccount(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    address: str
    password: str
    display_name: str = ""
    quota_octets: int = 0
    allow_weak: bool = False  # only for tests and rehearsals


class ListAccounts(Struct, frozen=True, forbid_unknown_fields=True):
    domain: str | None = None


class SetPassword(Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    password: str
    allow_weak: bool = False


class SetState(Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    state: Literal["active", "login_disabled", "sending_held"]


class SetQuota(Struct, frozen=True, forbid_unknown_fields=True):
    address: str
    quota_octets: int


class SetExpiry(Struct, frozen=True, forbid_unknown_fields=True):
    """`expires_at_us` 0: never."""

    address: str
    expires_at_us: int


class RemoveAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """`purge`: remove the mail for good, at once, instead of after the grace period."""

    address: str
    purge: bool = False


class GrantSender(Struct, frozen=True, forbid_unknown_fields=True):
    """`sender`: an address here, or "@domain" for all of a domain here."""

    address: str
    sender: str
    revoke: bool = False


class AccountDetails(Struct, frozen=True):
    account: Account
    aliases: list[Alias]  # that lead to it
    may_send_as: list[str]  # what it was granted besides


async def check_new(context: Context, request: AccountRequest) -> AccountRequest:
    """Could an account of this address be made? Asked before somebody thinks of a password. Raises
    Refused."""
    address = parse_address(request.address)
    await check_is_free(context, address)
    return AccountRequest(str(address))


async def add_account(context: Context, request: AddAccount) -> Account:
    address = parse_address(request.address)
    await check_is_free(context, address)
    _check_quota(request.quota_octets)
    argon2, scram = await hash_for(context, address, request.password, allow_weak=request.allow_weak)
    account = await context.directory.add_account(
        address, argon2, scram, request.display_name, request.quota_octets
    )
    context.audit("account.add", account.address, quota_octets=request.quota_octets)
    return account


async def check_is_free(context: Context, address: Address) -> None:
    """Could an account of this address be made? Raises Refused."""
    if await context.directory.domain(address.domain) is None:
        raise AdminRefused(
            "There is no domain {name}; add it first: sekisho domain add {name}", name=address.domain
        )
    existing = await context.directory.account_by_address(address)
    if existing is not None and existing.state == "deleted":
        raise AdminRefused(
            "The account {address} is deleted but still in its grace period; bring it back (undelete) or "
            "purge it.",
            address=str(address),
        )
    if existing is not None:
        raise AdminRefused("The account {address} already exists.", address=str(address))
    if await context.directory.alias(address) is not None:
        raise AdminRefused("{address} is an alias; remove it first.", address=str(address))


async def list_accounts(context: Context, request: ListAccounts) -> list[Account]:
    domain = parse_domain_name(request.domain) if request.domain else None
    return sorted(await context.directory.accounts(domain), key=lambda account: account.address)


async def show_account(context: Context, request: AccountRequest) -> AccountDetails:
    account = await find_account(context, request.address)
    return await _details(context, account)


async def _details(context: Context, account: Account) -> AccountDetails:
    directory = context.directory
    return AccountDetails(
        account, await directory.aliases_to(account.address), list(await directory.sender_rights(account.id))
    )


async def grant_sender(context: Context, request: GrantSender) -> AccountDetails:
    """Let the account send in the name of another address, or of every address of a domain."""
    account = await find_account(context, request.address)
    text = request.sender.strip()
    sender = f"@{parse_domain_name(text[1:])}" if text.startswith("@") else str(parse_address(text))
    domain = sender.rpartition("@")[2]
    if await context.directory.domain(domain) is None:
        raise AdminRefused(
            "There is no domain {name}; only addresses of domains here can be granted.", name=domain
        )
    if request.revoke:
        await context.directory.revoke_sender(account.id, sender)
    else:
        await context.directory.grant_sender(account.id, sender)
    context.audit("account.may_send_as", account.address, sender=sender, revoke=request.revoke)
    return await _details(context, account)


async def set_password(context: Context, request: SetPassword) -> Account:
    account = await find_account(context, request.address)
    argon2, scram = await hash_for(
        context, parse_address(account.address), request.password, allow_weak=request.allow_weak
    )
    if context.credentials is not None:
        await keep_former(context.directory, context.credentials, account.id, context.clock.now_us())
    await context.directory.set_password(account.id, argon2, scram)
    context.audit("account.passwd", account.address)
    return await _changed(context, account)


async def set_state(context: Context, request: SetState) -> Account:
    account = await find_account(context, request.address)
    if account.state == "deleted":
        raise AdminRefused(
            "The account {address} is deleted; bring it back first: sekisho account undelete {address}",
            address=account.address,
        )
    changed = await _set_state(context, account, request.state)
    if request.state == "sending_held" and context.guard_kit is not None:
        # Only now: what is submitted meanwhile sees the new state.
        await context.guard_kit.guard.keep_back(account.id)
    return changed


async def set_quota(context: Context, request: SetQuota) -> Account:
    account = await find_account(context, request.address)
    _check_quota(request.quota_octets)
    await context.directory.set_quota(account.id, request.quota_octets)
    context.audit("account.quota", account.address, quota_octets=request.quota_octets)
    return await _changed(context, account)


async def set_expiry(context: Context, request: SetExpiry) -> Account:
    """From then on nobody logs in; mail is still taken."""
    account = await find_account(context, request.address)
    if not 0 <= request.expires_at_us < 2**62:
        raise AdminRefused("The end of an account is a day, or never.")
    await context.directory.set_expiry(account.id, request.expires_at_us)
    context.audit("account.expire", account.address, expires_at_us=request.expires_at_us)
    return await _changed(context, account)


async def remove_account(context: Context, request: RemoveAccount) -> Account:
    """Mark as deleted (it can be brought back), or purge. The owner of a role address cannot be removed."""
    account = await find_account(context, request.address)
    for role, owner in (("postmaster", context.roles.postmaster), ("abuse", context.roles.abuse)):
        if parse_address(owner) == parse_address(account.address):
            raise AdminRefused(
                "{address} reads the mail to {role}@; name another owner in roles.{role} first.",
                address=account.address,
                role=role,
            )
    if not request.purge:
        if account.state == "deleted":
            raise AdminRefused(
                "The account {address} is already deleted; use --purge to remove its mail for good.",
                address=account.address,
            )
        return await _set_state(context, account, "deleted")
    await context.directory.purge_account(account.id)
    context.audit("account.purge", account.address)
    return account


async def undelete_account(context: Context, request: AccountRequest) -> Account:
    account = await find_account(context, request.address)
    if account.state != "deleted":
        raise AdminRefused("The account {address} is not deleted.", address=account.address)
    return await _set_state(context, account, "active")


async def hash_for(
    context: Context, address: Address, password: str, *, allow_weak: bool = False
) -> HashedPassword:
    """In a thread: the loop serves others meanwhile. Raises Refused for a password that is too weak."""

    def check_and_hash() -> HashedPassword:
        if not allow_weak:
            check_quality(password, address, context.breached)
        return hash_password(password, terms)

    terms = (
        await scram_terms(context.directory, context.credentials, address) if context.credentials else None
    )
    try:
        return await asyncio.to_thread(check_and_hash)
    except WeakPassword as error:
        raise AdminRefused(error.text, **error.values) from error


def _check_quota(quota_octets: int) -> None:
    if not 0 <= quota_octets < 2**62:
        raise AdminRefused("A quota is a number of octets, or 0 for none.")


async def _set_state(context: Context, account: Account, state: AccountState) -> Account:
    await context.directory.set_state(account.id, state)
    context.audit("account.state", account.address, before=account.state, after=state)
    return await _changed(context, account)


async def _changed(context: Context, account: Account) -> Account:
    return await context.directory.account(account.id) or account
