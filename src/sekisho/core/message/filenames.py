"""What an attachment is called: every name that a mail program may show or save it under (RFC 2183 §2.3, RFC 2231, RFC 2047)."""

import re
from urllib.parse import unquote_to_bytes

from sekisho.core.message.mimefields import Parameters, parse_disposition
from sekisho.core.message.structure import Part
from sekisho.core.message.text import charset_codec, decode_field

MAX_NAME = 255

_PIECE = re.compile(rb"(filename|name)(?:\*(\d{1,2}))?(\*)?\Z")
# Marks that turn the direction of writing, so that "exe.fdp" is read as "pdf.exe" (THREATS: names).
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_INVISIBLE = re.compile("[\u0000-\u001f\u007f\u00ad\u200b-\u200d\u2060\ufeff]")
_SPACES_BEFORE_DOT = re.compile(r"\s+(?=\.[^.]*\Z)")


def names_of(part: Part) -> tuple[str, ...]:
    """The file name of Content-Disposition and that of Content-Type, decoded; none, one or two."""
    found: dict[str, None] = {}
    disposition = part.first(b"content-disposition")
    parsed = parse_disposition(disposition) if disposition else None
    for parameters, wanted in ((parsed[1] if parsed else (), b"filename"), (part.parameters, b"name")):
        if name := _joined(parameters, wanted):
            found.setdefault(name[:MAX_NAME])
    return tuple(found)


def _joined(parameters: Parameters, wanted: bytes) -> str:
    """RFC 2231 §3, §4: pieces in order, percent-encoded where they are starred, in the charset that the first one names."""
    pieces: dict[int, tuple[bytes, bool]] = {}
    plain = b""
    for key, value in parameters:
        match = _PIECE.match(key)
        if not match or match[1] != wanted:
            continue
        if match[2] is None and not match[3]:
            plain = plain or value
        else:
            pieces.setdefault(int(match[2] or 0), (value, bool(match[3])))
    if not pieces:
        return decode_field(plain)
    charset, octets = b"utf-8", b""
    for number in range(len(pieces)):
        if number not in pieces:
            break
        value, is_encoded = pieces[number]
        if is_encoded and number == 0 and value.count(b"'") >= 2:
            label, _, value = value.split(b"'", 2)
            charset = label or charset
        octets += unquote_to_bytes(value) if is_encoded else value
    return octets.decode(charset_codec(charset), "replace")


def extension(name: str) -> str:
    """What an operating system takes for the type: behind the last dot, lower-case; trailing dots and spaces do not count."""
    clean = _INVISIBLE.sub("", TURNING.sub("", name)).rstrip(". ")
    _, dot, ending = clean.rpartition(".")
    return ending.lower()[:20] if dot else ""


def disguised(name: str) -> str:
    """How a name deceives its reader: "turned" (writing direction), "spaced" (an ending pushed out of sight), or ""."""
    if TURNING.search(name):
        return "turned"
    match = _SPACES_BEFORE_DOT.search(name)
    return "spaced" if match and len(match[0]) >= 3 else ""
