"""Addresses as mail programs show them: something is made of any octets, in linear time, without recursion.
For ENVELOPE, and for the door, which asks whom a reader could take for the author; never for finding out who
it is (`address_list`)."""

import re
from typing import NamedTuple

MAX_ADDRESSES = 500  # of one kind (THREATS 27)

# One lexical piece of RFC 5322 §3.4, whatever comes; in this order.
_PIECE = re.compile(
    rb'"(?P<quoted>(?:[^"\\]|\\.)*)(?:"|\Z)'
    rb"|(?P<space>[ \t\r\n]+)"
    rb"|(?P<special>[,;:<>@()])"
    rb"|(?P<literal>\[[^\[\]]*\])"
    rb'|(?P<atom>[^ \t\r\n,;:<>@()"\[\]]+)'
    rb"|(?P<other>.)",
    re.DOTALL,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


class ShownAddress(NamedTuple):
    """The four parts of RFC 3501 §7.4.2 `address`. `host` None: `local` is the name of a group that begins;
    both None: it ends."""

    name: bytes | None
    route: bytes | None
    local: bytes | None
    host: bytes | None


GROUP_ENDS = ShownAddress(None, None, None, None)


class AddressReader:
    """Collects addresses of one kind of field; groups become the start and end marks of RFC 3501 §7.4.2."""

    def __init__(self) -> None:
        self.found: list[ShownAddress] = []
        self._in_group = False
        self._clear()

    def _clear(self) -> None:
        self._words: list[bytes] = []  # a phrase, or the local part
        self._spaced = False  # white space since the last word
        self._comment: list[bytes] = []
        self._in_angle = False
        self._name: bytes | None = None  # the phrase before "<"
        self._route: bytes | None = None
        self._local: bytes | None = None  # what stood before "@"
        self._seen_angle = False

    def read(self, value: bytes) -> None:
        """One more field's value, unfolded."""
        depth = 0
        for match in _PIECE.finditer(value):
            kind, piece = match.lastgroup, match[0]
            if depth:  # inside a comment: RFC 5322 §3.2.2
                depth += (piece == b"(") - (piece == b")")
                if depth:
                    self._comment.append(piece)
            elif piece == b"(" and kind == "special":
                depth = 1
                self._comment.clear()
            elif kind == "space":
                self._spaced = True
            elif kind == "special":
                self._special(piece)
            else:
                self._word(_ESCAPED.sub(rb"\1", match["quoted"]) if kind == "quoted" else piece)
            if len(self.found) >= MAX_ADDRESSES:
                return
        self._finish()
        if self._in_group:
            self.found.append(GROUP_ENDS)
            self._in_group = False

    def _word(self, word: bytes) -> None:
        if self._words and not self._spaced:
            self._words[-1] += word
        else:
            self._words.append(word)
        self._spaced = False

    def _special(self, piece: bytes) -> None:
        if piece == b"<" and not self._in_angle:
            self._name = b" ".join(self._words) or None
            self._words, self._in_angle, self._seen_angle, self._local = [], True, True, None
        elif piece == b">" and self._in_angle:
            self._in_angle = False
        elif piece == b"@":
            if self._in_angle and not self._words and self._local is None:
                self._route = (self._route or b"") + b"@"
            elif self._local is None:
                self._local = _joined(self._words)
                self._words = []
        elif piece == b":" and self._in_angle:
            if self._route is not None:  # RFC 5322 §4.4: the route before the address
                self._route += b"".join(self._words)
                self._words, self._local = [], None
        elif piece == b":" and not self._in_group:
            self.found.append(ShownAddress(None, None, b" ".join(self._words), None))
            self._in_group = True
            self._clear()
        elif piece == b"," and self._in_angle and self._route is not None and self._local is None:
            self._route += b"".join(self._words) + b","
            self._words = []
        elif piece in (b",", b";"):
            self._finish()
            if piece == b";" and self._in_group:
                self.found.append(GROUP_ENDS)
                self._in_group = False

    def _finish(self) -> None:
        """The end of one address."""
        name, local, host = self._name, self._local, b""
        if local is not None:
            host = b"".join(self._words)
        elif self._seen_angle or len(self._words) < 2:
            local = _joined(self._words)
        else:  # words without any address: more of a name than of a mailbox
            name, local = b" ".join(self._words), b""
        if name is None and self._comment:
            name = b"".join(self._comment).strip() or None  # the old way to write a display name
        if local or host or self._name or self._words:
            # A missing host is an empty string: None would mean a group.
            self.found.append(ShownAddress(name, self._route, local, host))
        self._clear()


def _joined(words: list[bytes]) -> bytes:
    """A local part of several words; white space around dots means nothing (RFC 5322 §4.4 obs-local-part)."""
    return b" ".join(words).replace(b" .", b".").replace(b". ", b".")
