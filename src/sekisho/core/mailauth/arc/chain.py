"""The ARC sets of a message, put in order (RFC 8617 §4.1, §4.2)."""

import re
from typing import NamedTuple

from sekisho.core.mailauth.dkim.canonical import relax_field
from sekisho.core.mailauth.dkim.header_hash import CanonicalHeader
from sekisho.core.mailauth.dkim.signature import remove_signature_value
from sekisho.core.message.header import Field, HeaderSection

MAX_INSTANCES = 50  # RFC 8617 §5.2
RESULTS, MESSAGE_SIGNATURE, SEAL = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"
# RFC 8617 §4.1.1: "i=" comes first in ARC-Authentication-Results; §4.1.2, §4.1.3: anywhere in the other two.
_FAILED = re.compile(rb"(?:\A|;)[ \t\r\n]*cv[ \t\r\n]*=[ \t\r\n]*fail[ \t\r\n]*(?:;|\Z)", re.IGNORECASE)
_RESULTS_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,2})[ \t\r\n]*;")
_INSTANCE = re.compile(rb"(?:\A|;)[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,2})[ \t\r\n]*(?:;|\Z)")


class ChainError(ValueError):
    """The sets do not make a chain; the text is a short reason."""


class ArcSet(NamedTuple):
    """The three fields of one instance."""

    results: Field
    message_signature: Field
    seal: Field


def collect_sets(header: HeaderSection) -> list[ArcSet]:
    """Instance 1 first; empty if the message has no ARC field at all. Raises `ChainError` (RFC 8617 §5.2 step
    3)."""
    by_name: dict[bytes, dict[int, Field]] = {}
    for name in (RESULTS, MESSAGE_SIGNATURE, SEAL):
        fields = by_name[name] = {}
        for field in header.all(name):
            instance = _instance(header, field)
            if instance in fields:
                raise ChainError(f"two {name.decode()} fields with i={instance}")
            fields[instance] = field
    count = max(len(fields) for fields in by_name.values())
    if count > MAX_INSTANCES:
        raise ChainError("too many ARC sets")
    expected = set(range(1, count + 1))
    for name, fields in by_name.items():
        if set(fields) != expected:
            raise ChainError(f"the {name.decode()} fields are not numbered from 1 to {count}")
    return [
        ArcSet(by_name[RESULTS][i], by_name[MESSAGE_SIGNATURE][i], by_name[SEAL][i])
        for i in range(1, count + 1)
    ]


def highest_instance(header: HeaderSection) -> int:
    """The largest i= that stands in any ARC field, however broken the chain is; 0 without one."""
    found = [0]
    for name in (RESULTS, MESSAGE_SIGNATURE, SEAL):
        for field in header.all(name):
            try:
                found.append(_instance(header, field))
            except ChainError:
                continue
    return max(found)


def reports_failure(header: HeaderSection) -> bool:
    """Does any seal say cv=fail? Read also where the sets are in no order."""
    return any(_FAILED.search(value) for value in header.values(SEAL))


def _instance(header: HeaderSection, field: Field) -> int:
    value = header.octets[field.value : field.end]
    match = _RESULTS_INSTANCE.match(value) if field.name == RESULTS else _INSTANCE.search(value)
    if not match or not 1 <= int(match[1]) <= MAX_INSTANCES:
        raise ChainError(f"{field.name.decode()} without a usable i=")
    return int(match[1])


def sealed_octets(header: HeaderSection, canonical: CanonicalHeader, sets: list[ArcSet]) -> bytes:
    """What the seal of the last of these sets covers: all of them in order, that seal without its b= and CRLF
    (RFC 8617 §5.1.1)."""
    fields = [field for arc_set in sets for field in arc_set]
    last = fields.pop()
    parts = [canonical.field(field, "relaxed") for field in fields]
    parts.append(relax_field(last.name, remove_signature_value(header.octets[last.value : last.end])))
    return b"".join(parts)
