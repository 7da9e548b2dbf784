"""Commands about mailboxes as such: SELECT to STATUS (RFC 3501 §6.3)."""

from typing import get_args

from sekisho.core.imap import formatting
from sekisho.core.imap.commands import Create, Delete, Rename, Select, Status, Subscribe
from sekisho.core.imap.responses import DONE, No, Ok, Response
from sekisho.ports.mailstore import HIERARCHY_SEPARATOR, MailboxInfo, SpecialUse
from sekisho.services.access.imap.selected import Selected, flags_response
from sekisho.services.access.imap.session import CommandFailed, ImapSession

_USES: dict[str, SpecialUse] = {use.lower(): use for use in get_args(SpecialUse)}


async def select(session: ImapSession, command: Select) -> Response:
    """SELECT and EXAMINE. A failed SELECT leaves no mailbox selected (RFC 3501 §6.3.1)."""
    account_id = session.account_id
    session.deselect()
    view = await session.context.ports.store.view(
        account_id, command.name, claim_recent=not command.read_only
    )
    uids = session.context.views.share(view.info.id, view.uids)
    selected = Selected(view, uids, read_only=command.read_only, now=session.context.ports.clock.monotonic())
    session.select(selected)
    lines = flags_response(view.keywords, read_only=command.read_only)
    lines.append(b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(uids), len(view.recent)))
    if view.first_unseen_uid is not None:
        number = uids.number_of(view.first_unseen_uid)
        if number is not None:
            lines.append(b"* OK [UNSEEN %d] First unseen message\r\n" % number)
    lines.append(
        b"* OK [UIDVALIDITY %d] UIDs are valid\r\n* OK [UIDNEXT %d] Next UID\r\n"
        % (view.info.uidvalidity, view.info.uidnext)
    )
    session.send_all(lines)
    return Ok("Selected", "READ-ONLY") if command.read_only else Ok("Selected", "READ-WRITE")


async def create(session: ImapSession, command: Create) -> Response:
    """CREATE, perhaps with a special use (RFC 6154 §3)."""
    uses = [_USES.get(use.lower()) for use in command.uses]
    if None in uses or len(uses) > 1:
        raise CommandFailed(No("This special use cannot be set", "USEATTR"))
    name = command.name.removesuffix(HIERARCHY_SEPARATOR)  # RFC 3501 §6.3.3
    await session.context.ports.store.create_mailbox(
        session.account_id, check_name(name), uses[0] if uses else None
    )
    return Ok("Created")


async def delete(session: ImapSession, command: Delete) -> Response:
    if command.name == "INBOX":
        raise CommandFailed(No("INBOX cannot be deleted", "CANNOT"))
    await session.context.ports.store.delete_mailbox(session.account_id, command.name)
    if session.selected is not None and session.selected.name == command.name:
        session.deselect()
    return Ok("Deleted")


async def rename(session: ImapSession, command: Rename) -> Response:
    new_name = check_name(command.new_name.removesuffix(HIERARCHY_SEPARATOR))
    await session.context.ports.store.rename_mailbox(session.account_id, command.name, new_name)
    selected = session.selected
    if (
        selected is not None
        and command.name != "INBOX"
        and (selected.name + "/").startswith(command.name + "/")
    ):
        selected.name = new_name + selected.name[len(command.name) :]
    if selected is not None:
        selected.is_stale = True
    return Ok("Renamed")


async def subscribe(session: ImapSession, command: Subscribe) -> Response:
    await session.context.ports.store.set_subscribed(session.account_id, command.name, command.subscribed)
    return Ok("Subscribed") if command.subscribed else Ok("Unsubscribed")


async def status(session: ImapSession, command: Status) -> Response:
    """STATUS, with SIZE and DELETED (RFC 8438 §3, RFC 9051 §6.3.11)."""
    info = await session.context.ports.store.mailbox(session.account_id, command.name)
    await send_status(session, info, command.items)
    return DONE


async def send_status(session: ImapSession, info: MailboxInfo, items: tuple[str, ...]) -> None:
    values = {
        "MESSAGES": info.messages,
        "UIDNEXT": info.uidnext,
        "UIDVALIDITY": info.uidvalidity,
        "UNSEEN": info.unseen,
        "SIZE": info.size_octets,
        "DELETED": info.deleted,
    }
    if "RECENT" in items:
        values["RECENT"] = await _count_recent(session, info)
    pairs = " ".join(f"{item} {values[item]}" for item in items)
    session.send(b"* STATUS %b (%b)\r\n" % (formatting.mailbox(info.name), pairs.encode()))


async def _count_recent(session: ImapSession, info: MailboxInfo) -> int:
    if info.first_recent_uid >= info.uidnext:
        return 0
    view = await session.context.ports.store.view(info.account_id, info.name, claim_recent=False)
    return len(view.uids) - view.uids.count_up_to(info.first_recent_uid - 1)


def namespace(session: ImapSession) -> Response:
    """One personal namespace, nothing shared (RFC 2342 §5)."""
    session.send(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return DONE


def check_name(name: str) -> str:
    """A name that may be created; raises CommandFailed."""
    levels = name.split(HIERARCHY_SEPARATOR)
    if not all(levels) or any(character in name for character in "*%"):
        raise CommandFailed(No("A mailbox name must not contain an empty level, * or %", "CANNOT"))
    return name
