"""One DKIM-Signature field, or ARC-Message-Signature, which is its twin (RFC 6376 §3.5, RFC 8617 §4.1.2)."""

import binascii
import re
from functools import lru_cache
from typing import Literal, NamedTuple

from sekisho.core.mailauth.dkim.canonical import BodyHashSpec, Canonicalization, HashName
from sekisho.core.mailauth.dkim.tags import without_white_space
from sekisho.core.terms.address import AddressError, parse_domain

KeyType = Literal["rsa", "ed25519"]
_ALGORITHMS: dict[bytes, tuple[KeyType, HashName]] = {
    b"rsa-sha256": ("rsa", "sha256"),
    b"ed25519-sha256": ("ed25519", "sha256"),  # RFC 8463 §3
    b"rsa-sha1": ("rsa", "sha1"),  # parsed only so that its refusal can be told apart (RFC 8301 §3.1)
}
_BODY_HASH_OCTETS: dict[HashName, int] = {"sha256": 32, "sha1": 20}
# Selectors are sub-domains (RFC 6376 §3.1); underscores occur in them.
_SELECTOR = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_\-]{0,62}))*\Z")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_QUERY_METHODS = frozenset({b"dns/txt", b"dns"})  # "dns": before RFC 4871
_QUOTED = re.compile(rb"=([0-9A-F]{2})")  # RFC 6376 §2.11 dkim-quoted-printable
_REQUIRED = (b"a", b"b", b"bh", b"d", b"h", b"s")
MAX_SIGNED_NAMES = 500
MAX_KEPT_OCTETS = 2048
MAX_DIGITS = 76  # RFC 6376 §3.5: of l=


class SignatureError(ValueError):
    """The signature cannot be evaluated (PERMFAIL of RFC 6376 §6.1.1); the text is a short reason."""


class Signature(NamedTuple):
    """A signature field as it was written, checked for form only. Times are seconds since 1970."""

    key_type: KeyType
    hash_name: HashName
    signature: bytes
    body_hash: bytes
    header_canonicalization: Canonicalization
    body_canonicalization: Canonicalization
    domain: str  # d=, A-labels
    selector: str
    identity: str  # i= as written, or "@" and d=
    identity_domain: str
    signed_names: tuple[bytes, ...]  # h=, lower-case, in order
    limit_octets: int | None  # l=
    signed_at: int | None
    expires_at: int | None
    body_spec: BodyHashSpec

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"


def parse_signature(
    tags: dict[bytes, bytes], *, is_arc: bool = False, versions: tuple[bytes, ...] = (b"1",)
) -> Signature:
    """Raises `SignatureError`. In an ARC-Message-Signature i= is the instance, and c= may be left out, for it
    is always relaxed (RFC 8617 §4.1.2)."""
    for name in _REQUIRED:
        if not tags.get(name):
            raise SignatureError(f"no {name.decode()}=")
    # RFC 6376 §3.5 wants v=1. A named leniency: signers of before RFC 4871 left it out, and their signatures
    # say the same.
    if tags.get(b"v", b"1") not in versions:
        raise SignatureError("unknown version")
    key_type, hash_name = parse_algorithm(tags[b"a"])
    if b"q" in tags and _QUERY_METHODS.isdisjoint(without_white_space(tags[b"q"]).lower().split(b":")):
        raise SignatureError("unknown query method")
    header_canonicalization, body_canonicalization = _parse_canonicalization(
        tags.get(b"c", b"relaxed/relaxed" if is_arc else b"simple/simple")
    )
    domain, selector = parse_domain_and_selector(tags[b"d"], tags[b"s"])
    if is_arc:
        identity, identity_domain = f"@{domain}", domain
    else:
        identity, identity_domain = _parse_identity(tags, domain)
    signed_at, expires_at = _parse_number(tags, b"t"), _parse_number(tags, b"x")
    if signed_at is not None and expires_at is not None and expires_at <= signed_at:
        raise SignatureError("expires before it was made")
    limit_octets = _parse_number(tags, b"l")
    body_hash = decode_base64_tag(tags[b"bh"], "bh")
    if len(body_hash) != _BODY_HASH_OCTETS[hash_name]:
        raise SignatureError("bh= has the wrong length")
    return Signature(
        key_type=key_type,
        hash_name=hash_name,
        signature=decode_base64_tag(tags[b"b"], "b"),
        body_hash=body_hash,
        header_canonicalization=header_canonicalization,
        body_canonicalization=body_canonicalization,
        domain=domain,
        selector=selector,
        identity=identity,
        identity_domain=identity_domain,
        signed_names=_parse_signed_names(tags[b"h"]),
        limit_octets=limit_octets,
        signed_at=signed_at,
        expires_at=expires_at,
        body_spec=BodyHashSpec(body_canonicalization, hash_name, limit_octets),
    )


def remove_signature_value(value: bytes) -> bytes:
    """The field's value with the value of b= taken out, white space around it included (RFC 6376 §3.5).

    `value` was read by `parse_tags`: there is one b= in it, most often written without white space before the
    sign.
    """
    start = value.find(b"b=")
    while start >= 0:
        before = value[:start].rstrip(b" \t\r\n")
        if not before or before.endswith(b";"):
            end = value.find(b";", start)
            return value[: start + 2] + (value[end:] if end >= 0 else b"")
        start = value.find(b"b=", start + 2)
    specs = value.split(b";")
    for index, spec in enumerate(specs):
        name, equals, _ = spec.partition(b"=")
        if name.strip(b" \t\r\n") == b"b":
            specs[index] = name + equals
            break
    return b";".join(specs)


def parse_algorithm(value: bytes) -> tuple[KeyType, HashName]:
    algorithm = _ALGORITHMS.get(value.lower())
    if algorithm is None:
        raise SignatureError("unknown algorithm")
    return algorithm


def decode_base64_tag(value: bytes, name: str) -> bytes:
    """base64 in which folding white space may stand anywhere; raises `SignatureError`."""
    try:
        octets = binascii.a2b_base64(without_white_space(value), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError(f"{name}= is not base64") from error
    if not octets:
        raise SignatureError(f"{name}= is empty")
    return octets


@lru_cache(maxsize=1024)
def parse_domain_and_selector(domain_octets: bytes, selector_octets: bytes) -> tuple[str, str]:
    """d= and s= as A-labels, fit to be asked for (THREATS 40; RFC 8616 §4)."""
    try:
        domain = parse_domain(domain_octets.decode("utf-8"), literals=False)
    except (AddressError, UnicodeDecodeError) as error:
        raise SignatureError("d= is not a domain") from error
    try:
        selector_text = selector_octets.decode("utf-8")
        selector = (
            selector_text.lower() if selector_text.isascii() else parse_domain(selector_text, literals=False)
        )
    except (AddressError, UnicodeDecodeError) as error:
        raise SignatureError("s= is not a selector") from error
    if not _SELECTOR.match(selector):
        raise SignatureError("s= is not a selector")
    if len(selector) + len(domain) + 12 > 253:
        raise SignatureError("the key's name is too long")
    return domain, selector


@lru_cache(maxsize=64)
def _parse_canonicalization(value: bytes) -> tuple[Canonicalization, Canonicalization]:
    """RFC 6376 §3.5: header "/" body; a missing body part means simple."""
    header, _, body = without_white_space(value).lower().partition(b"/")
    names: dict[bytes, Canonicalization] = {b"simple": "simple", b"relaxed": "relaxed"}
    if header not in names or (body or b"simple") not in names:
        raise SignatureError("unknown canonicalization")
    return names[header], names[body or b"simple"]


def _parse_identity(tags: dict[bytes, bytes], domain: str) -> tuple[str, str]:
    """i=: `[local-part] "@" domain-name`, where the domain is d= or below it (RFC 6376 §3.5)."""
    if b"i" not in tags:
        return f"@{domain}", domain
    octets = _QUOTED.sub(lambda match: bytes.fromhex(match[1].decode()), without_white_space(tags[b"i"]))
    _, at, domain_octets = octets.rpartition(b"@")
    try:
        identity = octets.decode("utf-8")
        identity_domain = parse_domain(domain_octets.decode("utf-8"), literals=False)
    except (AddressError, UnicodeDecodeError) as error:
        raise SignatureError("i= is not an identity") from error
    if not at or _CONTROLS.search(identity):
        raise SignatureError("i= is not an identity")
    if identity_domain != domain and not identity_domain.endswith("." + domain):
        raise SignatureError("i= is not within d=")
    return identity, identity_domain


def _parse_number(tags: dict[bytes, bytes], name: bytes) -> int | None:
    value = tags.get(name)
    if value is None:
        return None
    if not value.isdigit() or len(value) > MAX_DIGITS:
        raise SignatureError(f"{name.decode()}= is not a number")
    return int(value)


def _parse_signed_names(value: bytes) -> tuple[bytes, ...]:
    """h=. There are few different ones in the world: each is read once, unless it is so long that remembering
    it would cost."""
    return (
        _read_signed_names(value) if len(value) <= MAX_KEPT_OCTETS else _read_signed_names.__wrapped__(value)
    )


@lru_cache(maxsize=1024)
def _read_signed_names(value: bytes) -> tuple[bytes, ...]:
    if value.count(b":") >= MAX_SIGNED_NAMES:
        raise SignatureError("h= names too many fields")
    names = tuple(without_white_space(value).lower().split(b":"))
    if b"" in names:
        raise SignatureError("h= is not a list of field names")
    if b"from" not in names:
        raise SignatureError("h= without From")  # RFC 6376 §5.4
    return names
