"""What FETCH and SEARCH want to know of a message again and again, as one small blob for the store's
cache."""

import re
from collections.abc import Iterator

import msgspec

from sekisho.core.imap.bodystructure import format_bodies
from sekisho.core.imap.envelope import format_envelope
from sekisho.core.message.structure import Kind, Structure

VERSION = 2
MAX_CACHED_FIELDS_OCTETS = 8192

# The fields that mail programs ask for in lists; kept raw, so that a list costs no look at the content.
CACHED_FIELDS = frozenset(
    (
        b"date",
        b"subject",
        b"from",
        b"sender",
        b"reply-to",
        b"to",
        b"cc",
        b"bcc",
        b"message-id",
        b"in-reply-to",
        b"references",
        b"content-type",
        b"content-transfer-encoding",
        b"mime-version",
        b"importance",
        b"priority",
        b"x-priority",
        b"newsgroups",
        b"list-id",
        b"list-post",
        b"list-unsubscribe",
        b"user-agent",
        b"x-mailer",
        b"disposition-notification-to",
    )
)
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.MULTILINE)


class DigestPart(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One part by offsets into the content (not the prefix). `children` are indices."""

    kind: int
    start: int
    body: int
    end: int
    children: tuple[int, ...]
    type: bytes
    encoding: bytes  # lower case
    charset: bytes


class Digest(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """`fields`: the raw fields of CACHED_FIELDS in order as (lower-case name, whole field), None when they
    were too long. `parts`: packed DigestParts."""

    version: int
    envelope: bytes
    body: bytes
    bodystructure: bytes
    fields: tuple[tuple[bytes, bytes], ...] | None
    parts: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Digest).decode
_decode_parts = msgspec.msgpack.Decoder(list[DigestPart]).decode


def make_digest(structure: Structure) -> Digest:
    """The digest of a scanned content."""
    body, bodystructure = format_bodies(structure)
    parts = [
        DigestPart(
            kind=part.kind,
            start=part.start,
            body=part.body,
            end=part.end,
            children=tuple(part.children),
            type=part.type,
            encoding=part.encoding[:50],
            charset=(part.parameter(b"charset") or b"us-ascii")[:50],
        )
        for part in structure.parts
    ]
    fields: tuple[tuple[bytes, bytes], ...] | None = tuple(
        pair for pair in split_fields(structure.header) if pair[0] in CACHED_FIELDS
    )
    if fields is not None and sum(len(field) for _, field in fields) > MAX_CACHED_FIELDS_OCTETS:
        fields = None
    return Digest(
        version=VERSION,
        envelope=format_envelope(structure.parts[0]),
        body=body,
        bodystructure=bodystructure,
        fields=fields,
        parts=_encode(parts),
    )


def encode_digest(digest: Digest) -> bytes:
    return _encode(digest)


def decode_digest(blob: bytes) -> Digest | None:
    """None for a blob of another version or no digest at all: then the content is read again."""
    try:
        digest = _decode(blob)
    except msgspec.MsgspecError:
        return None
    return digest if digest.version == VERSION else None


def parts_of(digest: Digest) -> list[DigestPart]:
    return _decode_parts(digest.parts)


def split_fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(lower-case name, whole field with its line end) of each field, untouched and in order."""
    for match in _FIELD.finditer(header):
        yield match[1].lower(), match[0]


def select_fields(header: bytes, names: frozenset[bytes], *, others: bool = False) -> bytes:
    """The whole fields of these names, or all others; no empty line at the end."""
    return b"".join([field for name, field in split_fields(header) if (name in names) is not others])


def find_part(parts: list[DigestPart], numbers: tuple[int, ...]) -> DigestPart | None:
    """The part "1.2" (RFC 3501 §6.4.5): numbers run through multiparts and through the messages inside
    message/rfc822; a message whose body is no multipart has one part, 1."""
    part = parts[0]
    is_message = True  # else: a part, whose parts are those of the message inside it, if it holds one
    for number in numbers:
        if not is_message and part.kind == Kind.MESSAGE:
            part = parts[part.children[0]]
            is_message = True
        if part.kind == Kind.MULTIPART:
            if number > len(part.children):
                return None
            part = parts[part.children[number - 1]]
        elif not is_message or number != 1:
            return None
        is_message = False
    return part
