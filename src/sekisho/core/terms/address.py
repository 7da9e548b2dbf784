"""Addresses and envelope paths: the one type that every decision about "who" is made on.

An `Address` is data. It refuses control characters in its constructor, so that none can reach
a command line, a queue row, a log line or a header (THREATS 6, 10).
"""

import ipaddress
import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass, field
from functools import lru_cache

import idna

# RFC 5321 §4.5.3.1.1–3: the sizes that everyone must accept are also the sizes we stop at.
MAX_LOCAL_OCTETS = 64
MAX_DOMAIN_OCTETS = 255

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
# RFC 5321 §4.1.2 Dot-string, extended by RFC 6531 §3.3 (atext may be any non-ASCII character).
# Written as what it excludes: a class with the whole of Unicode takes 10 ms to compile.
_ATEXT = r"[^\x00-\x20\"(),.:;<>@\[\\\]\x7f]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
_LOOSE_DOT_STRING = re.compile(rf"{_ATEXT}(?:{_ATEXT}|\.)*\Z")
_QUOTED_STRING = re.compile(r'"((?:[^\x00-\x1f"\\\x7f]|\\[ -~])*)"')
# RFC 5321 §4.1.2 sub-domain: letters, digits, inner hyphens. The underscore occurs in real host names but not
# in mail domains.
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\Z")


class AddressError(ValueError):
    """The text is not an address; the message says why, without repeating unsafe octets."""


@dataclass(frozen=True, slots=True)
class Address:
    """A local part (quoting removed) at a domain (lower-case A-labels, or a literal in brackets).

    `domain` is empty only for the bare `<Postmaster>` of RFC 5321 §4.1.1.3. `loose_dots` marks an old
    Japanese carrier address (`a..b@`, `a.@`) that must be written back unquoted.
    """

    local: str
    domain: str
    loose_dots: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        if not self.local or _CONTROLS.search(self.local) or _CONTROLS.search(self.domain):
            raise AddressError("an address holds no control characters and no empty local part")
        if not self.domain and self.local.lower() != "postmaster":
            raise AddressError("an address needs a domain")

    def __str__(self) -> str:
        """The wire form of RFC 5321 §4.1.2, quoted only when it must be."""
        local = self.local
        if not (self.loose_dots or _DOT_STRING.match(local)):
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def local_canonical(self) -> str:
        """What local parts are compared by: NFC and case-folded (DESIGN §4, Scale-out)."""
        return unicodedata.normalize("NFC", self.local).casefold()

    @property
    def canonical(self) -> "Address":
        return Address(self.local_canonical, self.domain, self.loose_dots)

    @property
    def needs_smtputf8(self) -> bool:
        """RFC 6531 §3.2: only the local part can need it; the domain is kept as A-labels."""
        return not self.local.isascii()

    @property
    def is_literal(self) -> bool:
        return self.domain.startswith("[")

    @classmethod
    def from_text(cls, text: str, loose_domains: Container[str] = ()) -> "Address":
        """`local@domain` without comments, routes or angle brackets; raises `AddressError`.

        `loose_domains`: domains whose unquoted local parts may hold `..` or end in a dot.
        """
        if _CONTROLS.search(text):
            raise AddressError("control characters in the address")
        if text.startswith('"'):
            match = _QUOTED_STRING.match(text)
            if not match or text[match.end() : match.end() + 1] != "@":
                raise AddressError("the quoted local part is not closed before @")
            local = re.sub(r"\\(.)", r"\1", match[1])
            domain_text, loose = text[match.end() + 1 :], False
            domain = parse_domain(domain_text)
        else:
            local, at, domain_text = text.partition("@")
            if not at:
                raise AddressError("no @ in the address")
            domain = parse_domain(domain_text)
            strict = _DOT_STRING.match(local)
            loose = not strict and domain in loose_domains and bool(_LOOSE_DOT_STRING.match(local))
            if not strict and not loose:
                raise AddressError("the local part is not a dot-string")
        if not local or len(local.encode()) > MAX_LOCAL_OCTETS:
            raise AddressError(f"the local part must have 1 to {MAX_LOCAL_OCTETS} octets")
        return cls(local, domain, loose)


@dataclass(frozen=True, slots=True)
class ReversePath:
    """Where notifications go: an address, or the null path `<>` (RFC 5321 §4.5.5)."""

    address: Address | None = None

    @property
    def is_null(self) -> bool:
        return self.address is None

    def __str__(self) -> str:
        return "" if self.address is None else str(self.address)


@lru_cache(maxsize=4096)
def parse_domain(text: str, *, literals: bool = True) -> str:
    """A domain as lower-case A-labels, or an address literal in its canonical form; raises `AddressError`.

    A trailing root dot is refused: RFC 5321 §4.1.2 has no such form.
    """
    if text.startswith("["):
        if not literals:
            raise AddressError("an address literal is not allowed here")
        return _parse_literal(text)
    if text.isascii():
        domain = text.lower()
    else:
        try:
            domain = idna.encode(text, uts46=True).decode("ascii")  # RFC 5891 §4
        except (idna.IDNAError, UnicodeError) as error:
            raise AddressError("the domain is not a valid internationalised name") from error
    if not domain or len(domain) > MAX_DOMAIN_OCTETS:
        raise AddressError(f"the domain must have 1 to {MAX_DOMAIN_OCTETS} octets")
    if not all(map(_LABEL.match, domain.split("."))):
        raise AddressError("the domain is not a sequence of letter-digit-hyphen labels")
    return domain


def _parse_literal(text: str) -> str:
    """RFC 5321 §4.1.3 IPv4 and IPv6 literals; general literals are refused."""
    if not text.endswith("]"):
        raise AddressError("the address literal is not closed")
    inner = text[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(inner[5:])}]"
        return f"[{ipaddress.IPv4Address(inner)}]"
    except ValueError as error:
        raise AddressError("the address literal is not an IP address") from error
