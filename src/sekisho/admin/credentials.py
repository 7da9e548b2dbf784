"""App passwords of devices and service credentials of programs: made, listed, switched off, taken away."""

import asyncio
import secrets
from ipaddress import ip_network

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, find_account, parse_address
from sekisho.core.terms.address import Address
from sekisho.ports.credentials import PASSWORD, SCOPES, Credential, Scope, StoredCredential
from sekisho.ports.directory import Account
from sekisho.services.authentication.appsecrets import (
    SECRET_KEY,
    letters_of,
    make_secret,
    secret_digest,
    secret_scram_keys,
)
from sekisho.services.authentication.former import FORMER, FORMER_LABEL
from sekisho.services.authentication.scramkeys import scram_terms
from sekisho.services.submission.sender import SenderRights

MOST_CREDENTIALS = 50  # of one account: a login looks at each
MAX_LABEL = 64


class AddCredential(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`scopes` none: all, or sending only for a program. `service`: the one address that the program may send
    as, "" for a device."""

    address: str
    label: str
    scopes: tuple[Scope, ...] = ()
    networks: tuple[str, ...] = ()
    service: str = ""
    expires_at_us: int = 0


class CredentialsOf(Struct, frozen=True, forbid_unknown_fields=True):
    address: str


class OneCredential(Struct, frozen=True, forbid_unknown_fields=True):
    """`credential`: its id, or its label."""

    address: str
    credential: str


class NewCredential(Struct, frozen=True):
    """The only time that the secret is seen."""

    address: str
    credential: Credential
    secret: str


class CredentialDone(Struct, frozen=True):
    address: str
    credential: Credential


async def add_credential(context: Context, request: AddCredential) -> NewCredential:
    account, store = await find_account(context, request.address), context.kept_credentials
    label = request.label.strip()
    if not 0 < len(label) <= MAX_LABEL or not label.isprintable():
        raise AdminRefused("A label is a name of one to {limit} characters, such as phone.", limit=MAX_LABEL)
    if label in (PASSWORD, FORMER_LABEL):
        raise AdminRefused(
            "{label} is the label of the account's own password; choose another label.", label=label
        )
    if request.expires_at_us and request.expires_at_us <= context.clock.now_us():
        raise AdminRefused("The last day is in the past.")
    if len(await store.of_account(account.id)) >= MOST_CREDENTIALS:
        raise AdminRefused(
            "{address} has {count} credentials already; remove some first.",
            address=account.address,
            count=MOST_CREDENTIALS,
        )
    sender = await _sender(context, account, request.service)
    credential = Credential(
        account_id=account.id,
        id=f"{'service' if sender else 'app'}:{secrets.token_hex(6)}",
        kind="service" if sender else "app",
        label=label,
        scopes=tuple(scope for scope in SCOPES if scope in request.scopes)
        or (("smtp",) if sender else SCOPES),
        networks=tuple(_network(text) for text in request.networks),
        sender=sender,
        created_at_us=context.clock.now_us(),
        created_by=context.actor,
        expires_at_us=request.expires_at_us,
    )
    secret = make_secret()
    await store.add(await _stored(context, account, credential, letters_of(secret)))
    context.audit("credential.add", account.address, credential=credential.id, label=label, sender=sender)
    return NewCredential(account.address, credential, secret)


async def _stored(
    context: Context, account: Account, credential: Credential, letters: str
) -> StoredCredential:
    store = context.kept_credentials
    terms = await scram_terms(context.directory, store, Address.from_text(account.address))
    keys = await asyncio.to_thread(secret_scram_keys, letters, terms)
    return StoredCredential(credential, secret_digest(await store.server_key(SECRET_KEY), letters), keys)


async def _sender(context: Context, account: Account, service: str) -> str:
    if not service:
        return ""
    sender = parse_address(service)
    if not await SenderRights(context.directory).may_send_as(account, sender):
        raise AdminRefused(
            "{address} may not send as {sender}; allow it first: sekisho account may-send-as {address} "
            "{sender}",
            address=account.address,
            sender=str(sender),
        )
    return str(sender)


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError as error:
        raise AdminRefused(
            "{text} is not a network; write 192.0.2.0/24 or 2001:db8::/32.", text=repr(text)
        ) from error


async def list_credentials(context: Context, request: CredentialsOf) -> list[Credential]:
    """With the account's own password, if it was ever used or switched off."""
    account = await find_account(context, request.address)
    return [stored.credential for stored in await context.kept_credentials.of_account(account.id)]


async def disable_credential(context: Context, request: OneCredential) -> CredentialDone:
    """Its sessions end, those of others go on."""
    return await _set_disabled(context, request, context.clock.now_us())


async def enable_credential(context: Context, request: OneCredential) -> CredentialDone:
    return await _set_disabled(context, request, 0)


async def _set_disabled(context: Context, request: OneCredential, at_us: int) -> CredentialDone:
    account, credential = await _find(context, request)
    if not at_us and credential.id == FORMER:
        raise AdminRefused(
            "A former password stays off; set a new one: sekisho account passwd {address}",
            address=account.address,
        )
    await context.kept_credentials.set_disabled(account.id, (credential.id,), at_us)
    context.audit(f"credential.{'disable' if at_us else 'enable'}", account.address, credential=credential.id)
    changed = await context.kept_credentials.credential(account.id, credential.id)
    return CredentialDone(account.address, changed or credential)


async def remove_credential(context: Context, request: OneCredential) -> CredentialDone:
    account, credential = await _find(context, request)
    if credential.id == PASSWORD:
        raise AdminRefused(
            "The account's own password cannot be removed; switch it off, or set a new one: sekisho "
            "account passwd."
        )
    await context.kept_credentials.remove(account.id, credential.id)
    context.audit("credential.remove", account.address, credential=credential.id, label=credential.label)
    return CredentialDone(account.address, credential)


async def _find(context: Context, request: OneCredential) -> tuple[Account, Credential]:
    account = await find_account(context, request.address)
    for stored in await context.kept_credentials.of_account(account.id):
        if request.credential in (stored.credential.id, stored.credential.label):
            return account, stored.credential
    if request.credential == PASSWORD:
        return account, Credential(account_id=account.id, id=PASSWORD, kind="account")
    raise AdminRefused(
        "{address} has no credential {credential}; sekisho account credential list {address} shows them.",
        address=account.address,
        credential=repr(request.credential),
    )
