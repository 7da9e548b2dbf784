"""Messages as their senders hand them over: composed, signed, forwarded, sent through a list. Octets in,
octets out."""

import base64
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.header import Header
from email.utils import formatdate

from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message
from sekisho.lab.scene import Attachment
from sekisho.lab.texts import write_text

_LINE = 76
LIST_FOOTER = "-- \nThis list is kept by its members / このメーリングリストは会員が運営しています\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabLetter:
    """What a message says and who says it. `author` is the header From; `seed` chooses what is left open."""

    token: str
    author: str
    recipients: tuple[str, ...]
    seed: str
    domain: str  # of the Message-ID
    author_name: str = ""
    style: str = "letter"
    writing: str = "both"
    subject: str = ""
    text: str = ""
    reply_to: str = ""
    in_reply_to: str = ""
    agent: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()
    octets: int = 0
    list_id: str = ""


def message_id_of(token: str, domain: str) -> str:
    return f"<{token}@{domain}>"


def compose(letter: LabLetter, now_us: int) -> bytes:
    """The message with CRLF line ends, without any trace or signature field."""
    subject, body, language = write_text(letter.style, letter.writing, letter.seed)
    subject, body = letter.subject or subject, letter.text or body
    if len(body) < letter.octets:
        body += _padding(letter.octets - len(body), letter.seed)
    fields = [
        ("From", _mailbox(letter.author_name, letter.author)),
        ("To", ", ".join(letter.recipients) if len(letter.recipients) <= 3 else "undisclosed-recipients:;"),
        ("Subject", _encoded(subject)),
        ("Date", formatdate(now_us / 1_000_000)),
        ("Message-ID", message_id_of(letter.token, letter.domain)),
        ("Reply-To", letter.reply_to),
        ("In-Reply-To", letter.in_reply_to),
        ("References", letter.in_reply_to),
        ("User-Agent", letter.agent),
        ("List-Id", letter.list_id),
        ("Content-Language", language),
        *letter.headers.items(),
        ("MIME-Version", "1.0"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields if value)
    return head.encode() + _body(body, letter)


def _body(text: str, letter: LabLetter) -> bytes:
    text = text if text.endswith("\n") else text + "\n"
    part = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" + _base64(
        text.encode()
    )
    if text.isascii():
        part = b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text.replace("\n", "\r\n").encode()
    if not letter.attachments:
        return part
    border = b"=_lab-" + letter.token.encode()
    out = [b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n%b' % (border, border, part)]
    for attached in letter.attachments:
        content = base64.b64decode(attached.base64) if attached.base64 else attached.text.encode()
        head = (
            f'Content-Type: {attached.type}; name="{attached.name}"\r\nContent-Disposition: attachment; '
            f'filename="{attached.name}"\r\n'
        )
        out.append(head.encode() + b"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(content))
    return (b"\r\n--%b\r\n" % border).join(out) + b"\r\n--%b--\r\n" % border


def sign(message: bytes, signer: DkimSigner, now_us: int) -> bytes:
    return sign_message([signer], message, now_us // 1_000_000) + message


def received(by: str, client: str, hello: str, now_us: int) -> bytes:
    """The trace field of a server on the way (RFC 5321 §4.4)."""
    return (
        f"Received: from {hello} ([{client}])\r\n\tby {by} with ESMTPS;\r\n"
        f"\t{formatdate(now_us / 1_000_000)}\r\n"
    ).encode()


def through_list(message: bytes, list_id: str, prefix: str) -> bytes:
    """As a list changes it: its name in the subject, its fields, a footer. The author's signature breaks."""
    head, _, body = message.partition(b"\r\n\r\n")
    head = head.replace(b"\r\nSubject: ", f"\r\nSubject: [{prefix}] ".encode(), 1)
    fields = (
        f"\r\nList-Id: <{list_id}>\r\nList-Unsubscribe: <mailto:leave@{list_id.partition('.')[2]}>\r\n"
        f"Precedence: list"
    ).encode()
    footer = LIST_FOOTER
    is_plain = b"base64" not in head
    added = footer.encode("ascii", "ignore") if is_plain else b""
    if not is_plain:
        text = base64.b64decode(body) + b"\n" + footer.encode()
        body = _base64(text)
    return head + fields + b"\r\n\r\n" + body + added.replace(b"\n", b"\r\n")


def _mailbox(name: str, address: str) -> str:
    if not name:
        return address
    return f'"{name}" <{address}>' if name.isascii() else f"{_encoded(name)} <{address}>"


def _encoded(text: str) -> str:
    """RFC 2047 where it is needed, folded with CRLF."""
    if text.isascii():
        return text
    return Header(text, "utf-8", maxlinelen=_LINE).encode(linesep="\r\n")


def _base64(octets: bytes) -> bytes:
    return base64.encodebytes(octets).replace(b"\n", b"\r\n")


def _padding(octets: int, seed: str) -> str:
    """Readable text of about so many octets."""
    dice = random.Random(f"padding:{seed}")
    words = (
        "member",
        "garden",
        "meeting",
        "concert",
        "report",
        "spring",
        "library",
        "bicycle",
        "river",
        "theatre",
    )
    line = " ".join(dice.choice(words) for _ in range(9)) + ".\n"
    return line * (octets // len(line) + 1)


def utc_now_us() -> int:
    return time.time_ns() // 1000
