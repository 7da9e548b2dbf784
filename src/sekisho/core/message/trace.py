"""Trace fields: Received and Return-Path (RFC 5321 §4.4), and the id that a message carries here."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from sekisho.core.message.date import format_date
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address, ReversePath


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceHop:
    """How a message came to us. All texts were checked by who made them: none holds a control character.

    `client` None hides where it came from (submission); `client_name` is the verified reverse name or "";
    `recipient` is told only when it is the only one: more would disclose blind copies.
    """

    by: str
    message_id: str
    at_us: int
    hello: str = ""
    client: IPv4Address | IPv6Address | None = None
    client_name: str = ""
    extended: bool = True
    tls_cipher: str = ""
    authenticated: bool = False
    smtputf8: bool = False
    local: bool = False  # over a socket of this machine, by system user
    recipient: Address | None = None


def protocol_of(hop: TraceHop) -> str:
    """The WITH word: RFC 3848, and RFC 6531 §4.3 for internationalised messages."""
    if not hop.extended:
        return "SMTP"
    base = "UTF8SMTP" if hop.smtputf8 else "ESMTP"
    return base + ("S" if hop.tls_cipher else "") + ("A" if hop.authenticated else "")


def format_received(hop: TraceHop) -> bytes:
    """One Received field with its CRLF."""
    lines = []
    if hop.client is not None:
        literal = f"[IPv6:{hop.client}]" if hop.client.version == 6 else f"[{hop.client}]"
        name = f"{hop.client_name} " if hop.client_name else ""
        lines.append(f"from {hop.hello or literal} ({name}{literal})")
    lines.append(f"by {hop.by} with {'local' if hop.local else protocol_of(hop)} id {hop.message_id}")
    if (
        hop.recipient is not None
        and hop.recipient.domain
        and (hop.smtputf8 or not hop.recipient.needs_smtputf8)
    ):
        lines.append(f"for <{hop.recipient}>")
    if hop.tls_cipher:
        lines.append(f"tls {hop.tls_cipher}")  # RFC 8314 §4.3
    return f"Received: {_FOLD.join(lines)};{_FOLD}{format_date(hop.at_us)}\r\n".encode()


def received_client(value: bytes) -> IPv4Address | IPv6Address | None:
    """Where the message came from, out of a Received value that `format_received` wrote; None if that hid
    it."""
    found = _CLIENT.search(value)
    return ip_address(found[1].decode()) if found else None


def received_id(value: bytes) -> str:
    """The id of the message here, out of a Received value that `format_received` wrote; "" if there is
    none."""
    found = _ID.search(value)
    return found[1].decode() if found else ""


def received_at_us(value: bytes) -> int:
    """When the message came, out of the same; 0 if there is none."""
    return int(received_id(value)[:13] or "0", 16)


_FOLD = "\r\n\t"
_ID = re.compile(rb" id ([0-9a-f]{29})(?:\r\n)?[ \t;]")
_CLIENT = re.compile(rb"\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]\)(?:\r\n)?[ \t]by ")


def format_return_path(path: ReversePath) -> bytes:
    """One Return-Path field with its CRLF (RFC 5321 §4.4)."""
    return f"Return-Path: <{path}>\r\n".encode()


def is_looping(header: HeaderSection, max_received: int) -> bool:
    """RFC 5321 §6.3: so many Received fields mean that the message goes round."""
    return header.count(b"received") > max_received


def new_message_id(at_us: int, random_octets: bytes) -> str:
    """Our id of a message: 29 lower-case hexadecimal digits, ascending with time. Needs 8 random octets."""
    return f"{at_us:013x}{random_octets[:8].hex()}"
