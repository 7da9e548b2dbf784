"""The header section that a script sees: the fields of the message, and what it changed (RFC 5293)."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.text import decode_field
from sekisho.core.sieve.actions import AddField, DeleteField, HeaderEdit

_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_LINE = 76


class SeenField(NamedTuple):
    """`name` in lower case; `octets`: the field as it stands, its line end included; `value` begins behind
    the colon."""

    name: bytes
    octets: bytes
    value: int

    @property
    def raw(self) -> bytes:
        """Unfolded, without outer white space."""
        return _FOLD.sub(b"", self.octets[self.value :]).strip(b" \t\r\n")

    @property
    def text(self) -> str:
        """The same, with encoded words read (RFC 5228 §2.7.2)."""
        return decode_field(self.raw)


class FieldList:
    """In order, from the top. `edits`: every change so far."""

    def __init__(self, header: HeaderSection) -> None:
        octets = header.octets
        self._fields = [
            SeenField(each.name, octets[each.start : each.end], each.value - each.start)
            for each in header.fields
        ]
        self.edits: list[HeaderEdit] = []

    def named(self, name: str) -> list[SeenField]:
        key = name.lower().encode("utf-8", "surrogateescape")
        return [each for each in self._fields if each.name == key] if key else []

    def first(self, name: str) -> bytes | None:
        found = self.named(name)
        return found[0].raw if found else None

    def places(self, name: str) -> list[tuple[int, SeenField]]:
        key = name.lower().encode("utf-8", "surrogateescape")
        return [(place, each) for place, each in enumerate(self._fields) if each.name == key]

    def add(self, edit: AddField) -> None:
        self.edits.append(edit)
        _add(self._fields, edit)

    def delete(self, places: Iterable[int]) -> None:
        for place in sorted(places, reverse=True):
            self.edits.append(DeleteField(place))
            del self._fields[place]


def _add(fields: list[SeenField], edit: AddField) -> None:
    octets = format_field(edit.name, edit.value)
    new = SeenField(edit.name.lower().encode("ascii"), octets, len(edit.name) + 1)
    if edit.at_end:
        fields.append(new)
    else:
        fields.insert(0, new)


def edited(header: HeaderSection, edits: Iterable[HeaderEdit]) -> bytes:
    """The fields after the changes, for who stores or sends the message."""
    fields = FieldList(header)
    for edit in edits:
        if isinstance(edit, AddField):
            fields.add(edit)
        else:
            fields.delete([edit.place])
    return b"".join(each.octets for each in fields._fields)


def format_field(name: str, value: str) -> bytes:
    """A field with its CRLF, folded at spaces. `value` has no line ends of its own."""
    return b"\r\n".join(_folded(f"{name}: {value}".encode("utf-8", "replace"))) + b"\r\n"


def _folded(line: bytes) -> Iterator[bytes]:
    while len(line) > _LINE:
        cut = line.rfind(b" ", line.find(b":") + 2 if b":" in line[:_LINE] else 1, _LINE)
        if cut <= 0:
            cut = line.find(b" ", _LINE)
        if cut <= 0 or not line[:cut].strip() or not line[cut:].strip():
            break
        yield line[:cut]
        line = line[cut:]
    yield line
