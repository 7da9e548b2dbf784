"""Where a part may hold more than its structure shows: other readers divide broken or ambiguous mail in other
ways.

Each way gives octets that are read anew as a message. Nothing is repaired or shown to anybody: it is only
looked for what hides there.
"""

import re
from collections.abc import Iterator

from sekisho.core.message.filenames import extension
from sekisho.core.message.mimefields import forms_of, parse_content_type, parse_encoding
from sekisho.core.message.structure import MAX_BOUNDARY, Kind, Part
from sekisho.probes.streams import Amended, Inside, Source

MAX_GUESSES = 3
GUESSED_IN = 65_536  # octets of a body that are looked at for delimiters
_MAX_FIELDS = 10
_ENCODED = (b"base64", b"quoted-printable")
# Only fields stand in them.
_REPORTS = frozenset(
    (
        b"delivery-status",
        b"global-delivery-status",
        b"disposition-notification",
        b"feedback-report",
        b"global-headers",
    )
)
_LETTERS = frozenset(("eml", "mht", "mhtml"))
_DELIMITER = re.compile(
    rb"(?:\A|\n)--([^\r\n]{1,250}+)\r?\n(?:[!-9;-~]++[ \t]*+:[^\n]*+\n(?:[ \t][^\n]*+\n"
    rb")?){0,4}?content-[a-z\-]++[ \t]*+:",
    re.IGNORECASE,
)
_UNQUOTED = re.compile(rb'(["\\])')


def letters_in(part: Part, names: tuple[str, ...], within: Source) -> Iterator[Source]:
    """The message in an attached one that the structure leaves whole: encoded, of another subtype, or only
    called so."""
    if part.kind is not Kind.LEAF:
        return
    types = _types(part)
    is_letter = any(type_ == b"message" and subtype not in _REPORTS for type_, subtype in types)
    if is_letter or any(extension(name) in _LETTERS for name in names):
        for encoding in _encodings(part):
            yield Inside(within, part.body, part.end, encoding)


def other_divisions(part: Part, within: Source) -> Iterator[Source]:
    """The part with the boundaries that other fields, or other forms of one parameter, give it, or decoded
    first."""
    boundaries = _boundaries(part)
    is_divided = part.kind is Kind.MULTIPART and bool(part.children)
    for boundary in boundaries:
        if not (part.kind is Kind.MULTIPART and boundary == part.boundary):
            yield _divided(Inside(within, part.body, part.end), boundary)
    if not is_divided and boundaries:
        for encoding in _encodings(part):
            if encoding in _ENCODED:
                yield _divided(Inside(within, part.body, part.end, encoding), boundaries[0])


def otherwise_encoded(part: Part, within: Source) -> Iterator[Source]:
    """The file as further fields say that it is encoded."""
    for encoding in _encodings(part)[1:]:
        header = (
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
        )
        yield Amended(Inside(within, part.body, part.end), 0, header)


def with_early_body(part: Part, within: Source) -> Source | None:
    """The part with its body from the first line of its header section on that is no field, as if the empty
    line had stood before it."""
    if part.odd_line < 0:
        return None
    return Amended(Inside(within, part.start, part.end), part.odd_line - part.start, b"\r\n")


def guessed_divisions(part: Part, head: bytes, within: Source) -> Iterator[Source]:
    """A multipart that no boundary divides, by lines that look like delimiters: behind them are fields.
    `head`: of its body."""
    found = dict.fromkeys(match[1].rstrip(b" \t") for match in _DELIMITER.finditer(head))
    for boundary in list(found)[:MAX_GUESSES]:
        if boundary:
            yield _divided(Inside(within, part.body, part.end), boundary)


def is_fragment(part: Part) -> bool:
    """RFC 2046 §5.2.2: a piece of a message, which mail programs put together again."""
    return any(type_ == b"message" and subtype == b"partial" for type_, subtype in _types(part))


def is_multipart(part: Part) -> bool:
    return any(type_ == b"multipart" for type_, _ in _types(part))


def _divided(body: Source, boundary: bytes) -> Source:
    quoted = _UNQUOTED.sub(rb"\\\1", boundary)
    return Amended(body, 0, b'Content-Type: multipart/mixed; boundary="' + quoted + b'"\r\n\r\n')


def _types(part: Part) -> list[tuple[bytes, bytes]]:
    """That which holds first, then those of further fields."""
    others = [parse_content_type(value) for value in part.fields.get(b"content-type", ())[1:_MAX_FIELDS]]
    return [(part.type, part.subtype), *(other[:2] for other in others if other is not None)]


def _encodings(part: Part) -> list[bytes]:
    values = part.fields.get(b"content-transfer-encoding", ())[:_MAX_FIELDS]
    return list(dict.fromkeys(parse_encoding(value).lower() for value in values)) or [b""]


def _boundaries(part: Part) -> list[bytes]:
    found: dict[bytes, None] = {}
    fields = part.fields.get(b"content-type", ())
    lists = [(part.type, part.parameters)]
    if len(fields) > 1:
        parsed = [parse_content_type(value) for value in fields[1:_MAX_FIELDS]]
        lists += [(one[0], one[2]) for one in parsed if one is not None]
    for type_, parameters in lists:
        if type_ == b"multipart":
            found |= dict.fromkeys(form.octets.rstrip(b" \t") for form in forms_of(parameters, b"boundary"))
    return [boundary for boundary in found if boundary and len(boundary) <= MAX_BOUNDARY]
