"""HTML as a mail filter sees it: the text that is shown, what is hidden from the reader, the tags, and where
links lead.

No tree is built and nothing recurses: each pattern passes once over the text and stops at the next tag, so
the cost is linear.
"""

import html
import re
from dataclasses import dataclass, field

MAX_TAGS = 2000
MAX_ATTRIBUTES = 10
_MAX_SHOWN = 200  # characters of a link's text

_TAG = re.compile(r"<(/?[A-Za-z][\w:\-]{0,30}|[!?])([^<>]{0,2000})>?")
_ATTRIBUTE = re.compile(r"\b([A-Za-z\-]{1,30})\s*=\s*(\"[^\"]{0,300}\"|'[^']{0,300}'|[^\s>\"']{1,300})")
# What hides text from people and shows it to filters.
_HIDING = re.compile(
    r"display\s{0,3}:\s{0,3}none|visibility\s{0,3}:\s{0,3}hidden|font-size\s{0,3}:\s{0,3}[01](?:px|pt|em|%)"
    r"?\s{0,3}(?:;|\Z)"
    r"|opacity\s{0,3}:\s{0,3}0(?:\.0)?\s{0,3}(?:;|\Z)|max-height\s{0,3}:\s{0,3}0"
)
_PROGRAMS = frozenset(("script", "style"))  # what is inside is text to nobody
_CLOSED_BY_THEMSELVES = frozenset(("p", "li", "td", "tr", "th", "option"))
_SEPARATING = frozenset(("br", "p", "div", "td", "tr", "li", "table", "h1", "h2", "h3"))
_VOID = frozenset(("br", "img", "hr", "meta", "link", "input", "area", "base", "col", "wbr", "param"))
_LINKS = frozenset(("href", "src", "action", "background"))
_QUOTES = "\"' \t\r\n"


@dataclass(slots=True)
class Link:
    """`shown`: the text between <a> and </a>, cut; what a reader believes about `target`."""

    target: str
    shown: str = ""


@dataclass(slots=True, kw_only=True)
class Hypertext:
    """`shown` and `hidden` are text with its character references resolved; `tags` counts them; `marks` are
    "tag attribute=value"."""

    shown: str = ""
    hidden: str = ""
    comments: int = 0
    tags: dict[str, int] = field(default_factory=dict)
    marks: set[str] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)  # of images, forms and the like


def read_hypertext(text: str) -> Hypertext:
    """Bounded by the caller: `text` is looked at once from front to end."""
    return _Reader(text).read()


def _without_comments(text: str) -> tuple[str, int]:
    if "<!--" not in text:
        return text, 0
    kept, position, count = [], 0, 0
    while (start := text.find("<!--", position)) >= 0:
        kept.append(text[position:start])
        end = text.find("-->", start + 4)
        count += 1
        if end < 0:
            return "".join(kept), count
        position = end + 3
    kept.append(text[position:])
    return "".join(kept), count


class _Reader:
    def __init__(self, text: str) -> None:
        self._out = Hypertext()
        self._text, self._out.comments = _without_comments(text)
        self._shown: list[str] = []
        self._hidden: list[str] = []
        self._hiding: list[str] = []  # the tag that hides, once for each of its name that is open
        self._link: Link | None = None

    def read(self) -> Hypertext:
        """What comes after the last tag that is counted is left out."""
        text, out, position = self._text, self._out, 0
        for number, match in enumerate(_TAG.finditer(text)):
            self._take(text[position : match.start()])
            position = match.end()
            if number >= MAX_TAGS:
                position = len(text)
                break
            self._tag(match[1].lower(), match[2])
        self._take(text[position:])
        out.shown = html.unescape("".join(self._shown))
        out.hidden = html.unescape("".join(self._hidden))
        return out

    def _take(self, text: str) -> None:
        if not text:
            return
        if self._hiding:
            if self._hiding[0] not in _PROGRAMS:
                self._hidden.append(text)
            return
        self._shown.append(text)
        if self._link is not None and len(self._link.shown) < _MAX_SHOWN:
            self._link.shown += text[:_MAX_SHOWN]

    def _tag(self, name: str, rest: str) -> None:
        tags = self._out.tags
        tags[name] = tags.get(name, 0) + 1
        if name[0] in "!?":
            return
        if name[0] == "/":
            self._close(name[1:])
            return
        if name in _SEPARATING:
            (self._hidden if self._hiding else self._shown).append(" ")
        hides = name in _PROGRAMS
        if rest:
            hides = self._attributes(name, rest) or hides
        if self._hiding and name == self._hiding[0]:
            if name in _CLOSED_BY_THEMSELVES:
                self._hiding.clear()
            else:
                self._hiding.append(name)
        if hides and not self._hiding and name not in _VOID:
            self._hiding.append(name)

    def _close(self, name: str) -> None:
        if name == "a":
            self._link = None
        if self._hiding and name == self._hiding[0]:
            self._hiding.pop()

    def _attributes(self, name: str, rest: str) -> bool:
        """Notes them; does one of them hide what is inside?"""
        hides = False
        for number, match in enumerate(_ATTRIBUTE.finditer(rest)):
            if number >= MAX_ATTRIBUTES:
                break
            key, value = match[1].lower(), match[2].strip(_QUOTES)
            if key in _LINKS:
                self._linked(name, html.unescape(value))
                continue
            value = value.lower()
            if key == "style" and _HIDING.search(value):
                hides = True
            self._out.marks.add(f"{name} {key}={value[:20]}")
        return hides

    def _linked(self, name: str, target: str) -> None:
        if name == "a":
            self._link = Link(target)
            self._out.links.append(self._link)
        else:
            self._out.sources.append(target)
