"""The header section, indexed once over the raw octets and handed on (DESIGN §5).

Nothing is decoded, unfolded or repaired here; offsets are into the octets given, so that whole fields can be
cut by range (law 6).
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# RFC 5322 §2.2: printable US-ASCII without colon; §4.5.8 obsolete white space before the colon. §2.2.3
# folding.
_FIELD_OR_LINE = re.compile(rb"([!-9;-~]+)([ \t]*:)([^\n]*(?:\n[ \t][^\n]*)*\n?)|([^\n]*\n|[^\n]+\Z)")
_LINES_PER_FIELD = 8
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class Field(NamedTuple):
    """`octets[start:end]` is the whole field with its last CRLF; `octets[value:end]` begins after the colon.

    `name` is lower-case; b"" marks a line that is no field at all.
    """

    name: bytes
    start: int
    value: int
    end: int


class HeaderSection:
    """`octets[:end]` are the fields; `octets[body:]` is the body (body == end when there is no empty
    line)."""

    __slots__ = ("body", "by_name", "end", "fields", "has_repeated", "is_complete", "octets", "too_many")

    def __init__(self, octets: bytes, max_fields: int = 1000) -> None:
        """Index the section at the start of `octets`. `is_complete` tells whether its empty line was found;
        `too_many` whether indexing stopped at `max_fields` (THREATS 27); `has_repeated` whether any name is
        there twice. `by_name`: for reading."""
        self.octets = octets
        self.end, self.body, self.is_complete = _find_end(octets)
        self.too_many = False
        fields = self.fields = list[Field]()
        by_name = self.by_name = dict[bytes, list[Field]]()
        new = tuple.__new__  # half the cost of calling Field
        start = 0
        for name, colon, content, line in _pieces(octets, self.end, max_fields):
            if len(fields) >= max_fields:
                self.too_many = True
                break
            value = start + len(name) + len(colon)
            name = name.lower()
            field = new(Field, (name, start, value, value + len(content) + len(line)))
            start = field.end
            fields.append(field)
            if name in by_name:
                by_name[name].append(field)
            else:
                by_name[name] = [field]
        self.has_repeated = len(by_name) < len(fields)

    def all(self, name: bytes) -> list[Field]:
        """The fields of a lower-case name, top first."""
        return self.by_name.get(name, [])

    def count(self, name: bytes) -> int:
        return len(self.by_name.get(name, ()))

    def value(self, field: Field) -> bytes:
        """The body of a field, unfolded (RFC 5322 §2.2.3), without its line end and outer white space."""
        return _FOLD.sub(b"", self.octets[field.value : field.end]).strip(b" \t\r\n")

    def first(self, name: bytes) -> bytes | None:
        found = self.by_name.get(name)
        return self.value(found[0]) if found else None

    def values(self, name: bytes) -> Iterator[bytes]:
        return map(self.value, self.by_name.get(name, ()))

    def without(self, names: frozenset[bytes]) -> bytes:
        """The section's fields without those named (lower-case), each of the others untouched."""
        kept = [self.octets[f.start : f.end] for f in self.fields if f.name not in names]
        return b"".join(kept)

    def excluding(self, cuts: list[Field]) -> bytes:
        """The section's fields without those given, each of the others untouched."""
        gone = {field.start for field in cuts}
        return b"".join(self.octets[f.start : f.end] for f in self.fields if f.start not in gone)


def _pieces(octets: bytes, end: int, max_fields: int) -> Iterable[tuple[bytes, ...]]:
    """(name, white space and colon, value) of each field, or the line that is none in fourth place. All at
    once where that is little."""
    if octets.count(b"\n", 0, end) <= _LINES_PER_FIELD * max_fields:
        return _FIELD_OR_LINE.findall(octets, 0, end)  # half the cost of asking match after match
    return (match.groups(b"") for match in _FIELD_OR_LINE.finditer(octets, 0, end))


def _find_end(octets: bytes) -> tuple[int, int, bool]:
    """(end of the last field, start of the body, was there an empty line)."""
    if octets.startswith(b"\r\n"):
        return 0, 2, True
    if octets.startswith(b"\n"):
        return 0, 1, True
    strict = octets.find(b"\r\n\r\n")
    before = strict if strict >= 0 else len(octets)
    if octets.rfind(b"\n\n", 0, before) >= 0:  # mostly not there, which rfind sees faster
        bare = octets.find(b"\n\n", 0, before)
        return bare + 1, bare + 2, True
    if strict >= 0:
        return strict + 2, strict + 4, True
    return len(octets), len(octets), False
