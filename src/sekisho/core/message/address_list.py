"""Address lists of From, Sender and the like, for decisions (RFC 5322 §3.4, obsolete forms of §4.4 included).

Strict where a reader could be led astray: anything that the grammar does not give is malformed, never guessed
at. One pass over tokens, no recursion, bounded (THREATS 27, 30).
"""

import re
from collections.abc import Container
from typing import NamedTuple

from sekisho.core.terms.address import MAX_LOCAL_OCTETS, Address, AddressError, parse_domain

MAX_VALUE_OCTETS = 65_536
MAX_ADDRESSES = 1000
MAX_COMMENT_DEPTH = 100

_ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-\u0080-\U0010ffff]"
_TOKEN = re.compile(
    rf'[ \t\r\n]+|(?P<atom>{_ATEXT}+)|"(?P<quoted>[^"\\\0]*(?:\\[^\0][^"\\\0]*)*)"|\[(?P<literal>[^\[\]\\\0'
    rf"]*)\]|(?P<special>[<>@,;:.])"
)
_COMMENT_MARK = re.compile(r"[()\\\0]")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_LOOSE_LOCAL = re.compile(rf"{_ATEXT}(?:{_ATEXT}|\.)*\Z")


# What nearly everybody writes: one strict address, alone or behind a display name. The parser gives the same
# for it.
_ATEXT_OCTETS = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]++"
_PHRASE = rb"(?:[ \t\r\n.A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\x80-\xff]++|\"[^\"\\\0]*+\")*+"
_MAILBOX = rb"(%b(?:\.%b)*+)@([A-Za-z0-9\-]++(?:\.[A-Za-z0-9\-]++)*+)" % (_ATEXT_OCTETS, _ATEXT_OCTETS)
_ONE = re.compile(rb"(?:%b<%b>|[ \t\r\n]*+%b)[ \t\r\n]*+\Z" % (_PHRASE, _MAILBOX, _MAILBOX))


class _Malformed(Exception):
    pass


class _Token(NamedTuple):
    kind: str  # "atom", "quoted", "literal", or the special itself
    text: str


_END = _Token("end", "")


def parse_address_list(
    value: bytes, loose_domains: Container[str] = (), *, routes: bool = True
) -> tuple[Address, ...] | None:
    """The addresses of a field's value, groups opened, in order; None if it is malformed or exceeds the
    bounds.

    An empty tuple is a well-formed list without addresses (an empty group). `loose_domains` as in
    `Address.from_text`. `routes`: whether an obsolete route (`<@relay:user@host>`) is passed over, or
    malformed.
    """
    if len(value) > MAX_VALUE_OCTETS:
        return None
    try:
        if one := _ONE.match(value):
            return (_strict_address(one[1] or one[3], one[2] or one[4]),)
        tokens = _tokens(value.decode("utf-8", "surrogateescape"))
        return tuple(_Parser(tokens, loose_domains, routes=routes).parse())
    except (_Malformed, AddressError, UnicodeEncodeError):
        return None


def _strict_address(local: bytes, domain: bytes) -> Address:
    if len(local) > MAX_LOCAL_OCTETS:
        raise _Malformed
    return Address(local.decode("ascii"), parse_domain(domain.decode("ascii")))


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(text):
        if text[position] == "(":
            position = _skip_comment(text, position)
            continue
        match = _TOKEN.match(text, position)
        if not match:
            raise _Malformed
        kind = match.lastgroup
        if kind == "special":
            tokens.append(_Token(match[0], match[0]))
        elif kind == "quoted":
            # RFC 5322 §3.2.4: folding is no part of the string, a quoted-pair stands for its character.
            tokens.append(
                _Token(kind, re.sub(r"\\(.)", r"\1", _FOLD.sub("", match["quoted"]), flags=re.DOTALL))
            )
        elif kind is not None:
            tokens.append(_Token(kind, match[kind]))
        position = match.end()
    return tokens


def _skip_comment(text: str, position: int) -> int:
    """The position behind a comment, nested ones included (RFC 5322 §3.2.2)."""
    depth = 0
    while True:
        match = _COMMENT_MARK.search(text, position)
        if not match or match[0] == "\0":
            raise _Malformed
        position = match.end()
        if match[0] == "\\":
            position += 1
        elif match[0] == "(":
            depth += 1
            if depth > MAX_COMMENT_DEPTH:
                raise _Malformed
        else:
            depth -= 1
            if depth == 0:
                return position


class _Parser:
    def __init__(self, tokens: list[_Token], loose_domains: Container[str], *, routes: bool) -> None:
        self._tokens = tokens
        self._next = 0
        self._loose_domains = loose_domains
        self._routes = routes
        self._found: list[Address] = []

    def _peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def parse(self) -> list[Address]:
        in_group = False
        empty = True
        while True:
            run = self._words()
            token = self._take()
            if token.kind == "<":
                self._angle()
            elif token.kind == "@":
                self._add(run, self._domain())
            elif token.kind == ":":
                if in_group or not run:
                    raise _Malformed
                in_group, empty = True, False
                continue
            elif run:
                raise _Malformed  # words that name nobody
            else:
                self._next -= 1
            delimiter = self._take().kind
            if delimiter == ";" and in_group:
                in_group = False
                delimiter = self._take().kind
            if delimiter == "end":
                if in_group or (empty and not self._found):
                    raise _Malformed
                return self._found
            if delimiter != ",":
                raise _Malformed

    def _words(self) -> list[_Token]:
        """A phrase or a local part: atoms, quoted strings, dots."""
        start = self._next
        while self._peek().kind in ("atom", "quoted", "."):
            self._next += 1
        return self._tokens[start : self._next]

    def _angle(self) -> None:
        if self._routes:
            self._skip_route()
        run = self._words()
        if self._take().kind != "@":
            raise _Malformed
        self._add(run, self._domain())
        if self._take().kind != ">":
            raise _Malformed

    def _skip_route(self) -> None:
        """RFC 5322 §4.4 obs-route: domains with commas between them and a colon behind. Recognised, not
        used."""
        if self._peek().kind not in ("@", ","):
            return
        while True:
            while self._peek().kind == ",":
                self._take()
            if self._take().kind != "@":
                raise _Malformed
            self._domain()
            while self._peek().kind == ",":
                self._take()
                if self._peek().kind == "@":
                    break
            else:
                break
        if self._take().kind != ":":
            raise _Malformed

    def _domain(self) -> str:
        if self._peek().kind == "literal":
            return parse_domain(f"[{self._take().text.strip()}]")
        labels = []
        while True:
            token = self._take()
            if token.kind != "atom":
                raise _Malformed
            labels.append(token.text)
            if self._peek().kind != ".":
                return parse_domain(".".join(labels))
            self._take()

    def _add(self, run: list[_Token], domain: str) -> None:
        """RFC 5322 §3.4.1 local-part, or §4.4 obs-local-part: words with single dots between."""
        text = "".join(token.text for token in run)
        shape = [token.kind != "." for token in run]
        strict = bool(run) and len(run) % 2 == 1 and shape == [n % 2 == 0 for n in range(len(run))]
        unquoted = all(token.kind != "quoted" for token in run)
        loose = not strict and unquoted and domain in self._loose_domains and bool(_LOOSE_LOCAL.match(text))
        if (
            not (strict or loose)
            or len(text.encode()) > MAX_LOCAL_OCTETS
            or len(self._found) >= MAX_ADDRESSES
        ):
            raise _Malformed
        domain.encode()
        self._found.append(Address(text, domain, loose))
