"""The keys that mail of a domain is signed with: make, publish, switch, retire. Private keys never leave the
server."""

import asyncio
import time

import msgspec
from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context, parse_domain_name
from sekisho.admin.keymaking import generate_pem
from sekisho.core.mailauth.dkim.sign import DkimSigner
from sekisho.ports.keys import DkimKey, KeyAlgorithm, KeyState

# So long after its last signature mail may still be under way, here and at others, with the waits of
# forwarders: RFC 5321 §4.5.4.1 has five days for one queue.
DAY_US = 86_400_000_000
UNDER_WAY_US = 7 * DAY_US
_LETTERS = {"rsa": "r", "ed25519": "e"}


class AddKey(Struct, frozen=True, forbid_unknown_fields=True):
    domain: str
    algorithm: KeyAlgorithm = "rsa"


class RotateKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`published`: selectors whose records were found in the DNS (`admin.check.published.in_dns`). `force`:
    without looking at that."""

    domain: str
    published: list[str] = []
    force: bool = False


class RetireKeys(Struct, frozen=True, forbid_unknown_fields=True):
    """`force`: also keys that signed until a moment ago."""

    domain: str
    force: bool = False


class ListKeys(Struct, frozen=True, forbid_unknown_fields=True):
    domain: str | None = None


class KeyView(Struct, frozen=True, kw_only=True):
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
        raise AdminRefused("{domain} has a next key already: publish it, then rotate.", domain=domain)
    now_us = context.clock.now_us()
    taken = {key.selector for key in keys}
    # The day in the name: a selector is never used for two keys, as old records live on in caches.
    first = _LETTERS[request.algorithm] + time.strftime("%Y%m%d", time.gmtime(now_us // 1_000_000))
    selector = next(
        name for name in (first, *(f"{first}-{number}" for number in range(2, 1000))) if name not in taken
    )
    pem = await asyncio.to_thread(generate_pem, request.algorithm)
    key = DkimKey(
        domain=domain,
        selector=selector,
        algorithm=request.algorithm,
        state="next",
        private_pem=pem,
        created_at_us=now_us,
        changed_at_us=now_us,
    )
    await context.keys.put_dkim_keys((key,))
    context.audit("dkim.add", domain, selector=selector, algorithm=request.algorithm)
    return _view(key)


async def list_keys(context: Context, request: ListKeys) -> list[KeyView]:
    domain = None if request.domain is None else await _own_domain(context, request.domain)
    return [_view(key) for key in await context.keys.dkim_keys(domain)]


async def rotate_keys(context: Context, request: RotateKeys) -> list[KeyView]:
    """The next keys become active; the active ones of the same algorithms retire. None signs whose record
    nobody could find."""
    domain = await _own_domain(context, request.domain)
    keys = await context.keys.dkim_keys(domain)
    coming = {key.algorithm for key in keys if key.state == "next"}
    if not coming:
        raise AdminRefused(
            "{domain} has no next key; make one with `sekisho dkim add {domain}`.", domain=domain
        )
    unseen = [key.selector for key in keys if key.state == "next" and key.selector not in request.published]
    if unseen and not request.force:
        raise AdminRefused(
            "The DNS was not seen to have the record of {selector}: what it signs would fail everywhere. "
            "Publish it first: "
            "sekisho dkim publish {domain}",
            selector=unseen[0],
            domain=domain,
        )
    following: dict[KeyState, KeyState] = {"next": "active", "active": "retired"}
    now_us = context.clock.now_us()
    changed = tuple(
        msgspec.structs.replace(key, state=following[key.state], changed_at_us=now_us)
        for key in keys
        if key.state in following and key.algorithm in coming
    )
    await context.keys.put_dkim_keys(changed)
    active = " ".join(key.selector for key in changed if key.state == "active")
    context.audit("dkim.rotate", domain, active=active, unseen=" ".join(unseen))
    return [_view(key) for key in changed]


async def retire_keys(context: Context, request: RetireKeys) -> list[KeyView]:
    """Forget the retired keys for good, once nothing that they signed is under way."""
    domain = await _own_domain(context, request.domain)
    retired = tuple(key for key in await context.keys.dkim_keys(domain) if key.state == "retired")
    if not retired:
        raise AdminRefused("{domain} has no retired key.", domain=domain)
    latest = max(retired, key=lambda key: key.changed_at_us)
    left_us = latest.changed_at_us + UNDER_WAY_US - context.clock.now_us()
    if left_us > 0 and not request.force:
        raise AdminRefused(
            "Mail that {selector} signed may still be under way: leave its record in the DNS, and forget "
            "the key in {days} days.",
            selector=latest.selector,
            days=-(-left_us // DAY_US),
        )
    await context.keys.remove_dkim_keys(retired)
    context.audit("dkim.retire", domain, selectors=" ".join(key.selector for key in retired))
    return [_view(key) for key in retired]


async def _own_domain(context: Context, text: str) -> str:
    name = parse_domain_name(text)
    if await context.directory.domain(name) is None:
        raise AdminRefused("There is no domain {name}.", name=name)
    return name


def _view(key: DkimKey) -> KeyView:
    signer = DkimSigner.from_pem(key.domain, key.selector, key.private_pem)
    return KeyView(
        domain=key.domain,
        selector=key.selector,
        algorithm=key.algorithm,
        state=key.state,
        name=signer.key_name,
        record=signer.key_record,
        created_at_us=key.created_at_us,
        changed_at_us=key.changed_at_us,
    )
