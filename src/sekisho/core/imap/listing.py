"""LIST and LSUB (RFC 3501 §6.3.8–9) with the options of LIST-EXTENDED (RFC 5258), SPECIAL-USE (RFC 6154) and
LIST-STATUS (RFC 5819)."""

from sekisho.core.imap.commands import ListMailboxes
from sekisho.core.imap.cursor import Cursor, ParseError

_STATUS_ITEMS = frozenset(("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "DELETED"))
_SELECT = frozenset(("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"))
_GIVE = frozenset(("SUBSCRIBED", "CHILDREN", "SPECIAL-USE"))
_MAX_PATTERNS = 50


def parse_status_items(cursor: Cursor) -> tuple[str, ...]:
    """A parenthesised list of STATUS items."""
    items = _words(cursor)
    if not items or not _STATUS_ITEMS.issuperset(items):
        raise ParseError("an unknown STATUS item" if items else "STATUS needs an item")
    return tuple(dict.fromkeys(items))


def parse_list(cursor: Cursor, name: bytes, uid: bool) -> ListMailboxes:
    """Behind LIST or LSUB."""
    cursor.expect(b" ")
    lsub = name == b"LSUB"
    select: frozenset[str] = frozenset()
    if not lsub and cursor.data.startswith(b"(", cursor.position):
        select = frozenset(_words(cursor))
        if not select <= _SELECT:
            raise ParseError("an unknown LIST selection option")
        # RFC 5258 §3.1: it modifies another selection option.
        if "RECURSIVEMATCH" in select and not select & {"SUBSCRIBED", "SPECIAL-USE"}:
            raise ParseError("RECURSIVEMATCH needs another selection option")
        cursor.expect(b" ")
    reference = cursor.mailbox()
    cursor.expect(b" ")
    patterns = _patterns(cursor, lsub)
    give: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()
    if not lsub and cursor.accept(b" "):
        if cursor.keyword() != b"RETURN":
            raise ParseError("RETURN is missing")
        cursor.expect(b" ")
        give, status = _return_options(cursor)
    joined = tuple(_with_inbox(reference + pattern) for pattern in patterns)
    return ListMailboxes(
        patterns=joined, lsub=lsub, asks_root=patterns == [""], select=select, give=give, status=status
    )


def _words(cursor: Cursor) -> list[str]:
    cursor.expect(b"(")
    words: list[str] = []
    while not cursor.accept(b")"):
        if words:
            cursor.expect(b" ")
        words.append(cursor.keyword().decode())
    return words


def _patterns(cursor: Cursor, lsub: bool) -> list[str]:
    if lsub or not cursor.accept(b"("):
        return [cursor.list_mailbox()]
    patterns = [cursor.list_mailbox()]
    while cursor.accept(b" "):
        patterns.append(cursor.list_mailbox())
        if len(patterns) > _MAX_PATTERNS:
            raise ParseError(f"more than {_MAX_PATTERNS} patterns")
    cursor.expect(b")")
    return patterns


def _return_options(cursor: Cursor) -> tuple[frozenset[str], tuple[str, ...]]:
    cursor.expect(b"(")
    give: set[str] = set()
    status: tuple[str, ...] = ()
    first = True
    while not cursor.accept(b")"):
        if not first:
            cursor.expect(b" ")
        first = False
        word = cursor.keyword().decode()
        if word == "STATUS":
            cursor.expect(b" ")
            status = parse_status_items(cursor)
        elif word in _GIVE:
            give.add(word)
        else:
            raise ParseError("an unknown LIST return option")
    return frozenset(give), status


def _with_inbox(pattern: str) -> str:
    if pattern[:5].upper() == "INBOX" and pattern[5:6] in ("", "/"):
        return "INBOX" + pattern[5:]
    return pattern
