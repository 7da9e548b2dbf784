"""ENVELOPE (RFC 3501 §7.4.2) from the raw fields of a message.

The address reader here is for showing, never for deciding: it makes something of any octets, in linear time, without recursion.
"""

import re
from collections.abc import Iterable

from sekisho.core.imap.formatting import nstring, string
from sekisho.core.message.structure import Part

MAX_ADDRESSES = 500  # of one kind (THREATS 27)
MAX_FIELD_OCTETS = 65536

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
_ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def format_envelope(part: Part) -> bytes:
    """The envelope of a message's first part (or of the message inside a message/rfc822)."""
    lists = {name: _format_addresses(part.fields.get(name, ())) for name in _ADDRESS_FIELDS}
    # RFC 3501 §7.4.2: sender and reply-to default to from.
    for name in (b"sender", b"reply-to"):
        if lists[name] == b"NIL":
            lists[name] = lists[b"from"]
    out = [_nfield(part, b"date"), _nfield(part, b"subject"), *(lists[name] for name in _ADDRESS_FIELDS)]
    out += [_nfield(part, b"in-reply-to"), _nfield(part, b"message-id")]
    return b"(" + b" ".join(out) + b")"


def _nfield(part: Part, name: bytes) -> bytes:
    value = part.first(name)
    return nstring(None if value is None else value[:MAX_FIELD_OCTETS])


def _format_addresses(values: Iterable[bytes]) -> bytes:
    reader = _AddressReader()
    for value in values:
        reader.read(value[:MAX_FIELD_OCTETS])
    return b"(" + b"".join(reader.found) + b")" if reader.found else b"NIL"


class _AddressReader:
    """Collects formatted addresses; groups become the start and end marks of RFC 3501 §7.4.2."""

    def __init__(self) -> None:
        self.found: list[bytes] = []
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
            self.found.append(b"(NIL NIL NIL NIL)")
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
            self.found.append(b"(NIL NIL %b NIL)" % string(b" ".join(self._words)))
            self._in_group = True
            self._clear()
        elif piece == b"," and self._in_angle and self._route is not None and self._local is None:
            self._route += b"".join(self._words) + b","
            self._words = []
        elif piece in (b",", b";"):
            self._finish()
            if piece == b";" and self._in_group:
                self.found.append(b"(NIL NIL NIL NIL)")
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
            # A missing host is written as an empty string: NIL would mean a group.
            self.found.append(b"(%b %b %b %b)" % (nstring(name), nstring(self._route), string(local), string(host)))
        self._clear()


def _joined(words: list[bytes]) -> bytes:
    """A local part of several words; white space around dots means nothing (RFC 5322 §4.4 obs-local-part)."""
    return b" ".join(words).replace(b" .", b".").replace(b". ", b".")
