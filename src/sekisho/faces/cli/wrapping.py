"""Wrapping text by the columns that it takes on a terminal: Japanese letters take two, and have no spaces
between them.

What somebody copies (commands, addresses, ids) is never broken: a word that is wider than the line stays
whole.
"""

import unicodedata
from collections.abc import Iterator

_NEVER_FIRST = frozenset("、。,.!?:;)]}」』】〉》…・ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ、。!?:;)")
_NEVER_LAST = frozenset("「『【〈《([(")
UNWRAPPED = "\b"  # click's mark: the paragraph below this line keeps its lines


def columns_of(text: str) -> int:
    """How wide a terminal shows it."""
    return len(text) if text.isascii() else sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    return (
        2 if unicodedata.east_asian_width(character) in "WF" else 0 if unicodedata.combining(character) else 1
    )


def fill(text: str, width: int, indent: str = "") -> str:
    """One paragraph in lines of at most `width` columns, each with the indent."""
    lines: list[str] = []
    line = indent
    for space, piece in _pieces(text):
        joined = line + (space if line != indent else "") + piece
        if line != indent and columns_of(joined) > width:
            lines.append(line)
            line = indent + piece
        else:
            line = joined
    return "\n".join([*lines, line])


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(space before it, what may not be broken)."""
    for word in text.split():
        piece, space = "", " "
        for character in word:
            breaks = piece and (_columns(character) == 2 or _columns(piece[-1]) == 2)
            if breaks and character not in _NEVER_FIRST and piece[-1] not in _NEVER_LAST:
                yield space, piece
                piece, space = "", ""
            piece += character
        yield space, piece


def narrowest(text: str) -> int:
    """The columns that its widest piece takes: in less it would have to be broken."""
    return max((columns_of(piece) for _, piece in _pieces(text)), default=0)


def fill_paragraphs(text: str, width: int, indent: str = "") -> str:
    """Paragraphs are parted by an empty line; one that begins with a line `UNWRAPPED` keeps its lines."""
    done = []
    for paragraph in text.split("\n\n"):
        first, _, rest = paragraph.strip("\n").partition("\n")
        if first.strip() == UNWRAPPED:
            done.append("\n".join(indent + line for line in rest.split("\n")))
        elif paragraph.strip():
            done.append(fill(paragraph, width, indent))
    return "\n\n".join(done)
