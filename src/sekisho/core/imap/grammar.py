"""From the octets of one command to its record (RFC 3501 §9 and the extensions' additions).

The table at the end says for each command how its arguments are read and in which states it may come (RFC
3501 §6): a new command is a record in `commands`, a function here, a row in the table, and what answers it in
the service.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from sekisho.core.imap.commands import (
    Append,
    Authenticate,
    ClientId,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    Expunge,
    Fetch,
    LoginCommand,
    Rename,
    Search,
    Select,
    Simple,
    Status,
    Store,
    Subscribe,
)
from sekisho.core.imap.cursor import Cursor, ParseError
from sekisho.core.imap.dates import parse_date_time
from sekisho.core.imap.fetch_items import parse_fetch_items
from sekisho.core.imap.formatting import FLAG_BITS
from sekisho.core.imap.listing import parse_list, parse_status_items
from sekisho.core.imap.search_keys import SearchParser

# RFC 3501 §9 `tag`: ASTRING-CHAR except "+".
TAG = re.compile(rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,100}(?= )")
_FLAG = re.compile(rb"\\?[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,200}")
_INITIAL = re.compile(rb"[A-Za-z0-9+/]*={0,2}\Z")
_CHARSETS = {"US-ASCII": "utf-8", "ASCII": "utf-8", "UTF-8": "utf-8"}
MAX_KEYWORDS = 100
MAX_ID_FIELDS = 30  # RFC 2971 §3.3


State = Literal[
    "not authenticated", "authenticated", "selected"
]  # RFC 3501 §3; the state of LOGOUT is the machine's end


def parse_command(data: bytes, state: State) -> tuple[bytes, Command]:
    """(tag, command) of one whole command with its last CRLF removed; raises ParseError, and WrongState
    before any argument is read.

    `ImapMachine` has checked sizes and NUL; the tag of a bad command is found by `tag_of`.
    """
    tag = tag_of(data)
    if tag is None:
        raise ParseError("the tag is missing or malformed")
    cursor = Cursor(data, len(tag) + 1)
    name = cursor.keyword()
    uid = name == b"UID"
    if uid:
        cursor.expect(b" ")
        name = cursor.keyword()
        if name not in _UID_COMMANDS:
            raise ParseError("this command has no UID form")
    row = _COMMANDS.get(name)
    if row is None:
        raise ParseError("unknown command")
    check_state(row.states, state)
    command = row.parse(cursor, name, uid)
    cursor.end()
    return tag, command


class WrongState(ParseError):
    """The command may not come now."""


def check_state(allowed: frozenset[State], state: State) -> None:
    """Raises WrongState (RFC 3501 §6: a command in another state is a protocol error)."""
    if state in allowed:
        return
    if state == "not authenticated":
        raise WrongState("Log in first")
    raise WrongState("Somebody is logged in already" if allowed == LOGGED_OUT else "Select a mailbox first")


def tag_of(data: bytes) -> bytes | None:
    match = TAG.match(data)
    return match[0] if match else None


def parse_append_head(data: bytes) -> Append:
    """What stands between the tag and the message literal of APPEND (RFC 3501 §6.3.11); raises ParseError."""
    cursor = Cursor(data, len(tag_of(data) or b"") + 1)
    cursor.keyword()
    cursor.expect(b" ")
    name = cursor.mailbox()
    cursor.expect(b" ")
    bits: int = 0
    keywords: tuple[str, ...] = ()
    if cursor.accept(b"("):
        bits, keywords = _flags_until_closed(cursor)
        cursor.expect(b" ")
    date_us, offset = None, 0
    if cursor.data.startswith(b'"', cursor.position):
        try:
            date_us, offset = parse_date_time(cursor.string())
        except ValueError as error:
            raise ParseError('the date must be written like "17-Jul-2026 02:44:25 +0900"') from error
        cursor.expect(b" ")
    cursor.end()
    return Append(name=name, flags=bits, keywords=keywords, date_us=date_us, offset_minutes=offset)


def _simple(cursor: Cursor, name: bytes, uid: bool) -> Command:
    return Simple(name.decode())  # type: ignore[arg-type]  # the table below names only those of Simple


def _id(cursor: Cursor, name: bytes, uid: bool) -> Command:
    cursor.expect(b" ")
    if not cursor.accept(b"("):
        if cursor.nstring() is not None:
            raise ParseError("ID needs a list or NIL")
        return ClientId(())
    fields: list[tuple[bytes, bytes]] = []
    while not cursor.accept(b")"):
        if fields:
            cursor.expect(b" ")
        field = cursor.string()
        cursor.expect(b" ")
        fields.append((field[:30], (cursor.nstring() or b"")[:1024]))
        if len(fields) > MAX_ID_FIELDS:
            raise ParseError(f"more than {MAX_ID_FIELDS} ID fields")
    return ClientId(tuple(fields))


def _enable(cursor: Cursor, name: bytes, uid: bool) -> Command:
    wanted: list[str] = []
    while not wanted or not cursor.at_end:
        cursor.expect(b" ")
        wanted.append(cursor.keyword().decode())
    return Enable(tuple(wanted))


def _authenticate(cursor: Cursor, name: bytes, uid: bool) -> Command:
    cursor.expect(b" ")
    mechanism = cursor.keyword().decode()
    initial = None
    if cursor.accept(b" "):  # RFC 4959 §3
        initial = cursor.match(_INITIAL, "base64")[0]
        if not initial:
            raise ParseError("an empty initial response must be written as '='")
    return Authenticate(mechanism, initial)


def _login(cursor: Cursor, name: bytes, uid: bool) -> Command:
    cursor.expect(b" ")
    username = cursor.astring()
    cursor.expect(b" ")
    return LoginCommand(username, cursor.astring())


def _mailbox_argument(cursor: Cursor) -> str:
    cursor.expect(b" ")
    return cursor.mailbox()


def _select(cursor: Cursor, name: bytes, uid: bool) -> Command:
    return Select(_mailbox_argument(cursor), name == b"EXAMINE")


def _create(cursor: Cursor, name: bytes, uid: bool) -> Command:
    mailbox = _mailbox_argument(cursor)
    uses: list[str] = []
    if cursor.accept(b" "):  # RFC 6154 §3
        cursor.expect(b"(")
        if cursor.keyword() != b"USE":
            raise ParseError("an unknown CREATE parameter")
        cursor.expect(b" (")
        while not cursor.accept(b")"):
            if uses:
                cursor.expect(b" ")
            uses.append(cursor.match(_FLAG, "an attribute")[0].decode())
        cursor.expect(b")")
    return Create(mailbox, tuple(uses))


def _delete(cursor: Cursor, name: bytes, uid: bool) -> Command:
    return Delete(_mailbox_argument(cursor))


def _rename(cursor: Cursor, name: bytes, uid: bool) -> Command:
    old = _mailbox_argument(cursor)
    return Rename(old, _mailbox_argument(cursor))


def _subscribe(cursor: Cursor, name: bytes, uid: bool) -> Command:
    return Subscribe(_mailbox_argument(cursor), name == b"SUBSCRIBE")


def _status(cursor: Cursor, name: bytes, uid: bool) -> Command:
    mailbox = _mailbox_argument(cursor)
    cursor.expect(b" ")
    return Status(mailbox, parse_status_items(cursor))


def _append(cursor: Cursor, name: bytes, uid: bool) -> Command:
    """Whole APPEND commands never come here: their literal is streamed."""
    raise ParseError("APPEND needs a literal")


def _expunge(cursor: Cursor, name: bytes, uid: bool) -> Command:
    if not uid:
        return Expunge(None)
    cursor.expect(b" ")
    return Expunge(cursor.sequence_set())


def _search(cursor: Cursor, name: bytes, uid: bool) -> Command:
    cursor.expect(b" ")
    charset = "US-ASCII"
    if cursor.data[cursor.position : cursor.position + 8].upper() == b"CHARSET ":
        cursor.position += 8
        charset = cursor.astring().decode("ascii", "replace").upper()
        cursor.expect(b" ")
    if charset not in _CHARSETS:
        cursor.position = len(cursor.data)
        return Search(uid, charset, None)
    return Search(uid, charset, SearchParser(cursor, _CHARSETS[charset]).parse_all())


def _fetch(cursor: Cursor, name: bytes, uid: bool) -> Command:
    cursor.expect(b" ")
    messages = cursor.sequence_set()
    cursor.expect(b" ")
    items = parse_fetch_items(cursor)
    if uid and "UID" not in items:
        items = ("UID", *items)  # RFC 3501 §6.4.8
    return Fetch(uid, messages, items)


_HOW: dict[bytes, Literal["add", "remove", "replace"]] = {b"+": "add", b"-": "remove"}


def _store(cursor: Cursor, name: bytes, uid: bool) -> Command:
    cursor.expect(b" ")
    messages = cursor.sequence_set()
    cursor.expect(b" ")
    word = cursor.keyword()
    how = _HOW.get(word[:1], "replace")
    if how != "replace":
        word = word[1:]
    if word not in (b"FLAGS", b"FLAGS.SILENT"):
        raise ParseError("STORE can change FLAGS only")
    cursor.expect(b" ")
    if cursor.accept(b"("):
        bits, keywords = _flags_until_closed(cursor)
    else:
        bits, keywords = _flag_list(cursor)
    return Store(
        uid=uid, messages=messages, how=how, silent=word == b"FLAGS.SILENT", flags=bits, keywords=keywords
    )


def _copy(cursor: Cursor, name: bytes, uid: bool) -> Command:
    cursor.expect(b" ")
    messages = cursor.sequence_set()
    return Copy(uid, messages, _mailbox_argument(cursor), name == b"MOVE")


def _flags_until_closed(cursor: Cursor) -> tuple[int, tuple[str, ...]]:
    if cursor.accept(b")"):
        return 0, ()
    found = _flag_list(cursor)
    cursor.expect(b")")
    return found


def _flag_list(cursor: Cursor) -> tuple[int, tuple[str, ...]]:
    """flag *(SP flag), without parentheses: (bits, keywords); \\Recent is refused (RFC 3501 §2.3.2)."""
    bits = 0
    keywords: dict[str, str] = {}
    while True:
        flag = cursor.match(_FLAG, "a flag")[0]
        if flag.startswith(b"\\"):
            bit = FLAG_BITS.get(flag.lower())
            if bit is None:
                raise ParseError("this system flag cannot be changed")
            bits |= bit
        else:
            keywords.setdefault(flag.decode().lower(), flag.decode())
        if len(keywords) > MAX_KEYWORDS:
            raise ParseError(f"more than {MAX_KEYWORDS} keywords")
        if not cursor.accept(b" "):
            return bits, tuple(keywords.values())


class _Row(NamedTuple):
    parse: Callable[[Cursor, bytes, bool], Command]
    states: frozenset[State]


ANY: frozenset[State] = frozenset(("not authenticated", "authenticated", "selected"))
LOGGED_OUT: frozenset[State] = frozenset(("not authenticated",))
LOGGED_IN: frozenset[State] = ANY - LOGGED_OUT
SELECTED: frozenset[State] = frozenset(("selected",))

_UID_COMMANDS = frozenset((b"FETCH", b"STORE", b"COPY", b"MOVE", b"SEARCH", b"EXPUNGE"))
_COMMANDS: dict[bytes, _Row] = {
    b"CAPABILITY": _Row(_simple, ANY),
    b"NOOP": _Row(_simple, ANY),
    b"LOGOUT": _Row(_simple, ANY),
    b"ID": _Row(_id, ANY),
    b"STARTTLS": _Row(_simple, LOGGED_OUT),
    b"AUTHENTICATE": _Row(_authenticate, LOGGED_OUT),
    b"LOGIN": _Row(_login, LOGGED_OUT),
    b"ENABLE": _Row(_enable, LOGGED_IN),
    b"NAMESPACE": _Row(_simple, LOGGED_IN),
    b"IDLE": _Row(_simple, LOGGED_IN),  # RFC 2177 §3
    b"SELECT": _Row(_select, LOGGED_IN),
    b"EXAMINE": _Row(_select, LOGGED_IN),
    b"CREATE": _Row(_create, LOGGED_IN),
    b"DELETE": _Row(_delete, LOGGED_IN),
    b"RENAME": _Row(_rename, LOGGED_IN),
    b"SUBSCRIBE": _Row(_subscribe, LOGGED_IN),
    b"UNSUBSCRIBE": _Row(_subscribe, LOGGED_IN),
    b"LIST": _Row(parse_list, LOGGED_IN),
    b"LSUB": _Row(parse_list, LOGGED_IN),
    b"STATUS": _Row(_status, LOGGED_IN),
    b"APPEND": _Row(_append, LOGGED_IN),
    b"CHECK": _Row(_simple, SELECTED),
    b"CLOSE": _Row(_simple, SELECTED),
    b"UNSELECT": _Row(_simple, SELECTED),  # RFC 3691 §2
    b"EXPUNGE": _Row(_expunge, SELECTED),
    b"SEARCH": _Row(_search, SELECTED),
    b"FETCH": _Row(_fetch, SELECTED),
    b"STORE": _Row(_store, SELECTED),
    b"COPY": _Row(_copy, SELECTED),
    b"MOVE": _Row(_copy, SELECTED),  # RFC 6851 §3.1
}
