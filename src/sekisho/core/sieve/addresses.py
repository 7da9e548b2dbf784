"""The addresses of a field as Sieve tests see them (RFC 5228 §5.1): forgiving, for sorting mail only. No
decision about "who" is made here.

One pass of one pattern over the value, no recursion, bounded.
"""

import re
from itertools import pairwise
from typing import NamedTuple

MAX_ADDRESSES = 1000
_MAX_VALUE = 65_536
_PIECE = re.compile(
    r'(?P<space>[ \t\r\n]+)|(?P<quoted>"[^"\\]*+(?:\\.[^"\\]*+)*+")'
    r'|(?P<special>[<>,;:@.\[\]()])|(?P<atom>[^ \t\r\n"<>,;:@.\[\]()]++)|(?P<odd>.)',
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_COMMENT_MARK = re.compile(r"[()\\]")


class MailAddress(NamedTuple):
    """`local` without quoting. `whole` as it stood, without comments and white space; domain "" where what
    stood there is no address."""

    whole: str
    local: str
    domain: str

    def taken_apart(self, separators: str) -> tuple[str, str | None]:
        """RFC 5233 §3: user and detail; None for a detail where no separator is."""
        places = [place for separator in separators if (place := self.local.find(separator)) >= 0]
        return (self.local[: min(places)], self.local[min(places) + 1 :]) if places else (self.local, None)


def read_addresses(value: str) -> list[MailAddress]:
    """Of all mailboxes and groups in the value, in order."""
    return _Reader(value[:_MAX_VALUE]).read()


def read_path(path: str) -> MailAddress:
    """An envelope's path; `whole` is "" for the null path. A source route is passed over (RFC 5321
    §4.1.1.3)."""
    path = path.strip("<>")
    if path.startswith("@") and ":" in path:
        path = path.partition(":")[2]
    local, _, domain = path.rpartition("@")
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        local = _ESCAPED.sub(r"\1", local[1:-1])
    return MailAddress(path, local, domain) if local else MailAddress(path, path, "")


class _Reader:
    def __init__(self, value: str) -> None:
        self._value = value
        self._found: list[MailAddress] = []
        self._words: list[str] = []  # of the mailbox at hand, white space left out
        self._angle: list[str] | None = None
        self._is_closed = False
        self._phrase = False

    def read(self) -> list[MailAddress]:
        position = 0
        value = self._value
        while position < len(value) and len(self._found) < MAX_ADDRESSES:
            if value[position] == "(":
                position = _behind_comment(value, position)
                continue
            match = _PIECE.match(value, position)
            if match is None:
                break
            position = match.end()
            if match.lastgroup == "special":
                self._special(match[0])
            elif match.lastgroup != "space":
                self._add(match[0])
        self._end()
        return self._found

    def _add(self, text: str) -> None:
        if self._angle is not None:
            if not self._is_closed:
                self._angle.append(text)
        else:
            self._words.append(text)

    def _special(self, special: str) -> None:
        if special in ",;":
            self._end()
        elif special == "<":
            if self._angle is None:
                self._angle = []
        elif special == ">":
            self._is_closed = True
        elif special == ":":
            if self._angle is None:
                self._words = []  # a group's name
            elif not self._is_closed:
                self._angle = []  # RFC 5322 §4.4: a route
        else:
            self._add(special)

    def _end(self) -> None:
        words = self._words if self._angle is None else self._angle
        text = "".join(words)
        bare = self._angle is None
        if text:
            local, _, domain = text.rpartition("@")
            if local.startswith('"') and local.endswith('"') and len(local) > 1:
                local = _ESCAPED.sub(r"\1", local[1:-1])
            broken = not local or not domain or (bare and _is_phrase(words))
            self._found.append(
                MailAddress(
                    " ".join(words) if broken and bare else text,
                    "" if broken else local,
                    "" if broken else domain,
                )
            )
        self._words, self._angle, self._is_closed = [], None, False


def _is_phrase(words: list[str]) -> bool:
    """Two words without a special between them are no address."""
    plain = [word not in ("@", ".", "[", "]") for word in words]
    return any(one and two for one, two in pairwise(plain))


def _behind_comment(value: str, position: int) -> int:
    depth = 0
    while match := _COMMENT_MARK.search(value, position):
        position = match.end()
        if match[0] == "\\":
            position += 1
        else:
            depth += 1 if match[0] == "(" else -1
            if depth == 0:
                return position
    return len(value)
