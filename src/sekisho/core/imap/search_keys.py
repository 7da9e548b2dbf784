"""SEARCH programs (RFC 3501 §6.4.4) as a tree of frozen records."""

from typing import Literal

from msgspec import Struct

from sekisho.core.imap.cursor import ATOM, Cursor, ParseError
from sekisho.core.imap.dates import parse_date
from sekisho.core.imap.sequences import SEQUENCE_SET, SequenceSet

MAX_NESTING = 50
MAX_KEYS = 1000


class FlagKey(Struct, frozen=True):
    """`bit` 0 is \\Recent."""

    bit: int
    is_set: bool


class KeywordKey(Struct, frozen=True):
    keyword: str
    is_set: bool


class MessagesKey(Struct, frozen=True):
    """Sequence numbers, or UIDs."""

    messages: SequenceSet
    uid: bool


class DateKey(Struct, frozen=True):
    """`day` is an ordinal. `sent`: the Date field instead of the internal date."""

    how: Literal["before", "on", "since"]
    sent: bool
    day: int


class SizeKey(Struct, frozen=True):
    larger: bool
    octets: int


class HeaderKey(Struct, frozen=True):
    """A field (lower-case name) holds the text; the empty text asks whether the field is there at all."""

    name: bytes
    text: str


class TextKey(Struct, frozen=True):
    """The text occurs in the body, or in header and body."""

    text: str
    with_header: bool


class NotKey(Struct, frozen=True):
    key: "SearchKey"


class OrKey(Struct, frozen=True):
    left: "SearchKey"
    right: "SearchKey"


class AndKey(Struct, frozen=True):
    """All of them; without any, every message."""

    keys: tuple["SearchKey", ...]


SearchKey = (
    FlagKey | KeywordKey | MessagesKey | DateKey | SizeKey | HeaderKey | TextKey | NotKey | OrKey | AndKey
)

ALL = AndKey(())
_PLAIN: dict[bytes, SearchKey] = {
    b"ALL": ALL,
    b"ANSWERED": FlagKey(1, True),
    b"UNANSWERED": FlagKey(1, False),
    b"FLAGGED": FlagKey(2, True),
    b"UNFLAGGED": FlagKey(2, False),
    b"DELETED": FlagKey(4, True),
    b"UNDELETED": FlagKey(4, False),
    b"SEEN": FlagKey(8, True),
    b"UNSEEN": FlagKey(8, False),
    b"DRAFT": FlagKey(16, True),
    b"UNDRAFT": FlagKey(16, False),
    b"RECENT": FlagKey(0, True),
    b"OLD": FlagKey(0, False),
    b"NEW": AndKey((FlagKey(0, True), FlagKey(8, False))),
}
_DATES: dict[bytes, tuple[Literal["before", "on", "since"], bool]] = {
    b"BEFORE": ("before", False),
    b"ON": ("on", False),
    b"SINCE": ("since", False),
    b"SENTBEFORE": ("before", True),
    b"SENTON": ("on", True),
    b"SENTSINCE": ("since", True),
}
_FIELDS = frozenset((b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO"))


class SearchParser:
    """Parses the keys of one command; counts keys and nesting against the caps."""

    __slots__ = ("_charset", "_cursor", "_keys")

    def __init__(self, cursor: Cursor, charset: str) -> None:
        self._cursor = cursor
        self._charset = charset
        self._keys = 0

    def parse_all(self, nesting: int = 0) -> SearchKey:
        """search-key *(SP search-key)"""
        keys = [self._parse(nesting)]
        while self._cursor.accept(b" "):
            keys.append(self._parse(nesting))
        return keys[0] if len(keys) == 1 else AndKey(tuple(keys))

    def _parse(self, nesting: int) -> SearchKey:
        cursor = self._cursor
        self._keys += 1
        if nesting > MAX_NESTING or self._keys > MAX_KEYS:
            raise ParseError("the search is too complex")
        if cursor.accept(b"("):
            inner = self.parse_all(nesting + 1)
            cursor.expect(b")")
            return inner
        if SEQUENCE_SET.match(cursor.data, cursor.position):
            return MessagesKey(cursor.sequence_set(), uid=False)
        name = cursor.keyword()
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain
        cursor.expect(b" ")
        if name == b"NOT":
            return NotKey(self._parse(nesting + 1))
        if name == b"OR":
            left = self._parse(nesting + 1)
            cursor.expect(b" ")
            return OrKey(left, self._parse(nesting + 1))
        return self._parse_argument(name)

    def _parse_argument(self, name: bytes) -> SearchKey:
        cursor = self._cursor
        if name in _DATES:
            how, sent = _DATES[name]
            try:
                return DateKey(how, sent, parse_date(cursor.astring()))
            except ValueError as error:
                raise ParseError("a search date must be written like 1-Feb-2026") from error
        if name in _FIELDS:
            return HeaderKey(name.lower(), self._text())
        if name in (b"BODY", b"TEXT"):
            return TextKey(self._text(), with_header=name == b"TEXT")
        if name in (b"LARGER", b"SMALLER"):
            return SizeKey(name == b"LARGER", cursor.number())
        if name in (b"KEYWORD", b"UNKEYWORD"):
            return KeywordKey(cursor.match(ATOM, "a keyword")[0].decode(), name == b"KEYWORD")
        if name == b"UID":
            return MessagesKey(cursor.sequence_set(), uid=True)
        if name == b"HEADER":
            field = cursor.astring().lower()
            cursor.expect(b" ")
            return HeaderKey(field, self._text())
        raise ParseError("an unknown search key")

    def _text(self) -> str:
        try:
            # RFC 3501 §6.4.4: without CHARSET it is US-ASCII; UTF-8 is its superset and harmless to take.
            return self._cursor.astring().decode(self._charset)
        except UnicodeError as error:
            raise ParseError(f"the search text is not {self._charset.upper()}") from error
