"""What a message itself asks of the way it goes (RFC 8689)."""

import re
from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection

# Most messages do not have the field: they are not taken apart for it.
_FIELD = re.compile(rb"(?:\A|\n)tls-required[ \t]*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TlsWishes:
    """`requires`: only over TLS to proved hosts (§4.2.1). `waives`: rather without guarantees than not at all
    (§4.1)."""

    requires: bool = False
    waives: bool = False


def wishes_of(head: bytes, *, requiretls: bool) -> TlsWishes:
    """`head`: the beginning of the message, with its header section. REQUIRETLS goes before the field (RFC
    8689 §5); the field may stand once, and says No."""
    if requiretls or not _FIELD.search(head):
        return TlsWishes(requires=requiretls)
    values = [value.strip().lower() for value in HeaderSection(head).values(b"tls-required")]
    return TlsWishes(waives=values == [b"no"])
