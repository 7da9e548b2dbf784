"""Composing delivery status notifications (RFC 3461–3464, RFC 6522, RFC 6533) as octets.

What comes from others (replies, addresses, ORCPT, ENVID, the original's header section) is bounded, put on
one line and made printable before it is written (THREATS 8, 49). Without internationalised addresses a notice
is pure ASCII.
"""

import base64
import re
import textwrap
from dataclasses import dataclass
from typing import Literal

from sekisho.core.message.date import format_date
from sekisho.core.message.dsn_text import (
    SUBJECTS,
    Action,
    Language,
    ReplyMeaning,
    ending,
    introduction,
    recipient_paragraph,
)
from sekisho.core.message.folding import encoded_words
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Recipient
from sekisho.core.terms.reply import EnhancedStatus, Reply
from sekisho.core.terms.xtext import encode_utf8_xtext, encode_xtext

MAX_VALUE_OCTETS = 900
MAX_HEADER_OCTETS = 65536
# RET=FULL is honoured up to here: longer originals are never in memory as a whole (law 9).
MAX_FULL_OCTETS = 65536

_MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,250}>")
_LONE_LINE_END = re.compile(rb"\r\n|\r|\n")
_NON_ASCII = re.compile(r"[^\x20-\x7e]")
_NON_ASCII_OCTET = re.compile(rb"[^\r\n\t\x20-\x7e]")


@dataclass(frozen=True, slots=True, kw_only=True)
class DsnRecipient:
    """What became of one recipient. `remote`: who said `reply`, "" if we did. Instants are µs since 1970, 0
    if unknown."""

    recipient: Recipient
    action: Action
    status: EnhancedStatus
    reply: Reply | None = None
    remote: str = ""
    last_attempt_at_us: int = 0
    will_retry_until_us: int = 0
    explained: ReplyMeaning | None = None  # of `reply`, where it is known what it means


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn:
    """One notice. All recipients have the same action.

    `to` is the original's reverse path, so a null one cannot be told anything (RFC 3461 §5.2.2). `id` names
    the notice and is its boundary: unguessable, letters and digits. `original` is the header section of the
    message, or all of it when `is_whole`. `message_id` is our id of the original. `author_domain`: where From
    is, "" for the reporting MTA's own name.
    """

    id: str
    reporting_mta: str
    to: Address
    date_us: int
    arrived_at_us: int
    recipients: tuple[DsnRecipient, ...]
    original: bytes
    is_whole: bool = False
    envid: str | None = None
    message_id: str = ""
    language: Language = "en"
    author_domain: str = ""


@dataclass(frozen=True, slots=True)
class ComposedDsn:
    """The octets and what their envelope must say."""

    octets: bytes
    body: Literal["7BIT", "8BITMIME"]
    smtputf8: bool
    header_message_id: str  # normalised: without angle brackets


def status_for(reply: Reply | None, action: Action) -> EnhancedStatus:
    """The Status of RFC 3464 §2.3.4: the enhanced code that was given, else only the class."""
    if reply is not None and reply.enhanced is not None:
        return reply.enhanced
    if action in ("failed", "delayed"):
        return EnhancedStatus(5 if reply is not None and reply.is_permanent else 4, 0, 0)
    return EnhancedStatus(2, 0, 0)


def compose_dsn(dsn: Dsn) -> ComposedDsn:
    """The whole message, from From to the last boundary."""
    is_global = any(not _is_ascii(recipient) for recipient in dsn.recipients)  # RFC 6533 §6
    boundary = f"=_{dsn.id}"
    original, original_is_8bit = _original_part(dsn)
    parts = [_text_part(dsn), _status_part(dsn, is_global=is_global), original]
    is_8bit = is_global or original_is_8bit
    delimiter = f"--{boundary}".encode()
    body = b"".join(delimiter + b"\r\n" + part + b"\r\n" for part in parts) + delimiter + b"--\r\n"
    header = _header(dsn, boundary, is_8bit=is_8bit)
    smtputf8 = dsn.to.needs_smtputf8
    return ComposedDsn(
        header + b"\r\n" + body,
        "8BITMIME" if is_8bit or smtputf8 else "7BIT",
        smtputf8,
        f"{dsn.id}@{dsn.reporting_mta}",
    )


def _is_ascii(recipient: DsnRecipient) -> bool:
    orcpt = recipient.recipient.orcpt
    return not recipient.recipient.address.needs_smtputf8 and (orcpt is None or orcpt.isascii())


def _header(dsn: Dsn, boundary: str, *, is_8bit: bool) -> bytes:
    action = dsn.recipients[0].action
    subject = SUBJECTS[dsn.language][action]
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{dsn.author_domain or dsn.reporting_mta}>",
        f"To: <{dsn.to}>",
        f"Subject: {subject if subject.isascii() else encoded_words(subject)}",
        f"Date: {format_date(dsn.date_us)}",
        f"Message-ID: <{dsn.id}@{dsn.reporting_mta}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 §5
    ]
    original_id = HeaderSection(dsn.original).first(b"message-id")
    if original_id is not None and _MESSAGE_ID.fullmatch(original_id):
        lines += [f"In-Reply-To: {original_id.decode('ascii')}", f"References: {original_id.decode('ascii')}"]
    lines += [
        "MIME-Version: 1.0",
        # RFC 6522 §3
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"',
    ]
    if is_8bit:
        lines.append("Content-Transfer-Encoding: 8bit")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _text_part(dsn: Dsn) -> bytes:
    """For people. Japanese is followed by English: the sender may be anybody."""
    languages: tuple[Language, ...] = ("ja", "en") if dsn.language == "ja" else ("en",)
    text = "\n\n".join(_text(dsn, language) for language in languages) + "\n"
    if text.isascii() and max(map(len, text.split("\n"))) <= 998:
        return b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text.replace("\n", "\r\n").encode()
    armoured = base64.encodebytes(text.replace("\n", "\r\n").encode()).replace(b"\n", b"\r\n")
    return b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + armoured


def _text(dsn: Dsn, language: Language) -> str:
    paragraphs = [introduction(language, dsn.recipients[0].action, dsn.reporting_mta)]
    for recipient in dsn.recipients:
        paragraphs.append(
            recipient_paragraph(
                language,
                _one_line(str(recipient.recipient.address)),
                str(recipient.status),
                remote=_one_line(recipient.remote),
                diagnostic=_one_line(str(recipient.reply)) if recipient.reply is not None else "",
                explained=recipient.explained,
            )
        )
    until = dsn.recipients[0].will_retry_until_us
    paragraphs.append(ending(language, _one_line(dsn.message_id), format_date(until) if until else ""))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _status_part(dsn: Dsn, *, is_global: bool) -> bytes:
    """RFC 3464 §2, or its internationalised kin (RFC 6533 §4)."""
    groups = [[f"Reporting-MTA: dns; {dsn.reporting_mta}"]]
    if dsn.envid is not None:
        groups[0].append(f"Original-Envelope-Id: {_safe_xtext(dsn.envid)}")
    if dsn.arrived_at_us:
        groups[0].append(f"Arrival-Date: {format_date(dsn.arrived_at_us)}")
    groups += [_recipient_fields(recipient) for recipient in dsn.recipients]
    text = "\r\n".join("".join(f"{field}\r\n" for field in group) for group in groups)
    if is_global:
        return (
            b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            + text.encode()
        )
    return b"Content-Type: message/delivery-status\r\n\r\n" + _NON_ASCII.sub(_only_line_ends, text).encode(
        "ascii"
    )


def _only_line_ends(match: re.Match[str]) -> str:
    return match[0] if match[0] in "\r\n" else "?"


def _recipient_fields(recipient: DsnRecipient) -> list[str]:
    fields = []
    if recipient.recipient.orcpt is not None:  # RFC 3464 §2.3.1: only if the sender gave it
        fields.append(f"Original-Recipient: {_typed_address(recipient.recipient.orcpt)}")
    address = recipient.recipient.address
    fields += [
        f"Final-Recipient: {'utf-8' if address.needs_smtputf8 else 'rfc822'}; {address}",
        f"Action: {recipient.action}",
        f"Status: {recipient.status}",
    ]
    if recipient.remote:
        fields.append(f"Remote-MTA: dns; {_one_line(recipient.remote.partition(' ')[0])}")
    if recipient.reply is not None:
        fields.append(
            _folded("Diagnostic-Code", f"{'smtp' if recipient.remote else 'x-sekisho'}; {recipient.reply}")
        )
    if recipient.last_attempt_at_us:
        fields.append(f"Last-Attempt-Date: {format_date(recipient.last_attempt_at_us)}")
    if recipient.action == "delayed" and recipient.will_retry_until_us:  # RFC 3464 §2.3.9: in no other
        fields.append(f"Will-Retry-Until: {format_date(recipient.will_retry_until_us)}")
    return fields


def _original_part(dsn: Dsn) -> tuple[bytes, bool]:
    """The third part, and whether it is 8-bit. RFC 6522 §3: the message or its header section."""
    section = HeaderSection(dsn.original)
    is_clean = (
        dsn.original.count(b"\n") == dsn.original.count(b"\r\n") == dsn.original.count(b"\r")
        and b"\0" not in dsn.original
    )
    if dsn.is_whole and is_clean and len(dsn.original) <= MAX_FULL_OCTETS:
        if dsn.original.isascii():
            return b"Content-Type: message/rfc822\r\n\r\n" + dsn.original, False
        kind = (
            b"message/rfc822" if dsn.original[: section.end].isascii() else b"message/global"
        )  # RFC 6533 §5
        return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + dsn.original, True
    header = _LONE_LINE_END.sub(b"\r\n", dsn.original[: section.end].replace(b"\0", b"?"))
    if len(header) > MAX_HEADER_OCTETS:
        header = header[: header.rfind(b"\r\n", 0, MAX_HEADER_OCTETS) + 2]
    if header and not header.endswith(b"\r\n"):
        header += b"\r\n"
    if not header.isascii() and _is_utf8(header):
        return (
            b"Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + header,
            True,
        )  # RFC 6533 §5
    return b"Content-Type: text/rfc822-headers\r\n\r\n" + _NON_ASCII_OCTET.sub(b"?", header), False


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _one_line(text: str) -> str:
    """One printable line of at most 900 octets."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(character if character.isprintable() else "?" for character in text[:MAX_VALUE_OCTETS])
    return text.encode()[:MAX_VALUE_OCTETS].decode("utf-8", "ignore")


def _safe_xtext(text: str) -> str:
    """Text as it is when it is printable ASCII, else armoured again (THREATS 49)."""
    return (text if text.isascii() and text.isprintable() else encode_xtext(text))[:MAX_VALUE_OCTETS]


def _typed_address(orcpt: str) -> str:
    """`type; address` of ORCPT (RFC 3464 §2.3.1). A type that is no atom makes it `x-unknown`."""
    kind, semicolon, address = orcpt.partition(";")
    if not semicolon or not re.fullmatch(r"[A-Za-z0-9-]{1,40}", kind):
        kind, address = "x-unknown", orcpt
    if address.isascii():
        return f"{kind}; {_safe_xtext(address)}"
    if not address.isprintable():
        return f"utf-8; {encode_utf8_xtext(address)[:MAX_VALUE_OCTETS]}"
    return f"utf-8; {_one_line(address)}"


def _folded(name: str, value: str) -> str:
    """A long value over several lines, broken only at spaces (RFC 5322 §2.2.3)."""
    lines = textwrap.wrap(f"{name}: {_one_line(value)}", 76, break_long_words=False, break_on_hyphens=False)
    return "\r\n ".join(lines)
