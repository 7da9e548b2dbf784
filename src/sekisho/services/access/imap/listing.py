"""LIST and LSUB: which names, with which attributes (RFC 3501 §6.3.8–9, RFC 3348, RFC 5258, RFC 5819, RFC
6154)."""

from collections.abc import Iterable

from sekisho.core.imap import formatting
from sekisho.core.imap.commands import ListMailboxes
from sekisho.core.imap.patterns import ListPattern
from sekisho.core.imap.responses import DONE, Response
from sekisho.ports.mailstore import HIERARCHY_SEPARATOR, MailboxInfo, NoSuchMailbox
from sekisho.services.access.imap.mailboxes import send_status
from sekisho.services.access.imap.session import ImapSession

_CHOOSING = frozenset(("SUBSCRIBED", "SPECIAL-USE"))


async def list_mailboxes(session: ImapSession, command: ListMailboxes) -> Response:
    account_id = session.account_id
    if command.asks_root and not command.select and not command.give:
        session.send(b'* %b (\\Noselect) "/" ""\r\n' % (b"LSUB" if command.lsub else b"LIST"))
        return DONE
    store = session.context.ports.store
    patterns = [ListPattern(pattern) for pattern in command.patterns]
    if command.lsub:
        for name, attributes in _subscribed(await store.subscriptions(account_id), patterns[0]):
            session.send(b'* LSUB (%b) "/" %b\r\n' % (attributes, formatting.mailbox(name)))
        return DONE
    infos = {info.name: info for info in await store.mailboxes(account_id)}
    subscribed = (
        set(await store.subscriptions(account_id)) if "SUBSCRIBED" in command.select | command.give else set()
    )
    chosen = _chosen(command, infos, subscribed)
    parents = _superiors(infos)
    above_chosen = _superiors(chosen) if "RECURSIVEMATCH" in command.select else set()
    why = b' ("CHILDINFO" (%b))' % b" ".join(
        b'"%b"' % option.encode() for option in sorted(command.select & _CHOOSING)
    )
    for name in sorted({*infos, *chosen, *above_chosen}):
        if not any(pattern.matches(name) for pattern in patterns):
            continue
        # RFC 5258 §3.5: a name above a chosen one that is not shown itself says so.
        shows_for_child = name in above_chosen and _hides_child(name, chosen, patterns)
        if name not in chosen and not shows_for_child:
            continue
        child_info = why if shows_for_child else b""
        info = infos.get(name)
        attributes = _attributes(name, info, parents, subscribed)
        session.send(b'* LIST (%b) "/" %b%b\r\n' % (attributes, formatting.mailbox(name), child_info))
        if command.status and info is not None:
            await _send_status(session, info, command.status)
        await session.breathe()
    return DONE


async def _send_status(session: ImapSession, info: MailboxInfo, items: tuple[str, ...]) -> None:
    try:
        await send_status(session, info, items)
    except NoSuchMailbox:
        pass  # deleted meanwhile: RFC 5819 §2 allows to leave it out


def _chosen(command: ListMailboxes, infos: dict[str, MailboxInfo], subscribed: set[str]) -> set[str]:
    """The names that the selection options leave (RFC 5258 §3.1); subscribed names need not exist."""
    chosen = set(subscribed) if "SUBSCRIBED" in command.select else set(infos)
    if "SPECIAL-USE" in command.select:
        chosen = {name for name in chosen if name in infos and infos[name].special_use is not None}
    return chosen


def _attributes(name: str, info: MailboxInfo | None, parents: set[str], subscribed: set[str]) -> bytes:
    words = [b"\\HasChildren" if name in parents else b"\\HasNoChildren"]
    if info is None:
        words = [b"\\NonExistent"] if name not in parents else [b"\\NonExistent", b"\\HasChildren"]
    elif info.special_use is not None:
        words.append(info.special_use.encode())
    if name in subscribed:
        words.append(b"\\Subscribed")
    return b" ".join(words)


def _superiors(names: Iterable[str]) -> set[str]:
    """Every name above one of these."""
    found: set[str] = set()
    for name in names:
        parent = name.rpartition(HIERARCHY_SEPARATOR)[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition(HIERARCHY_SEPARATOR)[0]
    return found


def _hides_child(name: str, chosen: set[str], patterns: list[ListPattern]) -> bool:
    """Has it a chosen inferior that no pattern matches?"""
    return any(
        other.startswith(name + HIERARCHY_SEPARATOR)
        and not any(pattern.matches(other) for pattern in patterns)
        for other in chosen
    )


def _subscribed(names: list[str], pattern: ListPattern) -> list[tuple[str, bytes]]:
    """Names to answer LSUB with; a parent that is not subscribed itself shows for its hidden child (RFC 3501
    §6.3.9)."""
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
