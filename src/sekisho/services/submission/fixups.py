"""What a submitted header section must be, and what is added or taken away once, before signing (RFC 6409
§8)."""

from collections.abc import Container, Iterator
from dataclasses import dataclass

from sekisho.core.message.address_list import parse_address_list
from sekisho.core.message.date import format_date
from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.terms.address import Address
from sekisho.services.smtp.content import HeaderVerdict
from sekisho.services.smtp.refusal import CONTENT_RULE, Refusal

# RFC 5322 §3.6: at most one of each. Two of them are read differently by different readers.
_SINGLE = (
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
)
_RESENDERS = {b"resent-from": "Resent-From", b"resent-sender": "Resent-Sender"}
_REMOVED = frozenset({b"bcc", b"resent-bcc", b"return-path"})


@dataclass(frozen=True, slots=True)
class FixupStamp:
    """What missing fields are made of."""

    message_id: str
    domain: str
    at_us: int


def check_header(header: HeaderSection, max_received: int) -> Refusal | None:
    """Why the header section cannot be sent as it is, said so that its author can mend it."""
    if header.count(b""):
        return _content(
            "A line of the header section is not a field; the program that wrote this message must "
            "be corrected"
        )
    if header.count(b"received") > max_received:
        return Refusal.of(554, "5.4.6", "Too many Received fields: the message is in a loop", CONTENT_RULE)
    for name in _SINGLE:
        count = header.count(name.lower().encode())
        if count > 1:
            return _content(f"The message has {count} {name} fields; send it with one")
    if not header.count(b"from"):
        return _content("The message has no From field; send it with one that names your address")
    return None


def _content(text: str) -> Refusal:
    return Refusal.of(554, "5.6.0", text, CONTENT_RULE)


def author_addresses(
    header: HeaderSection, loose_domains: Container[str]
) -> tuple[tuple[str, Address], ...] | Refusal:
    """(field name, address) of everybody that From, Sender and the topmost Resent-From and Resent-Sender
    name, or the refusal of a field that names nobody for sure."""
    found: list[tuple[str, Address]] = []
    for name, field in (*_named(header, "From"), *_named(header, "Sender"), *_resent(header)):
        addresses = parse_address_list(
            header.value(field), loose_domains, routes=False
        )  # a route shows names that nobody proved
        if not addresses:
            text = f"The {name} field is not a list of addresses; correct it and send again"
            return Refusal.of(554, "5.6.0", text, "malformed-author")
        found.extend((name, address) for address in addresses)
    return tuple(found)


def _named(header: HeaderSection, name: str) -> Iterator[tuple[str, Field]]:
    return ((name, field) for field in header.all(name.lower().encode()))


def _resent(header: HeaderSection) -> Iterator[tuple[str, Field]]:
    """Who resends: the topmost block that names somebody (RFC 5322 §3.6.6). Blocks below it are of those who
    resent it before."""
    has_named = False
    for field in header.fields:
        if not field.name.startswith(b"resent-"):
            if has_named:
                return
            continue
        name = _RESENDERS.get(field.name)
        if name is not None:
            has_named = True
            yield name, field


def fixed_header(header: HeaderSection, stamp: FixupStamp) -> HeaderVerdict:
    """Date and Message-ID are added when missing (RFC 6409 §8.2, §8.3), Bcc and Return-Path go; everything
    else stays as it came."""
    added = b""
    if not header.count(b"date"):
        added += f"Date: {format_date(stamp.at_us)}\r\n".encode()
    if not header.count(b"message-id"):
        added += f"Message-ID: <{stamp.message_id}@{stamp.domain}>\r\n".encode()
    if not added and not any(header.count(name) for name in _REMOVED):
        return HeaderVerdict()
    return HeaderVerdict(replacement=added + header.without(_REMOVED))
