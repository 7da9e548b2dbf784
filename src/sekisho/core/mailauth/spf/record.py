"""The syntax of SPF records (RFC 7208 §4.5, §4.6, §12)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, cast

from sekisho.core.mailauth.spf.macros import MacroError, MacroString, parse_macro_string

Qualified = Literal["pass", "fail", "softfail", "neutral"]
MechanismName = Literal["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"]
MAX_TERMS = 1000

_VERSION = re.compile(rb"v=spf1(?: |\Z)", re.IGNORECASE)
_QUALIFIERS: dict[str, Qualified] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
# RFC 7208 §12 modifier: name "=" macro-string; tried first, because no mechanism has "=" before ":" or "/".
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9\-_.]*)=(.*)\Z", re.DOTALL)
_MECHANISM = re.compile(
    r"([+\-?~]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?:(:)(.*?))?((?:/.*)?)\Z", re.IGNORECASE | re.DOTALL
)
# RFC 7208 §5.6: no leading zeros in a prefix length.
_CIDR4 = re.compile(r"/(0|[1-9][0-9]?)\Z")
_CIDR6 = re.compile(r"/(0|[1-9][0-9]{0,2})\Z")
_DUAL_CIDR = re.compile(r"(.*?)(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z", re.DOTALL)


class RecordError(ValueError):
    """The record is a syntax error: permerror (RFC 7208 §4.6). The message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """One mechanism and what it means if it matches.

    ip4 and ip6: `network` is the address shifted right by `shift`. a and mx: compare after shifting by
    `shift` or `shift6`.
    """

    result: Qualified
    name: MechanismName
    text: str
    domain: MacroString | None = None
    network: int = 0
    shift: int = 0
    shift6: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    directives: tuple[Directive, ...]
    redirect: MacroString | None = None
    explanation: MacroString | None = None


def is_spf_record(octets: bytes) -> bool:
    """RFC 7208 §4.5: the version is `v=spf1` alone or before a space."""
    return _VERSION.match(octets) is not None


def parse_record(octets: bytes) -> Record:
    """One joined TXT record that `is_spf_record`; raises RecordError."""
    parsed = _parse_cached(octets)
    if isinstance(parsed, str):
        raise RecordError(parsed)
    return parsed


@lru_cache(maxsize=4096)
def _parse_cached(octets: bytes) -> Record | str:
    """A message of a known sender parses nothing: equal records are parsed once. An error is its text."""
    try:
        return _parse(octets)
    except (RecordError, MacroError) as error:
        return str(error)


def _parse(octets: bytes) -> Record:
    if not octets.isascii():
        raise RecordError("the record is not US-ASCII")  # RFC 7208 §3.1
    directives: list[Directive] = []
    modifiers: dict[str, MacroString] = {}
    terms = [term for term in octets.decode("ascii")[6:].split(" ") if term]
    if len(terms) > MAX_TERMS:
        raise RecordError(f"more than {MAX_TERMS} terms")
    for term in terms:
        modifier = _MODIFIER.match(term)
        if modifier:
            name = modifier[1].lower()
            known = name in ("redirect", "exp")
            value = parse_macro_string(modifier[2], "domain" if known else "modifier")
            if known and name in modifiers:
                raise RecordError(f"{name}= appears twice")  # RFC 7208 §6
            modifiers[name] = value
        else:
            directives.append(_parse_directive(term))
    return Record(tuple(directives), modifiers.get("redirect"), modifiers.get("exp"))


def _parse_directive(term: str) -> Directive:
    match = _MECHANISM.match(term)
    if not match:
        raise RecordError(f"the term {term[:80]!r} is unknown")
    result = _QUALIFIERS[match[1] or "+"]
    name = cast(MechanismName, match[2].lower())
    value = (match[4] or "") + match[5]
    if match[3] and not value:
        raise RecordError(f"the term {term[:80]!r} has nothing after the colon")
    if name == "all":
        if value:
            raise RecordError(f"the term {term[:80]!r} takes no value")
        return Directive(result=result, name=name, text=term)
    if name in ("ip4", "ip6"):
        if not match[3]:
            raise RecordError(f"the term {term[:80]!r} lacks its network")
        return _parse_network(result, name, term, value)
    if name in ("include", "exists"):
        if not match[3]:
            raise RecordError(f"the term {term[:80]!r} lacks its domain")
        return Directive(result=result, name=name, text=term, domain=parse_macro_string(value, "domain"))
    if name == "ptr":
        if match[5] and not match[3]:
            raise RecordError(f"the term {term[:80]!r} cannot be read")
        return Directive(
            result=result, name=name, text=term, domain=parse_macro_string(value, "domain") if value else None
        )
    return _parse_host(result, name, term, value if match[3] else "", "" if match[3] else value)


def _parse_host(result: Qualified, name: MechanismName, term: str, value: str, lengths: str) -> Directive:
    """a and mx: a domain, prefix lengths, both or neither (RFC 7208 §5.3, §5.4)."""
    match = _DUAL_CIDR.match(value or lengths)
    if not match or (not value and match[1]):
        raise RecordError(f"the term {term[:80]!r} has a bad prefix length")
    length, length6 = int(match[2] or 32), int(match[3] or 128)
    if length > 32 or length6 > 128:
        raise RecordError(f"the term {term[:80]!r} has a prefix length out of range")
    if value and not match[1]:
        raise RecordError(f"the term {term[:80]!r} has nothing after the colon")
    domain = parse_macro_string(match[1], "domain") if value else None
    return Directive(
        result=result, name=name, text=term, domain=domain, network=0, shift=32 - length, shift6=128 - length6
    )


def _parse_network(result: Qualified, name: MechanismName, term: str, value: str) -> Directive:
    """RFC 7208 §5.6."""
    text, slash, _ = value.partition("/")
    width, cidr = (32, _CIDR4) if name == "ip4" else (128, _CIDR6)
    match = cidr.match(value, len(text))
    length = int(match[1]) if match else width
    if (slash and not match) or length > width:
        raise RecordError(f"the term {term[:80]!r} has a bad prefix length")
    try:
        address = IPv4Address(text) if name == "ip4" else IPv6Address(text)
    except ValueError as error:
        raise RecordError(f"the term {term[:80]!r} has no IP address") from error
    if "%" in text:
        raise RecordError(f"the term {term[:80]!r} has no IP address")
    shift = width - length
    return Directive(
        result=result, name=name, text=term, domain=None, network=int(address) >> shift, shift=shift
    )
