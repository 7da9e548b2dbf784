"""Message-IDs as threads compare them (RFC 5322 §3.6.4). Bounded; nothing here raises for what a message
holds."""

import re

from sekisho.core.message.header import HeaderSection

MAX_ID_OCTETS = 500
MAX_REFERENCES = 100

_ID = re.compile(rb"<([^<>]{1,2000})>")
_SPACE = re.compile(rb"[ \t\r\n]+")
_BARE_ID = re.compile(rb"[^\s<>]{1,500}@[^\s<>]{1,500}\Z")
MAX_VALUE_OCTETS = 65_536


def _normalise(octets: bytes) -> str:
    return _SPACE.sub(b"", octets)[:MAX_ID_OCTETS].decode("utf-8", "replace")


def header_message_id(header: HeaderSection) -> str:
    """The Message-ID without brackets and white space, or "" if there is none to compare by. Its case is
    kept."""
    value = header.first(b"message-id")
    if value is None:
        return ""
    value = value[:MAX_VALUE_OCTETS]
    match = _ID.search(value)
    if match:
        return _normalise(match[1])
    return _normalise(value) if _BARE_ID.match(value) else ""


def header_references(header: HeaderSection) -> tuple[str, ...]:
    """Ids of References and then In-Reply-To, oldest first, each once. Of too many, the first and the newest
    are kept."""
    found: dict[str, None] = {}
    for name in (b"references", b"in-reply-to"):
        value = header.first(name)
        if value:
            for octets in _ID.findall(value[-MAX_VALUE_OCTETS:]):
                found[_normalise(octets)] = None
    found.pop("", None)
    ids = tuple(found)
    return ids if len(ids) <= MAX_REFERENCES else (ids[0], *ids[-(MAX_REFERENCES - 1) :])
