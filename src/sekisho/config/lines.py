"""Where in a TOML text a setting stands, as far as a scan of its lines can tell."""

import re
from collections.abc import Mapping

Location = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_PART = re.compile(_KEY)


def toml_path(location: Location) -> str:
    """("listeners", 2, "port") -> "listeners[2].port"; keys that need quotes get them. Arrays count from
    0."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part if _BARE.match(part) else f'"{part}"'
            path += f".{name}" if path else name
    return path


def line_of(lines: Mapping[Location, int], location: Location) -> int | None:
    """The 1-based line of this place, or of the closest table or array around it."""
    while location:
        if location in lines:
            return lines[location]
        location = location[:-1]
    return None


def scan_lines(text: str) -> dict[Location, int]:
    """The 1-based line of each table header and each assignment; what stands in inline tables and arrays is
    not looked into."""
    found: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    table: Location = ()
    closing = ""  # the quotes that end a string over several lines
    for number, line in enumerate(text.split("\n"), 1):
        if closing:
            closing = "" if closing in line else closing
            continue
        if header := _HEADER.match(line):
            keys = _resolve(_parts(header[2]), counts)
            if header[1] == "[[":
                counts[keys] = counts.get(keys, -1) + 1
                found.setdefault(keys, number)
                keys = (*keys, counts[keys])
            table = keys
            found.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            found.setdefault(table + _parts(assignment[1]), number)
            for quotes in ('"""', "'''"):
                if line.count(quotes) == 1:
                    closing = quotes
    return found


def _parts(dotted: str) -> Location:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _resolve(keys: Location, counts: Mapping[Location, int]) -> Location:
    """Put the running index behind each array of tables that the header goes through."""
    out: Location = ()
    for position, key in enumerate(keys):
        out = (*out, key)
        if position < len(keys) - 1 and out in counts:
            out = (*out, counts[out])
    return out
