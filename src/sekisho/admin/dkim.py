"""The keys that mail of a domain is signed with: make, publish, switch, retire. Private keys never leave the server."""

import asyncio
import time

import msgspec
from msgspec import Struct

from sekisho.admin.context import Context, Refused, parse_domain_name
from sekisho.admin.keymaking import generate_pem
from sekisho.core.mailauth.dkim.sign import DkimSigner
from sekisho.ports.keys import DkimKey, KeyAlgorithm, KeyState

_LETTERS = {"rsa": "r", "ed25519": "e"}


class AddKey(Struct, frozen=True, forbid_unknown_fields=True):
    domain: str
    algorithm: KeyAlgorithm = "rsa"


class KeysOfDomain(Struct, frozen=True, forbid_unknown_fields=True):
    domain: str


class ListKeys(Struct, frozen=True, forbid_unknown_fields=True):
    domain: str | None = None


class KeyView(Struct, frozen=True):
    """What may be shown of a key. `name` and `record` are the TXT record to publish."""

    domain: str
    selector: str
    algorithm: KeyAlgorithm
    state: KeyState
    name: str
    record: str
    created_at_us: int
    changed_at_us: int


async def add_key(context: Context, request: AddKey) -> KeyView:
    """A new key in state "next"; at most one of each algorithm waits."""
    domain = await _own_domain(context, request.domain)
    keys = await context.keys.dkim_keys(domain)
    if any(key.state == "next" and key.algorithm == request.algorithm for key in keys):
        raise Refused("{domain} has a next key already: publish it, then rotate.", domain=domain)
    now_us = context.clock.now_us()
    taken = {key.selector for key in keys}
    # The day in the name: a selector is never used for two keys, as old records live on in caches.
    first = _LETTERS[request.algorithm] + time.strftime("%Y%m%d", time.gmtime(now_us // 1_000_000))
    selector = next(name for name in (first, *(f"{first}-{number}" for number in range(2, 1000))) if name not in taken)
    pem = await asyncio.to_thread(generate_pem, request.algorithm)
    key = DkimKey(domain, selector, request.algorithm, "next", pem, now_us, now_us)
    await context.keys.put_dkim_keys((key,))
    context.audit("dkim.add", domain, selector=selector, algorithm=request.algorithm)
    return _view(key)


async def list_keys(context: Context, request: ListKeys) -> list[KeyView]:
    domain = None if request.domain is None else parse_domain_name(request.domain)
    return [_view(key) for key in await context.keys.dkim_keys(domain)]


async def rotate_keys(context: Context, request: KeysOfDomain) -> list[KeyView]:
    """The next keys become active; the active ones of the same algorithms retire."""
    domain = await _own_domain(context, request.domain)
    keys = await context.keys.dkim_keys(domain)
    coming = {key.algorithm for key in keys if key.state == "next"}
    if not coming:
        raise Refused("{domain} has no next key; make one with `sekisho dkim add {domain}`.", domain=domain)
    following: dict[KeyState, KeyState] = {"next": "active", "active": "retired"}
    now_us = context.clock.now_us()
    changed = tuple(
        msgspec.structs.replace(key, state=following[key.state], changed_at_us=now_us)
        for key in keys
        if key.state in following and key.algorithm in coming
    )
    await context.keys.put_dkim_keys(changed)
    context.audit("dkim.rotate", domain, active=" ".join(key.selector for key in changed if key.state == "active"))
    return [_view(key) for key in changed]


async def retire_keys(context: Context, request: KeysOfDomain) -> list[KeyView]:
    """Forget the retired keys for good."""
    domain = parse_domain_name(request.domain)
    retired = tuple(key for key in await context.keys.dkim_keys(domain) if key.state == "retired")
    if not retired:
        raise Refused("{domain} has no retired key.", domain=domain)
    await context.keys.remove_dkim_keys(retired)
    context.audit("dkim.retire", domain, selectors=" ".join(key.selector for key in retired))
    return [_view(key) for key in retired]


async def _own_domain(context: Context, text: str) -> str:
    name = parse_domain_name(text)
    if await context.directory.domain(name) is None:
        raise Refused("There is no domain {name}.", name=name)
    return name


def _view(key: DkimKey) -> KeyView:
    signer = DkimSigner.from_pem(key.domain, key.selector, key.private_pem)
    return KeyView(
        key.domain, key.selector, key.algorithm, key.state, signer.key_name, signer.key_record, key.created_at_us, key.changed_at_us
    )
