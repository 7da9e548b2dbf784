"""Release: a message that the door put into Junk, or a sender that it put off or turned away, was wanted
after all."""

from collections.abc import Sequence
from ipaddress import ip_address

from msgspec import Struct

from sekisho.admin.context import AdminRefused, Context
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.trace import received_id
from sekisho.core.policy.door.judge import TRUST_HELPS
from sekisho.core.policy.greylist import after_passing
from sekisho.core.terms.address import Address, AddressError
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Account
from sekisho.ports.learning import JUNK_KEYWORD, NOT_JUNK_KEYWORD
from sekisho.ports.ledger import LedgerEntry
from sekisho.ports.mailstore import MailboxInfo, OverQuota, SpecialUse

MOST_ENTRIES = 300
PORTION = 500
MOST_SEARCHED = 20_000  # messages in Junk, the newest first
_INBOX = "INBOX"
_JUNK_USE: SpecialUse = "\\Junk"


class ReleaseRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`id`: of a message, as the log, `why` and the reply to its sender have it."""

    id: str


class Released(Struct, frozen=True, kw_only=True):
    """`moved`: accounts whose copy is in INBOX now; `trusted`: those that trust the sender from now on,
    wherever its mail comes from, or from `network` only, if nothing vouches for its name. `temporary`: it was
    put off, and comes again by itself."""

    id: str
    sender: str
    moved: list[str]
    trusted: list[str]
    network: str = ""
    temporary: bool = False


async def release(context: Context, request: ReleaseRequest) -> Released:
    """Raises Refused when there is nothing to release, or when trust would not help."""
    id_ = request.id.strip().strip("<>").lower()
    entries = await _entries(context, id_)
    kinds = {entry.kind: entry for entry in entries}
    if accepted := kinds.get("reception.accepted"):
        released = await _release_copies(context, accepted)
    elif refused := kinds.get("reception.refused"):
        released = await _trust(context, refused, kinds.get("reception.evidence"))
    else:
        raise AdminRefused("{id} is not the id of a message from outside.", id=request.id)
    context.audit(
        "release", id_, sender=released.sender, moved=len(released.moved), trusted=len(released.trusted)
    )
    return released


async def _entries(context: Context, id_: str) -> list[LedgerEntry]:
    ledger = context.ledger
    if ledger is None:
        raise AdminRefused(
            "There is no ledger: ledger.enabled is false, or ledger.db cannot be opened (the log says why)."
        )
    await ledger.settle()
    found = [entry for entry in await ledger.find(id_, limit=MOST_ENTRIES) if entry.id == id_]
    if not found:
        raise AdminRefused("Nothing is known about {subject}.", subject=id_)
    return found


async def _accounts(context: Context, entry: LedgerEntry) -> list[Account]:
    """Whom its recipients lead to now."""
    found: dict[int, Account] = {}
    for text in str(entry.fields.get("recipient", "")).split():
        try:
            address = Address.from_text(text)
        except AddressError:
            continue
        found |= {
            account.id: account for account in (await context.door.recipients.resolve(address)).accounts
        }
    return list(found.values())


async def _release_copies(context: Context, entry: LedgerEntry) -> Released:
    """Whoever learns from moves learns from this one too: the recipients trust the sender, the classifier
    hears of it."""
    mail, moved = context.door.mail, []
    for account in await _accounts(context, entry):
        junk = next((one for one in await mail.mailboxes(account.id) if one.special_use == _JUNK_USE), None)
        uids = await _copies(context, junk, entry.id) if junk is not None else []
        if junk is None or not uids:
            continue
        try:
            copied = await mail.copy(junk.id, UidSet.of(uids), account.id, _INBOX, move=True)
        except OverQuota as error:
            raise AdminRefused("The mailbox of {address} is full.", address=account.address) from error
        inbox, targets = await mail.mailbox(account.id, _INBOX), UidSet.of(copied.target_uids)
        await mail.store_flags(inbox.id, targets, "remove", 0, (JUNK_KEYWORD,))
        await mail.store_flags(inbox.id, targets, "add", 0, (NOT_JUNK_KEYWORD,))
        context.door.junk.moved(account.id, _JUNK_USE, _INBOX, targets)
        moved.append(account.address)
    if not moved:
        raise AdminRefused("No copy of {id} lies in Junk.", id=entry.id)
    return Released(id=entry.id, sender=str(entry.fields.get("reverse_path", "")), moved=moved, trusted=moved)


async def _copies(context: Context, junk: MailboxInfo, message_id: str) -> list[int]:
    """The UIDs in Junk whose Received, put on top by this server, names the message."""
    mail = context.door.mail
    uids = (await mail.view(junk.account_id, junk.name, claim_recent=False)).uids
    found: list[int] = []
    for last in range(len(uids), max(0, len(uids) - MOST_SEARCHED), -PORTION):
        portion = uids & UidSet(((uids.uid_at(max(1, last - PORTION + 1)), uids.uid_at(last)),))
        for row in await mail.rows(junk.id, portion):
            octets = await mail.open(junk.id, row.uid) if row.prefix_octets else None
            if octets is None:
                continue
            prefix = HeaderSection(await octets.read(0, row.prefix_octets))
            if received_id(prefix.first(b"received") or b"") == message_id:
                found.append(row.uid)
        if found:
            break
    return found


async def _trust(context: Context, refused: LedgerEntry, evidence: LedgerEntry | None) -> Released:
    """The message is not here; the next of its author to these recipients passes what trust lets pass."""
    fields = evidence.fields if evidence is not None else {}
    rule, author = str(fields.get("rule") or refused.fields.get("rule", "")), str(fields.get("author", ""))
    if rule not in TRUST_HELPS:
        raise AdminRefused(
            "Trusting the sender does not change the rule {rule}. For what does: sekisho why {id}",
            rule=rule or "-",
            id=refused.id,
        )
    accounts: Sequence[Account] = await _accounts(context, refused)
    if not author or not accounts:
        raise AdminRefused(
            "{id} has no author or no recipient here, so its sender cannot be trusted.", id=refused.id
        )
    is_vouched = bool(fields.get("organization"))
    client = ip_address(str(fields.get("client", "")))
    network = context.door.experience.trust(
        author, client, [account.id for account in accounts], is_vouched=is_vouched
    )
    await context.door.reputation.flush()
    if key := str(fields.get("greylist_key", "")):
        now_us = context.clock.now_us()
        await context.door.greylist.change(key, lambda known: after_passing(known, now_us))
    addresses = [account.address for account in accounts]
    is_temporary = str(refused.fields.get("reply", "")).startswith("4")
    return Released(
        id=refused.id, sender=author, moved=[], trusted=addresses, network=network, temporary=is_temporary
    )
