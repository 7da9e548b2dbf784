"""What a message itself asks of the way it goes (RFC 8689)."""

from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection

_FIELD = b"tls-required"


@dataclass(frozen=True, slots=True)
class TlsWishes:
    """`requires`: only over TLS to proved hosts (§4.2.1). `waives`: rather without guarantees than not at all
    (§4.1)."""

    requires: bool = False
    waives: bool = False


def wishes_of(head: bytes, *, requiretls: bool) -> TlsWishes:
    """`head`: the beginning of the message, with its header section. REQUIRETLS goes before the field (RFC
    8689 §5); the field may stand once, and says No."""
    if requiretls or not _may_have_field(head):
        return TlsWishes(requires=requiretls)
    values = [value.strip().lower() for value in HeaderSection(head).values(_FIELD)]
    return TlsWishes(waives=values == [b"no"])


def _may_have_field(head: bytes) -> bool:
    """Hardly any message has it: the others are not taken apart for it."""
    end = head.find(b"\r\n\r\n")
    section = (head[:end] if end >= 0 else head).lower()
    return section.startswith(_FIELD) or b"\n" + _FIELD in section
