"""`why`: everything that the ledger has about an id, an address, a message-id, a client or a domain, as
stories."""

from collections.abc import Sequence
from ipaddress import ip_network

from msgspec import Struct, structs

from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.nextattempt import as_it_will_be, rests
from sekisho.admin.why.messages import ACCEPTED, REFUSED, accepted_message, refused_message
from sekisho.admin.why.others import BACKGROUND, other_story
from sekisho.admin.why.sentences import AGAIN
from sekisho.admin.why.story import Story
from sekisho.core.terms.address import Address, AddressError, parse_domain
from sekisho.ports.ledger import Ledger, LedgerEntry, client_keys, normal_key

MOST_ENTRIES = 300
_ALIKE = ("username", "client", "cause", "reason", "listener", "network", "account")
_LOGIN_US = 10_000_000  # a login is answered so much later at most
_OF_MESSAGES = ("reception.", "submission.", "relay.", "queue.", "notice.", "admin.queue.")


class Why(Struct, frozen=True, forbid_unknown_fields=True):
    """`subject`: an id out of a reply, a message-id, an address, a client or a domain. `limit`: of
    stories."""

    subject: str
    since_us: int = 0
    limit: int = 20


class WhyAnswer(Struct, frozen=True):
    """`stories`: the newest first, what is only background last. `reaches_back_to_us`: the oldest entry there
    is, 0 if none."""

    subject: str
    stories: list[Story]
    entries: int
    reaches_back_to_us: int


async def why(context: Context, request: Why) -> WhyAnswer:
    """Raises Refused when there is no ledger."""
    ledger = context.ledger
    if ledger is None:
        raise AdminRefused(
            "There is no ledger: ledger.enabled is false, or ledger.db cannot be opened (the log says why)."
        )
    key, entries = await _find(ledger, request)
    if not entries:
        await ledger.settle()
        key, entries = await _find(ledger, request)
    stories: list[Story] = []
    for id_, group in list(_grouped(entries).items())[: max(1, min(request.limit, MOST_ENTRIES))]:
        stories.append(await _tell(context, ledger, id_, group, is_whole=normal_key(id_) == key))
    stories.sort(key=lambda story: _rank(story, key))
    span = await ledger.span()
    return WhyAnswer(request.subject, stories, span.entries, span.oldest_at_us)


async def _find(ledger: Ledger, request: Why) -> tuple[str, list[LedgerEntry]]:
    """Under the key that the subject means, or else as it was typed (a message-id may look like an address
    and be none)."""
    meant, typed = question_key(request.subject), normal_key(request.subject)
    entries = await ledger.find(meant, since_us=request.since_us, limit=MOST_ENTRIES)
    if entries or meant == typed:
        return meant, entries
    return typed, await ledger.find(typed, since_us=request.since_us, limit=MOST_ENTRIES)


def _rank(story: Story, key: str) -> tuple[bool, bool, int]:
    """First what was asked for by its own id, then the newest, what is only background last."""
    is_meant = normal_key(story.id) == key and "@" not in key  # operators' actions have addresses for ids
    return not is_meant, all(entry.kind in BACKGROUND for entry in story.entries), -story.at_us


def question_key(subject: str) -> str:
    """What people type, in the form that entries are found by."""
    key = normal_key(subject)
    try:
        network = ip_network(key, strict=False)
    except ValueError:
        pass
    else:
        return client_keys(network.network_address)["/" in key]
    try:
        if "@" in key:
            return normal_key(str(Address.from_text(key).canonical))
        return parse_domain(key) if "." in key else key
    except AddressError:
        return key


def _grouped(entries: Sequence[LedgerEntry]) -> dict[str, list[LedgerEntry]]:
    """By id, in the order given; what has none, by what is alike."""
    groups: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        likeness = (entry.kind, *(str(entry.fields.get(name, "")).removesuffix(AGAIN) for name in _ALIKE))
        groups.setdefault(entry.id or "\0".join(likeness), []).append(entry)
    return groups


async def _login(ledger: Ledger, entry: LedgerEntry) -> list[LedgerEntry]:
    """What the authenticator wrote down about a refused AUTH: it names the cause, which the client was not
    told."""
    if entry.fields.get("command") != "AUTH":
        return []
    since_us = entry.at_us - _LOGIN_US
    of_client = await ledger.find(str(entry.fields.get("client", "")), since_us=since_us, limit=MOST_ENTRIES)
    return [
        login for login in of_client if login.kind == "authentication.refused" and login.at_us <= entry.at_us
    ][:1]


async def _come_again(ledger: Ledger, refused: LedgerEntry) -> LedgerEntry | None:
    """The acceptance of a message that was put off and sent again."""
    message_id, sender = str(refused.fields.get("message_id", "")), refused.fields.get("reverse_path")
    if (
        refused.kind != "reception.refused"
        or not message_id
        or not str(refused.fields.get("reply", "")).startswith("4")
    ):
        return None
    later = await ledger.find(message_id, since_us=refused.at_us, limit=MOST_ENTRIES)
    accepted = [
        entry
        for entry in later
        if entry.kind == "reception.accepted" and entry.fields.get("reverse_path") == sender
    ]
    return min(accepted, key=lambda entry: entry.at_us, default=None)


async def _named(context: Context, entry: LedgerEntry) -> LedgerEntry:
    """With the address of an account that is written down by its number."""
    number = entry.fields.get("account")
    if not isinstance(number, int):
        return entry
    account = await context.directory.account(number)
    return structs.replace(
        entry, fields={**entry.fields, "account": str(account.address) if account else f"#{number}"}
    )


async def _tell(
    context: Context, ledger: Ledger, id_: str, group: list[LedgerEntry], *, is_whole: bool
) -> Story:
    kind, has_id = group[0].kind, bool(group[0].id)
    if has_id and not is_whole and kind.startswith(_OF_MESSAGES):
        group = [entry for entry in await ledger.find(id_, limit=MOST_ENTRIES) if entry.id == id_] or group
    group = [await _named(context, entry) for entry in sorted(group, key=lambda entry: entry.at_us)]
    kinds = {entry.kind for entry in group}
    if kinds & REFUSED:
        return refused_message(id_, group, await _come_again(ledger, group[-1]))
    if kinds & ACCEPTED or kind.startswith(("relay.", "queue.", "notice.", "admin.queue.")):
        queued = await context.spool.queued(id_)
        return accepted_message(
            id_, group, as_it_will_be(queued, await rests(context.spool)) if queued is not None else None
        )
    if has_id:
        return other_story(id_, group + await _login(ledger, group[-1]))
    return structs.replace(other_story("", group), times=len(group))
