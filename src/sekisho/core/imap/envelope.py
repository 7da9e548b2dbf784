"""ENVELOPE (RFC 3501 §7.4.2) from the raw fields of a message."""

from collections.abc import Iterable

from sekisho.core.imap.formatting import nstring
from sekisho.core.message.shown_addresses import AddressReader, ShownAddress
from sekisho.core.message.structure import Part

MAX_FIELD_OCTETS = 65536

_ADDRESS_FIELDS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def format_envelope(part: Part) -> bytes:
    """The envelope of a message's first part (or of the message inside a message/rfc822)."""
    lists = {name: _format_addresses(part.fields.get(name, ())) for name in _ADDRESS_FIELDS}
    # RFC 3501 §7.4.2: sender and reply-to default to from.
    for name in (b"sender", b"reply-to"):
        if lists[name] == b"NIL":
            lists[name] = lists[b"from"]
    out = [_nfield(part, b"date"), _nfield(part, b"subject"), *(lists[name] for name in _ADDRESS_FIELDS)]
    out += [_nfield(part, b"in-reply-to"), _nfield(part, b"message-id")]
    return b"(" + b" ".join(out) + b")"


def _nfield(part: Part, name: bytes) -> bytes:
    value = part.first(name)
    return nstring(None if value is None else value[:MAX_FIELD_OCTETS])


def _format_addresses(values: Iterable[bytes]) -> bytes:
    reader = AddressReader()
    for value in values:
        reader.read(value[:MAX_FIELD_OCTETS])
    return b"(" + b"".join(map(_format_address, reader.found)) + b")" if reader.found else b"NIL"


def _format_address(address: ShownAddress) -> bytes:
    return b"(%b %b %b %b)" % tuple(map(nstring, address))
