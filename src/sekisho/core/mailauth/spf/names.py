"""Domain names that SPF makes from strangers' text, as the Resolver takes them."""

import re

import idna

_PLAIN = re.compile(r"[!-\-/-\[\]-~]{1,63}(?:\.[!-\-/-\[\]-~]{1,63})*\Z")
_NOT_PLAIN = re.compile(rb"[^!-\[\]-~]")
MAX_NAME_CHARACTERS = 253


def to_query_name(text: str) -> str | None:
    """Lower-case text without trailing dot, odd octets as `\\DDD`; None if DNS has no such name."""
    name = text.removesuffix(".").lower()
    if _PLAIN.match(name) and len(name) <= MAX_NAME_CHARACTERS:
        return name
    labels = name.encode("utf-8", "surrogateescape").split(b".")
    if not all(0 < len(label) <= 63 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        return None
    return ".".join(_NOT_PLAIN.sub(lambda m: b"\\%03d" % m[0][0], label).decode("ascii") for label in labels)


def to_checked_domain(text: str) -> str | None:
    """The domain of an identity or include as A-labels, or None where RFC 7208 §4.3 says `none`: malformed,
    or one label."""
    if not text.isascii():
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    name = to_query_name(text)
    if name is None or "." not in name or name.startswith("["):
        return None
    return name
