"""The octets of the header section that a signature covers (RFC 6376 §3.7, §5.4.2)."""

from sekisho.core.mailauth.dkim.canonical import Canonicalization, relax_field
from sekisho.core.mailauth.dkim.signature import remove_signature_value
from sekisho.core.message.header import Field, HeaderSection


class CanonicalHeader:
    """A header section whose fields are made canonical once, however many signatures cover them."""

    def __init__(self, header: HeaderSection) -> None:
        self._header = header
        self._relaxed: dict[int, bytes] = {}  # by start of the field, each with its CRLF

    def field(self, field: Field, canonicalization: Canonicalization) -> bytes:
        """One field in canonical form, with its CRLF."""
        if canonicalization == "simple":
            octets = self._header.octets[field.start : field.end]
            return octets if octets.endswith(b"\r\n") else octets + b"\r\n"
        relaxed = self._relaxed.get(field.start)
        if relaxed is None:
            relaxed = relax_field(field.name, self._header.octets[field.value : field.end]) + b"\r\n"
            self._relaxed[field.start] = relaxed
        return relaxed

    def fields(self, own: Field | None, names: tuple[bytes, ...], canonicalization: Canonicalization) -> list[bytes]:
        """What h= names: each instance once, bottom-up, never the signature's `own` field.

        A name that is listed more often than it occurs adds nothing: then its later insertion breaks the signature.
        """
        left = {name: [field for field in self._header.all(name) if field is not own] for name in set(names)}
        return [self.field(left[name].pop(), canonicalization) for name in names if left[name]]

    def signed_octets(self, own: Field, names: tuple[bytes, ...], canonicalization: Canonicalization) -> bytes:
        """The named fields, then the signature field itself without its b= and CRLF."""
        parts = self.fields(own, names, canonicalization)
        octets = self._header.octets
        value = remove_signature_value(octets[own.value : own.end])
        if canonicalization == "relaxed":
            parts.append(relax_field(own.name, value))
        else:
            parts.append(octets[own.start : own.value] + value.removesuffix(b"\r\n"))
        return b"".join(parts)
