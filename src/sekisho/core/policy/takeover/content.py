"""What the guard looks for in a message: hosts that it links to, and keys by which the same text is
recognised in another message.

Coarse and cheap: only the beginning is looked at, whole buffers at a time, and nothing is kept but keys.
"""

import binascii
import re
from functools import lru_cache
from typing import NamedTuple

from sekisho.core.message.address_list import parse_address_list
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.takeover.sending import SentLink, short_key
from sekisho.core.terms.address import Address

LOOKED_AT = 65_536  # octets of a message
MAX_LINKS = 8
MAX_PARTS = 4
MAX_TEXT = 8_192  # octets of a text that its key is made of
MIN_TEXT = 60  # shorter ones repeat in honest mail: "Thank you!"
MIN_PARAGRAPH = 160  # longer than most signatures
MIN_SUBJECT = 8

# All of them are searched in lower case: a pattern that begins with a literal is found many times faster.
_LINK = re.compile(rb"://(?:[^\s/\"'<>@]{1,64}@)?([a-z0-9\-.\x80-\xff]{3,253})")
_TEXT_PART = re.compile(rb"\ncontent-type:[ \t]*text/(?:plain|html)")
_ENCODING = re.compile(rb"\ncontent-transfer-encoding:[ \t]*([a-z0-9\-]+)")
_ANSWER = re.compile(rb"\s*(?:re|aw|sv|fw|fwd|wg|antw)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_NOISE = b" \t\r\n0123456789"
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_QUOTE = re.compile(
    rb"<blockquote|gmail_quote|divrplyfwdmsg|-----original message-----"
)  # from there on others speak
_SIGNATURE = b"\n-- \r\n"


class ContentFacts(NamedTuple):
    links: tuple[SentLink, ...]
    contents: tuple[int, ...]


class Author(NamedTuple):
    """`identities`: keys of the author as From writes it, and of where answers would go; `reply_elsewhere`:
    that address, "" if here."""

    identities: tuple[int, ...]
    reply_elsewhere: str


def look_at_content(header: HeaderSection, octets: bytes) -> ContentFacts:
    """`octets`: the message's first LOOKED_AT octets, its header section included."""
    text = _texts(header, octets).lower()
    return ContentFacts(_links(text), _contents(header, text))


def look_at_author(header: HeaderSection, domains: frozenset[str]) -> Author:
    """`domains`: those of the authors; a Reply-To at another one leads away."""
    return _author(header.first(b"from") or b"", header.first(b"reply-to") or b"", domains)


@lru_cache(maxsize=1024)
def _author(author: bytes, reply_to: bytes, domains: frozenset[str]) -> Author:
    identities = [short_key(b"from" + _folded(author))]
    elsewhere = ""
    if reply_to:
        addresses = parse_address_list(reply_to) or ()
        away = [str(address.canonical) for address in addresses if address.domain not in domains]
        elsewhere = away[0] if away else ""
        identities.extend(short_key(f"reply {address}") for address in away[:1])
    return Author(tuple(identities), elsewhere)


def count_hidden(header: HeaderSection, recipients: tuple[Address, ...]) -> int:
    """How many of the recipients neither To nor Cc names."""
    named = b"\n".join([*header.values(b"to"), *header.values(b"cc")]).lower()
    return sum(str(address).lower().encode() not in named for address in recipients)


def _texts(header: HeaderSection, octets: bytes) -> bytes:
    """The text parts, decoded, one after the other."""
    body = octets[header.body :]
    kind = (header.first(b"content-type") or b"text/plain").lower()
    if not kind.startswith(b"multipart/"):
        return (
            _decoded(body, header.first(b"content-transfer-encoding") or b"")
            if kind.startswith(b"text/")
            else b""
        )
    found: list[bytes] = []
    lower = body.lower()
    for match in _TEXT_PART.finditer(lower):
        start = body.rfind(b"--", 0, match.start())
        empty = body.find(b"\r\n\r\n", match.start())
        if start < 0 or empty < 0:
            continue
        delimiter = b"\r\n" + body[start : body.find(b"\r\n", start)]
        end = body.find(delimiter, empty)
        encoding = _ENCODING.search(lower, start, empty)
        found.append(
            _decoded(body[empty + 4 : end if end >= 0 else len(body)], encoding[1] if encoding else b"")
        )
        if len(found) == MAX_PARTS:
            break
    return b"\r\n\r\n".join(found)


def _decoded(octets: bytes, encoding: bytes) -> bytes:
    encoding = encoding.strip().lower()
    if encoding == b"base64":
        clean = octets.translate(None, _NOT_BASE64)
        return binascii.a2b_base64(clean[: len(clean) - len(clean) % 4])
    return binascii.a2b_qp(octets) if encoding == b"quoted-printable" else octets


def _links(text: bytes) -> tuple[SentLink, ...]:
    hosts: dict[bytes, bool] = {}
    quote: int | None = None
    for match in _LINK.finditer(text):
        if quote is None:
            found = _QUOTE.search(text)
            quote = found.start() if found is not None else len(text)
        host = match[1].removeprefix(b"www.").rstrip(b".")
        at = match.start()
        is_quoted = at > quote or text.startswith(b">", text.rfind(b"\n", 0, at) + 1)
        hosts[host] = hosts.get(host, True) and is_quoted
        if len(hosts) == MAX_LINKS:
            break
    return tuple(
        SentLink(short_key(b"link" + host), host.decode("utf-8", "replace"), quoted)
        for host, quoted in hosts.items()
    )


def _contents(header: HeaderSection, text: bytes) -> tuple[int, ...]:
    """Keys of the subject, of the text and of its longest paragraph, without what a template fills in: digits
    and spaces."""
    keys: list[int] = []
    subject = header.first(b"subject") or b""
    if len(subject) >= MIN_SUBJECT and not _ANSWER.match(subject):
        keys.append(short_key(b"subject" + _folded(subject)))
    text = text[:MAX_TEXT]
    signature = text.find(_SIGNATURE)
    if signature >= 0:
        text = text[:signature]
    whole = text.translate(None, _NOISE)
    if len(whole) >= MIN_TEXT:
        keys.append(short_key(b"text" + whole))
        paragraphs = text.split(b"\r\n\r\n")
        longest = max(paragraphs, key=len)
        if len(paragraphs) > 1 and len(longest) >= MIN_PARAGRAPH and not longest.startswith(b">"):
            keys.append(short_key(b"part" + longest.translate(None, _NOISE)))
    return tuple(keys)


def _folded(octets: bytes) -> bytes:
    return octets.lower().translate(None, _NOISE)
