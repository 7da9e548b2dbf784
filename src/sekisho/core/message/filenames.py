"""What an attachment is called: every name that a mail program may show or save it under (RFC 2183 §2.3, RFC
2231, RFC 2047)."""

import re
from collections.abc import Iterator

from sekisho.core.message.mimefields import (
    MAX_PARAMETERS,
    Parameters,
    forms_of,
    parse_content_type,
    parse_disposition,
)
from sekisho.core.message.structure import Part
from sekisho.core.message.text import charset_codec, decode_field

MAX_NAME = 255
_MAX_FIELDS = 10  # of one name, where there should be one

# Marks that turn the direction of writing, so that "exe.fdp" is read as "pdf.exe" (THREATS: names).
TURNING = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_INVISIBLE = re.compile("[\u0000-\u001f\u007f\u00ad\u200b-\u200d\u2060\ufeff]")
_SPACES_BEFORE_DOT = re.compile(r"\s+(?=\.[^.]*\Z)")


def names_of(part: Part) -> tuple[str, ...]:
    """All names that Content-Disposition and Content-Type give the file, decoded: where a field, a parameter
    or its form is there twice, readers differ in which they take. The one that most take stands first."""
    found: dict[str, None] = {}
    for parameters, wanted in _lists_of(part):
        forms = forms_of(parameters, wanted)
        for form in (*(f for f in forms if f.charset is not None), *(f for f in forms if f.charset is None)):
            name = (
                decode_field(form.octets)
                if form.charset is None
                else form.octets.decode(charset_codec(form.charset or b"utf-8"), "replace")
            )
            if name:
                found.setdefault(name[:MAX_NAME])
    return tuple(found)


def has_more_names(part: Part) -> bool:
    """Are there more parameters than are read?"""
    return any(len(parameters) >= MAX_PARAMETERS for parameters, _ in _lists_of(part))


def _lists_of(part: Part) -> Iterator[tuple[Parameters, bytes]]:
    for field in part.fields.get(b"content-disposition", ())[:_MAX_FIELDS]:
        disposition = parse_disposition(field)
        if disposition is not None:
            yield disposition[1], b"filename"
            yield disposition[1], b"name"
    yield part.parameters, b"name"
    yield part.parameters, b"filename"
    for field in part.fields.get(b"content-type", ())[1:_MAX_FIELDS]:
        content_type = parse_content_type(field)
        if content_type is not None:
            yield content_type[2], b"name"


def extension(name: str) -> str:
    """What an operating system takes for the type: behind the last dot, lower-case; trailing dots and spaces
    do not count."""
    clean = _INVISIBLE.sub("", TURNING.sub("", name)).rstrip(". ")
    _, dot, ending = clean.rpartition(".")
    return ending.lower()[:20] if dot else ""


def disguised(name: str) -> str:
    """How a name deceives its reader: "turned" (writing direction), "spaced" (an ending pushed out of sight),
    or ""."""
    if TURNING.search(name):
        return "turned"
    match = _SPACES_BEFORE_DOT.search(name)
    return "spaced" if match and len(match[0]) >= 3 else ""
