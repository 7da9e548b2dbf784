"""Tag lists: `v=1; a=rsa-sha256; …` (RFC 6376 §3.2), in signatures, ARC fields and key records."""

import re

MAX_TAG_LIST_OCTETS = 65_536  # THREATS 27
MAX_TAGS = 100
_FORBIDDEN = re.compile(rb"[^\t\r\n -~\x80-\xff]")
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_WHITE_SPACE = b" \t\r\n"


class TagError(ValueError):
    """The text is not a tag list."""


def parse_tags(text: bytes) -> dict[str, bytes]:
    """Tag names to values, outer white space removed; raises `TagError`. Names are case-sensitive and occur once."""
    if len(text) > MAX_TAG_LIST_OCTETS or text.count(b";") > MAX_TAGS:
        raise TagError("too long")
    if _FORBIDDEN.search(text):
        raise TagError("control characters")
    specs = text.split(b";")
    if not specs[-1].strip(_WHITE_SPACE):
        specs.pop()
    tags: dict[str, bytes] = {}
    for spec in specs:
        raw_name, equals, value = spec.partition(b"=")
        raw_name = raw_name.strip(_WHITE_SPACE)
        if not equals or not _NAME.fullmatch(raw_name):
            raise TagError("not name=value")
        name = raw_name.decode("ascii")
        if name in tags:
            raise TagError(f"{name}= twice")
        tags[name] = value.strip(_WHITE_SPACE)
    if not tags:
        raise TagError("empty")
    return tags


def without_white_space(value: bytes) -> bytes:
    """For base64 and lists, where folding white space means nothing."""
    return value.translate(None, _WHITE_SPACE)
