"""What this server knows of senders, for the operator: the numbers and what they lead to."""

from ipaddress import ip_address, ip_network
from typing import Literal

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context
from sekisho.core.policy.reputation import (
    Standing,
    client_key,
    domain_key,
    is_bad,
    is_good,
    network_key,
    network_of,
    standing,
    written_key,
)
from sekisho.core.terms.address import Address, AddressError, parse_domain
from sekisho.ports.reputation import Known

KINDS = ("client", "network", "domain", "pair", "written")
MOST_PAIRS = 100


class ListReputation(Struct, frozen=True, forbid_unknown_fields=True):
    """`prefix`: of keys, such as "domain:"; all with ""."""

    prefix: str = ""
    limit: int = 50


class ReputationRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`subject`: a key as lists show it, or an IP address, a network, a domain, an address."""

    subject: str


class ReputationView(Struct, frozen=True, kw_only=True):
    """`good` and `bad`: what is left of them now; the rest as in `core.policy.reputation.History`. `account`:
    the other side of a pair, "" if it is none or is gone."""

    key: str
    judged: Literal["good", "bad", "unknown"]
    score: float
    good: float
    bad: float
    messages: int
    refused: int
    junk: int
    cleared: int
    written: int
    first_at_us: int
    at_us: int
    trusted_at_us: int
    junk_at_us: int
    account: str = ""


class ReputationDetails(Struct, frozen=True, kw_only=True):
    """`rows`: what is known; the limits say from where on a score counts, with so much weight behind it."""

    rows: list[ReputationView]
    good_score: float
    good_weight: float
    bad_score: float
    bad_weight: float
    half_life_days: float


class Forgotten(Struct, frozen=True):
    keys: list[str]


async def list_reputation(context: Context, request: ListReputation) -> list[ReputationView]:
    """The latest first."""
    return [
        await _view(context, known)
        for known in await context.door.reputation.listing(request.prefix, max(1, request.limit))
    ]


async def show_reputation(context: Context, request: ReputationRequest) -> ReputationDetails:
    """All that is kept about the subject; `rows` is empty if it is unknown. Raises Refused."""
    rules = context.door.rules
    rows = [await _view(context, known) for known in await _find(context, request.subject)]
    days = rules.half_life_us / 86_400_000_000
    return ReputationDetails(
        rows=rows,
        good_score=rules.good_score,
        good_weight=rules.good_weight,
        bad_score=rules.bad_score,
        bad_weight=rules.bad_weight,
        half_life_days=days,
    )


async def forget_reputation(context: Context, request: ReputationRequest) -> Forgotten:
    """All that is kept about the subject; raises Refused if there is nothing."""
    keys = [known.key for known in await _find(context, request.subject)]
    if not keys:
        raise AdminRefused("Nothing is known about {subject}.", subject=request.subject)
    for key in keys:
        await context.door.reputation.forget(key)
    context.audit("reputation.forget", request.subject, keys=len(keys))
    return Forgotten(keys)


async def _find(context: Context, subject: str) -> list[Known]:
    reputation, keys, prefixes = context.door.reputation, *_keys(subject.strip())
    await reputation.flush()
    found = [Known(key, history) for key, history in (await reputation.histories(keys)).items()]
    for prefix in prefixes:
        found += await reputation.listing(prefix, MOST_PAIRS)
    return found


def _keys(subject: str) -> tuple[list[str], list[str]]:
    """Keys, and beginnings of keys, that a person means; raises Refused."""
    if subject.partition(":")[0] in KINDS:
        return [subject], []
    try:
        if "/" in subject:
            return [network_key(str(ip_network(subject, strict=False)))], []
        address = ip_address(subject.strip("[]"))
        return [client_key(address), network_key(network_of(address))], []
    except ValueError:
        pass
    try:
        if "@" in subject.removeprefix("@"):
            name = str(Address.from_text(subject).canonical)
            return [written_key(name)], [f"pair:{name} "]
        domain = parse_domain(subject.removeprefix("@"), literals=False)
    except AddressError as error:
        raise AdminRefused(
            "{text} is no key, no address, no domain and no IP address: {reason}.",
            text=subject,
            reason=str(error),
        ) from error
    return [domain_key(domain), written_key(f"@{domain}")], []


async def _view(context: Context, known: Known) -> ReputationView:
    rules = context.door.rules
    found: Standing = standing(known.key, known.history, context.clock.now_us(), rules.half_life_us)
    judged: Literal["good", "bad", "unknown"] = (
        "good" if is_good(found, rules) else "bad" if is_bad(found, rules) else "unknown"
    )
    (good, bad), history = found.parts, known.history
    return ReputationView(
        key=known.key,
        judged=judged,
        score=round(found.score, 3),
        good=round(good, 3),
        bad=round(bad, 3),
        messages=history.messages,
        refused=history.refused,
        junk=history.junk,
        cleared=history.cleared,
        written=history.written,
        first_at_us=history.first_at_us,
        at_us=history.at_us,
        trusted_at_us=history.trusted_at_us,
        junk_at_us=history.junk_at_us,
        account=await _account(context, known.key),
    )


async def _account(context: Context, key: str) -> str:
    """The recipient that a pair's key names by its number: "pair:AUTHOR NUMBER[ NETWORK]"."""
    words = key.split(" ")
    if not key.startswith("pair:"):
        return ""
    number = next((word for word in words[1:] if word.isdigit()), "")
    account = await context.directory.account(int(number)) if number else None
    return account.address if account is not None else ""
