"""Octets of responses: strings, flags and mailbox names (RFC 3501 §4, §9)."""

import re

from sekisho.core.imap.mailbox_names import encode_mailbox

# RFC 3501 §9 `quoted`: 7 bit, no CR, LF, NUL; longer strings go as literals so that no client's line buffer
# breaks.
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]{0,1000}\Z")
_TO_ESCAPE = re.compile(rb'(["\\])')
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~]{1,200}\Z")
_TEXT_UNSAFE = re.compile(r"[^\x20-\x7e]")

SYSTEM_FLAGS: tuple[tuple[int, bytes], ...] = (
    (1, b"\\Answered"),
    (2, b"\\Flagged"),
    (4, b"\\Deleted"),
    (8, b"\\Seen"),
    (16, b"\\Draft"),
)
FLAG_BITS = {name.lower(): bit for bit, name in SYSTEM_FLAGS}


def string(value: bytes) -> bytes:
    """A quoted string where that is possible, else a literal."""
    if _QUOTABLE.match(value):
        if b'"' in value or b"\\" in value:
            value = _TO_ESCAPE.sub(rb"\\\1", value)
        return b'"%b"' % value
    value = value.replace(b"\0", b"")  # RFC 3501 §9: CHAR8 has no NUL
    return b"{%d}\r\n%b" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else string(value)


def literal(value: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(value), value)


def mailbox(name: str) -> bytes:
    """A mailbox name, quoted always but for INBOX (RFC 3501 §5.1)."""
    return b"INBOX" if name == "INBOX" else string(encode_mailbox(name))


def astring(value: bytes) -> bytes:
    return value if _ATOM.match(value) else string(value)


def flags(bits: int, keywords: tuple[str, ...], recent: bool = False) -> bytes:
    """The inside of a parenthesised flag list."""
    names = [name for bit, name in SYSTEM_FLAGS if bits & bit]
    names.extend(keyword.encode("ascii", "replace") for keyword in keywords)
    if recent:
        names.append(b"\\Recent")
    return b" ".join(names)


def text(sentence: str) -> bytes:
    """Human-readable text on one line (RFC 3501 §9 `text`), never empty, never starting a response code by
    accident."""
    safe = _TEXT_UNSAFE.sub("?", sentence) or "-"
    return (" " + safe if safe.startswith("[") else safe).encode("ascii")
