"""What a script sends, as octets: answers of vacation, refusals too late for SMTP, notices (RFC 5230 §5, RFC
5429 §2.1, RFC 5436 §2).

All go out with the null reverse path but for notices, and all say that a machine wrote them (RFC 3834 §5).
"""

import base64
import re
from dataclasses import dataclass

from sekisho.core.message.date import format_date
from sekisho.core.message.folding import encoded_words
from sekisho.core.message.header import HeaderSection
from sekisho.core.sieve.actions import Notify, Vacation
from sekisho.core.sieve.addresses import read_addresses

_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_MAX_FIELD = 900
_ENTITY_FIELD = re.compile(rb"(?:content-[!-9;-~]{1,60}|mime-version)\Z")
_PLAIN = (
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: base64",
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes one letter of ours different from every other. `message_id` without brackets."""

    message_id: str
    at_us: int
    offset_minutes: int = 0


def _field(name: str, value: str) -> str:
    value = _UNSAFE.sub(" ", value)[:_MAX_FIELD]
    return f"{name}: {value if value.isascii() else encoded_words(value)}"


def _address_field(name: str, value: str, otherwise: str) -> str:
    """A From field of the owner's choice: one address, perhaps with a name."""
    text = _UNSAFE.sub(" ", value)[:_MAX_FIELD]
    found = read_addresses(text)
    if len(found) != 1 or not found[0].domain:
        return f"{name}: <{otherwise}>"
    label = text.partition("<")[0].strip().strip('"') if "<" in text else ""
    if not label:
        return f"{name}: <{found[0].whole}>"
    if label.isascii():
        quoted = label.replace("\\", "\\\\").replace('"', '\\"')
        return f'{name}: "{quoted}" <{found[0].whole}>'
    return f"{name}: {encoded_words(label)} <{found[0].whole}>"


def _text(text: str) -> bytes:
    octets = _LINE_END.sub("\r\n", text).encode("utf-8", "replace")
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def _joined(lines: list[str], body: bytes) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace") + b"\r\n" + body


def vacation_letter(action: Vacation, stamp: Stamp) -> bytes:
    """RFC 5230 §5. Its envelope has the null reverse path, so that nothing answers it (RFC 3834 §3.3)."""
    lines = [
        _address_field("From", action.sender, action.recipient),
        f"To: <{action.to}>",
        _field("Subject", action.subject),
        f"Date: {format_date(stamp.at_us, stamp.offset_minutes)}",
        f"Message-ID: <{stamp.message_id}>",
        "Auto-Submitted: auto-replied (vacation)",  # RFC 5230 §5.7
        "Precedence: bulk",
        "X-Auto-Response-Suppress: All",
    ]
    if action.in_reply_to:
        lines.append(f"In-Reply-To: {action.in_reply_to}")
    if action.references:
        lines.append("References: " + "\r\n ".join(action.references.split()))
    if action.mime:
        return _with_entity(lines, action.reason)
    return _joined([*lines, *_PLAIN], _text(action.reason))


def _with_entity(lines: list[str], reason: str) -> bytes:
    """RFC 5230 §4.3: the owner gave the whole entity; of its fields those that describe it are taken."""
    octets = _LINE_END.sub("\r\n", reason).encode("utf-8", "replace")
    header = HeaderSection(octets, max_fields=50)
    if not header.is_complete and not header.fields:
        return _joined([*lines, *_PLAIN], _text(reason))
    kept = [octets[each.start : each.end] for each in header.fields if _ENTITY_FIELD.match(each.name)]
    if header.first(b"mime-version") is None:
        lines = [*lines, "MIME-Version: 1.0"]
    fields = b"".join(each if each.endswith(b"\r\n") else each + b"\r\n" for each in kept)
    return (
        "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
        + fields
        + b"\r\n"
        + octets[header.body :]
    )


def notice_letter(action: Notify, stamp: Stamp, owner: str, about: HeaderSection) -> bytes:
    """RFC 5436 §2.7. `owner`: whose script it is; `about`: the message that the notice tells of."""
    found = about.first(b"subject")
    subject = action.subject or (found.decode("utf-8", "replace") if found else "")
    lines = [
        _address_field("From", action.sender, owner),
        "To: " + ",\r\n ".join(f"<{each}>" for each in action.to),
        _field("Subject", subject or "Notification"),
        f"Date: {format_date(stamp.at_us, stamp.offset_minutes)}",
        f"Message-ID: <{stamp.message_id}>",
        f"Auto-Submitted: auto-notified; owner-email={owner}",  # RFC 5436 §2.7.1
        f"X-Priority: {({'1': '1 (High)', '2': '3 (Normal)', '3': '5 (Low)'})[action.importance]}",
        f"Importance: {({'1': 'High', '2': 'Normal', '3': 'Low'})[action.importance]}",
    ]
    lines += [_field(name.title(), value) for name, value in action.fields[:10]]
    return _joined([*lines, *_PLAIN], _text(action.body or _summary(about)))


def _summary(about: HeaderSection) -> str:
    lines = [
        f"{label}: {value.decode('utf-8', 'replace')[:_MAX_FIELD]}"
        for label, name in (("From", b"from"), ("To", b"to"), ("Subject", b"subject"), ("Date", b"date"))
        if (value := about.first(name)) is not None
    ]
    return "\n".join(lines) + "\n"


def refusal_letter(reason: str, stamp: Stamp, *, to: str, recipient: str, about: HeaderSection) -> bytes:
    """RFC 5429 §2.1.1: a disposition notification (RFC 8098 §3) for a message that was taken already. The
    null reverse path sends it."""
    boundary = "=_" + re.sub(r"[^A-Za-z0-9]", "", stamp.message_id)[:50]
    lines = [
        f"From: <{recipient}>",
        f"To: <{to}>",
        "Subject: Automatically rejected mail",
        f"Date: {format_date(stamp.at_us, stamp.offset_minutes)}",
        f"Message-ID: <{stamp.message_id}>",
        "Auto-Submitted: auto-replied (rejected)",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=disposition-notification;\r\n boundary="{boundary}"',
    ]
    before = about.first(b"message-id") or b""
    disposition = [
        f"Final-Recipient: rfc822; {recipient}",
        "Disposition: automatic-action/MDN-sent-automatically; deleted",
    ]
    if re.match(rb"<[^<>\s]{1,500}>\Z", before):
        disposition.insert(1, f"Original-Message-ID: {before.decode('ascii', 'replace')}")
        lines.append(f"In-Reply-To: {before.decode('ascii', 'replace')}")
    start = f"--{boundary}\r\n".encode()
    return _joined(
        lines,
        b"".join(
            (
                start,
                _joined(list(_PLAIN[1:]), _text(reason)),
                b"\r\n" + start,
                _joined(
                    ["Content-Type: message/disposition-notification"],
                    "".join(f"{each}\r\n" for each in disposition).encode(),
                ),
                b"\r\n" + start,
                _joined(["Content-Type: text/rfc822-headers"], about.octets[: about.end][:16_384]),
                f"\r\n--{boundary}--\r\n".encode(),
            )
        ),
    )
