"""The octets of the header section that a signature covers (RFC 6376 §3.7, §5.4.2)."""

from sekisho.core.mailauth.dkim.canonical import Canonicalization, relax_field, relax_values
from sekisho.core.mailauth.dkim.signature import remove_signature_value
from sekisho.core.message.header import Field, HeaderSection

MAX_AT_ONCE = (
    16_384  # beyond, each field is made canonical once for all signatures: ten may cover the same huge one
)


def _octets_of(fields: list[Field]) -> int:
    return sum([field.end - field.value for field in fields])


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

    def fields(
        self, own: Field | None, names: tuple[bytes, ...], canonicalization: Canonicalization
    ) -> list[bytes]:
        """What h= names: each instance once, bottom-up, never the signature's `own` field.

        A name that is listed more often than it occurs adds nothing: then its later insertion breaks the
        signature.
        """
        chosen = self._choose(own, names)
        if canonicalization == "simple":
            return [self.field(field, "simple") for field in chosen]
        if _octets_of(chosen) > MAX_AT_ONCE:
            return [self.field(field, "relaxed") for field in chosen]
        octets = self._header.octets
        values = relax_values([octets[field.value : field.end] for field in chosen])
        return [field.name + b":" + value + b"\r\n" for field, value in zip(chosen, values, strict=True)]

    def _choose(self, own: Field | None, names: tuple[bytes, ...]) -> list[Field]:
        by_name = self._header.by_name
        taken: dict[bytes, int] = {}
        chosen: list[Field] = []
        for name in names:
            if name in by_name:  # most of those that are listed are not there
                fields = by_name[name]
                if own is not None and name == own.name:
                    fields = [field for field in fields if field is not own]
                number = taken[name] = taken.get(name, 0) + 1
                if number <= len(fields):
                    chosen.append(fields[-number])
        return chosen

    def signed_octets(
        self, own: Field, names: tuple[bytes, ...], canonicalization: Canonicalization
    ) -> bytes:
        """The named fields, then the signature field itself without its b= and CRLF."""
        octets = self._header.octets
        value = remove_signature_value(octets[own.value : own.end])
        if canonicalization == "simple":
            return b"".join(
                [
                    *self.fields(own, names, "simple"),
                    octets[own.start : own.value],
                    value.removesuffix(b"\r\n"),
                ]
            )
        chosen = self._choose(own, names)
        if _octets_of(chosen) > MAX_AT_ONCE:
            return b"".join(
                [*[self.field(field, "relaxed") for field in chosen], relax_field(own.name, value)]
            )
        values = relax_values([*[octets[field.value : field.end] for field in chosen], value])
        chosen.append(own)
        return b"\r\n".join([field.name + b":" + value for field, value in zip(chosen, values, strict=True)])
