"""Commands about mailboxes as such: SELECT to STATUS (RFC 3501 §6.3)."""

from typing import get_args

from sekisho.core.imap import formatting
from sekisho.core.imap.commands import Create, Delete, ListMailboxes, Rename, Select, Status, Subscribe
from sekisho.core.imap.patterns import ListPattern
from sekisho.ports.mailstore import HIERARCHY_SEPARATOR, MailboxInfo, SpecialUse
from sekisho.services.access.imap.selected import Selected, flags_response
from sekisho.services.access.imap.session import CommandFailed, ImapSession

_USES: dict[str, SpecialUse] = {use.lower(): use for use in get_args(SpecialUse)}


async def select(session: ImapSession, command: Select) -> str:
    """SELECT and EXAMINE. A failed SELECT leaves no mailbox selected (RFC 3501 §6.3.1)."""
    account_id = session.account_id
    session.deselect()
    view = await session.context.ports.store.view(account_id, command.name, claim_recent=not command.read_only)
    uids = session.context.views.share(view.info.id, view.uids)
    selected = Selected(view, uids, read_only=command.read_only, now=session.context.ports.clock.monotonic())
    session.select(selected)
    lines = flags_response(view.keywords, read_only=command.read_only)
    lines.append(b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(uids), len(view.recent)))
    if view.first_unseen_uid is not None:
        number = uids.number_of(view.first_unseen_uid)
        if number is not None:
            lines.append(b"* OK [UNSEEN %d] First unseen message\r\n" % number)
    lines.append(b"* OK [UIDVALIDITY %d] UIDs are valid\r\n* OK [UIDNEXT %d] Next UID\r\n" % (view.info.uidvalidity, view.info.uidnext))
    session.send_all(lines)
    return "OK [READ-ONLY] Selected" if command.read_only else "OK [READ-WRITE] Selected"


async def create(session: ImapSession, command: Create) -> str:
    """CREATE, perhaps with a special use (RFC 6154 §3)."""
    uses = [_USES.get(use.lower()) for use in command.uses]
    if None in uses or len(uses) > 1:
        raise CommandFailed("NO [USEATTR] This special use cannot be given")
    name = command.name.removesuffix(HIERARCHY_SEPARATOR)  # RFC 3501 §6.3.3
    await session.context.ports.store.create_mailbox(session.account_id, check_name(name), uses[0] if uses else None)
    return "OK Created"


async def delete(session: ImapSession, command: Delete) -> str:
    if command.name == "INBOX":
        raise CommandFailed("NO [CANNOT] INBOX cannot be deleted")
    await session.context.ports.store.delete_mailbox(session.account_id, command.name)
    if session.selected is not None and session.selected.name == command.name:
        session.deselect()
    return "OK Deleted"


async def rename(session: ImapSession, command: Rename) -> str:
    new_name = check_name(command.new_name.removesuffix(HIERARCHY_SEPARATOR))
    await session.context.ports.store.rename_mailbox(session.account_id, command.name, new_name)
    selected = session.selected
    if selected is not None and command.name != "INBOX" and (selected.name + "/").startswith(command.name + "/"):
        selected.name = new_name + selected.name[len(command.name) :]
    if selected is not None:
        selected.is_stale = True
    return "OK Renamed"


async def subscribe(session: ImapSession, command: Subscribe) -> str:
    await session.context.ports.store.set_subscribed(session.account_id, command.name, command.subscribed)
    return "OK Subscribed" if command.subscribed else "OK Unsubscribed"


async def list_mailboxes(session: ImapSession, command: ListMailboxes) -> str:
    """LIST with CHILDREN and SPECIAL-USE attributes, and LSUB (RFC 3501 §6.3.8–9, RFC 3348 §3, RFC 6154 §2)."""
    word = b"LSUB" if command.subscribed else b"LIST"
    account_id = session.account_id
    if command.asks_root:
        session.send(b'* %b (\\Noselect) "/" ""\r\n' % word)
        return "OK Done"
    store = session.context.ports.store
    pattern = ListPattern(command.pattern)
    if command.subscribed:
        for name, attributes in _subscribed(await store.subscriptions(account_id), pattern):
            session.send(b'* LSUB (%b) "/" %b\r\n' % (attributes, formatting.mailbox(name)))
        return "OK Done"
    infos = await store.mailboxes(account_id)
    parents = {info.name.rpartition(HIERARCHY_SEPARATOR)[0] for info in infos}
    for info in infos:
        if pattern.matches(info.name):
            attributes = b"\\HasChildren" if info.name in parents else b"\\HasNoChildren"
            if info.special_use is not None:
                attributes += b" " + info.special_use.encode()
            session.send(b'* LIST (%b) "/" %b\r\n' % (attributes, formatting.mailbox(info.name)))
            await session.breathe()
    return "OK Done"


def _subscribed(names: list[str], pattern: ListPattern) -> list[tuple[str, bytes]]:
    """Names to answer LSUB with; a parent that is not subscribed itself shows for its hidden child (RFC 3501 §6.3.9)."""
    found: dict[str, bytes] = {}
    for name in names:
        if pattern.matches(name):
            found[name] = b""
            continue
        levels = name.split(HIERARCHY_SEPARATOR)
        for depth in range(len(levels) - 1, 0, -1):
            parent = HIERARCHY_SEPARATOR.join(levels[:depth])
            if pattern.matches(parent):
                found.setdefault(parent, b"\\Noselect")
                break
    return sorted(found.items())


async def status(session: ImapSession, command: Status) -> str:
    """STATUS, with SIZE and DELETED (RFC 8438 §3, RFC 9051 §6.3.11)."""
    store = session.context.ports.store
    info = await store.mailbox(session.account_id, command.name)
    values = {
        "MESSAGES": info.messages,
        "UIDNEXT": info.uidnext,
        "UIDVALIDITY": info.uidvalidity,
        "UNSEEN": info.unseen,
        "SIZE": info.size_octets,
        "DELETED": info.deleted,
    }
    if "RECENT" in command.items:
        values["RECENT"] = await _count_recent(session, info)
    pairs = " ".join(f"{item} {values[item]}" for item in command.items)
    session.send(b"* STATUS %b (%b)\r\n" % (formatting.mailbox(info.name), pairs.encode()))
    return "OK Done"


async def _count_recent(session: ImapSession, info: MailboxInfo) -> int:
    if info.first_recent_uid >= info.uidnext:
        return 0
    view = await session.context.ports.store.view(info.account_id, info.name, claim_recent=False)
    return len(view.uids) - view.uids.count_up_to(info.first_recent_uid - 1)


def namespace(session: ImapSession) -> str:
    """One personal namespace, nothing shared (RFC 2342 §5)."""
    session.send(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return "OK Done"


def check_name(name: str) -> str:
    """A name that may be created; raises CommandFailed."""
    levels = name.split(HIERARCHY_SEPARATOR)
    if not all(levels) or any(character in name for character in "*%"):
        raise CommandFailed("NO [CANNOT] A mailbox name has no empty level and no * or %")
    return name
