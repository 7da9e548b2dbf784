"""BODY and BODYSTRUCTURE (RFC 3501 §7.4.2) from the part tree."""

from sekisho.core.imap.envelope import format_envelope
from sekisho.core.imap.formatting import nstring, string
from sekisho.core.message.mimefields import Parameters, parse_disposition, parse_encoding, parse_words
from sekisho.core.message.structure import Kind, Part, Structure

_ENCODING_WORD = 100
_EMPTY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0%b)'
_EMPTY_SHORT = _EMPTY % b""
_EMPTY_LONG = _EMPTY % b" NIL NIL NIL NIL"


def format_bodies(structure: Structure) -> tuple[bytes, bytes]:
    """(BODY, BODYSTRUCTURE), composed from the leaves up, without recursion."""
    short: list[bytes] = [b""] * len(structure.parts)
    long: list[bytes] = [b""] * len(structure.parts)
    for index in range(len(structure.parts) - 1, -1, -1):  # children stand behind their parents
        part = structure.parts[index]
        if part.type == b"multipart":
            # RFC 3501 §9 wants at least one part: an empty text stands for those that are not there.
            extension = b" %b%b" % (_parameters(part.parameters), _extension(part))
            subtype = string(part.subtype)
            short[index] = b"(%b %b)" % (
                b"".join(short[child] for child in part.children) or _EMPTY_SHORT,
                subtype,
            )
            long[index] = b"(%b %b%b)" % (
                b"".join(long[child] for child in part.children) or _EMPTY_LONG,
                subtype,
                extension,
            )
        else:
            basic, tail = _single(structure, part)
            extension = b" %b%b" % (nstring(part.first(b"content-md5")), _extension(part))
            inner = part.children[0] if part.kind is Kind.MESSAGE else None
            short[index] = b"(%b%b%b)" % (basic, b" " + short[inner] if inner else b"", tail)
            long[index] = b"(%b%b%b%b)" % (basic, b" " + long[inner] if inner else b"", tail, extension)
        if part.children:
            for child in part.children:
                short[child] = long[child] = b""
    return short[0], long[0]


def _single(structure: Structure, part: Part) -> tuple[bytes, bytes]:
    """`body-fields` and what follows them: lines of text, envelope and lines of a message."""
    type_, subtype, parameters = part.type, part.subtype, part.parameters
    if type_ == b"message" and subtype in (b"rfc822", b"global") and part.kind is not Kind.MESSAGE:
        type_, subtype = (
            b"application",
            b"octet-stream",
        )  # encoded, or too deep to look into; RFC 9051 §7.5.2 wants an envelope for a message
    if type_ == b"text" and not any(name == b"charset" for name, _ in parameters):
        parameters = (*parameters, (b"charset", b"us-ascii"))  # RFC 2046 §4.1.2
    encoding = parse_encoding(part.first(b"content-transfer-encoding") or b"7bit")[:_ENCODING_WORD] or b"7bit"
    basic = b"%b %b %b %b %b %b %d" % (
        string(type_),
        string(subtype),
        _parameters(parameters),
        nstring(part.first(b"content-id")),
        nstring(part.first(b"content-description")),
        string(encoding),
        part.end - part.body,
    )
    if part.kind is Kind.MESSAGE:
        return basic + b" " + format_envelope(structure.parts[part.children[0]]), b" %d" % part.lines
    return basic, b" %d" % part.lines if type_ == b"text" else b""


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(" + b" ".join(b"%b %b" % (string(name), string(value)) for name, value in parameters) + b")"


def _extension(part: Part) -> bytes:
    """disposition, language, location"""
    field = part.first(b"content-disposition")
    found = None if field is None else parse_disposition(field)
    disposition = b"NIL" if found is None else b"(%b %b)" % (string(found[0]), _parameters(found[1]))
    languages = part.first(b"content-language")
    words = parse_words(languages) if languages else []
    language = (
        b"NIL"
        if not words
        else string(words[0])
        if len(words) == 1
        else b"(" + b" ".join(map(string, words)) + b")"
    )
    return b" %b %b %b" % (disposition, language, nstring(part.first(b"content-location")))
