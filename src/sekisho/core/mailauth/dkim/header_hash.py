"""The octets of the header section that a signature covers (RFC 6376 §3.7, §5.4.2)."""

from sekisho.core.mailauth.dkim.canonical import Canonicalization, relax_field
from sekisho.core.mailauth.dkim.signature import remove_signature_value
from sekisho.core.message.header import Field, HeaderSection


def canonical_field(header: HeaderSection, field: Field, canonicalization: Canonicalization) -> bytes:
    """One field in canonical form, with its CRLF."""
    if canonicalization == "relaxed":
        return relax_field(field.name, header.octets[field.value : field.end]) + b"\r\n"
    octets = header.octets[field.start : field.end]
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def signed_header_octets(header: HeaderSection, own: Field, names: tuple[bytes, ...], canonicalization: Canonicalization) -> bytes:
    """The fields that h= names, each instance once and bottom-up, then the signature field itself without its b= and CRLF."""
    parts = signed_fields(header, own, names, canonicalization)
    value = remove_signature_value(header.octets[own.value : own.end])
    if canonicalization == "relaxed":
        parts.append(relax_field(own.name, value))
    else:
        parts.append(header.octets[own.start : own.value] + value.removesuffix(b"\r\n"))
    return b"".join(parts)


def signed_fields(header: HeaderSection, own: Field | None, names: tuple[bytes, ...], canonicalization: Canonicalization) -> list[bytes]:
    """A name that h= lists more often than it occurs adds nothing: then its later insertion breaks the signature."""
    left = {name: [field for field in header.all(name) if field is not own] for name in set(names)}
    return [canonical_field(header, left[name].pop(), canonicalization) for name in names if left[name]]
