"""The data items of FETCH (RFC 3501 §6.4.5)."""

import re
from typing import Literal

from msgspec import Struct

from sekisho.core.imap.cursor import Cursor, ParseError
from sekisho.core.imap.formatting import astring

Attribute = Literal["FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE"]
SectionKind = Literal["", "HEADER", "TEXT", "MIME", "HEADER.FIELDS", "HEADER.FIELDS.NOT"]
MAX_PART_DEPTH = 100
MAX_ITEMS = 200
MAX_FIELD_NAMES = 200


class Section(Struct, frozen=True, kw_only=True):
    """Octets of a message. `part` (1, 2) is "1.2"; () is the message itself. `label` is how the answer names
    it."""

    part: tuple[int, ...]
    kind: SectionKind
    label: bytes
    names: frozenset[bytes] = frozenset()  # lower case
    peek: bool = True
    partial: tuple[int, int] | None = None  # first octet, count


FetchItem = Attribute | Section

_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PARTS = re.compile(rb"[1-9][0-9]{0,4}(?:\.[1-9][0-9]{0,4})*")
_KIND = re.compile(rb"(?i)HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME")
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([1-9][0-9]{0,9})>")
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    b"FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    b"FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_PLAIN: dict[bytes, FetchItem] = {
    b"FLAGS": "FLAGS",
    b"UID": "UID",
    b"INTERNALDATE": "INTERNALDATE",
    b"RFC822.SIZE": "RFC822.SIZE",
    b"ENVELOPE": "ENVELOPE",
    b"BODYSTRUCTURE": "BODYSTRUCTURE",
    b"RFC822": Section(part=(), kind="", label=b"RFC822", peek=False),
    b"RFC822.HEADER": Section(part=(), kind="HEADER", label=b"RFC822.HEADER"),
    b"RFC822.TEXT": Section(part=(), kind="TEXT", label=b"RFC822.TEXT", peek=False),
}


def parse_fetch_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """One macro, one item, or a list of items; raises ParseError."""
    if not cursor.accept(b"("):
        macro = _NAME.match(cursor.data, cursor.position)
        if macro and macro[0].upper() in _MACROS:
            cursor.position = macro.end()
            return _MACROS[macro[0].upper()]
        return (_parse_item(cursor),)
    items = [_parse_item(cursor)]
    while cursor.accept(b" "):
        items.append(_parse_item(cursor))
        if len(items) > MAX_ITEMS:
            raise ParseError(f"more than {MAX_ITEMS} items")
    cursor.expect(b")")
    return tuple(dict.fromkeys(items))


def _parse_item(cursor: Cursor) -> FetchItem:
    name = cursor.match(_NAME, "a FETCH item")[0].upper()
    if name in (b"BODY", b"BODY.PEEK") and cursor.accept(b"["):
        return _parse_section(cursor, peek=name == b"BODY.PEEK")
    if name == b"BODY":
        return "BODY"
    item = _PLAIN.get(name)
    if item is None:
        raise ParseError("an unknown FETCH item")
    return item


def _parse_section(cursor: Cursor, *, peek: bool) -> Section:
    """Behind `BODY[`. RFC 3501 §9 `section`."""
    part: tuple[int, ...] = ()
    label = b""
    kind: SectionKind = ""
    names: list[bytes] = []
    numbers = _PARTS.match(cursor.data, cursor.position)
    if numbers:
        cursor.position = numbers.end()
        part = tuple(map(int, numbers[0].split(b".")))
        label = numbers[0]
        if len(part) > MAX_PART_DEPTH:
            raise ParseError("the part number is too deep")
    if not cursor.data.startswith(b"]", cursor.position):
        if numbers:
            cursor.expect(b".")
            label += b"."
        word = cursor.match(_KIND, "a section name")[0].upper()
        kind = word.decode()  # type: ignore[assignment]  # one of the alternatives of _KIND
        label += word
        if kind == "MIME" and not part:
            raise ParseError("MIME needs a part number")
        if kind.startswith("HEADER.FIELDS"):
            names = _parse_field_names(cursor)
            label += b" (%b)" % b" ".join(map(astring, names))
    cursor.expect(b"]")
    partial = None
    origin = b""
    if cursor.data.startswith(b"<", cursor.position):
        match = cursor.match(_PARTIAL, "a partial range")
        partial = (int(match[1]), int(match[2]))
        origin = b"<%d>" % partial[0]
    return Section(
        part=part,
        kind=kind,
        label=b"BODY[%b]%b" % (label, origin),
        names=frozenset(name.lower() for name in names),
        peek=peek,
        partial=partial,
    )


def _parse_field_names(cursor: Cursor) -> list[bytes]:
    cursor.expect(b" ")
    cursor.expect(b"(")
    names = [cursor.astring()]
    while cursor.accept(b" "):
        names.append(cursor.astring())
        if len(names) > MAX_FIELD_NAMES:
            raise ParseError(f"more than {MAX_FIELD_NAMES} field names")
    cursor.expect(b")")
    return names
