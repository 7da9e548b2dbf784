"""Tag lists: `v=1; a=rsa-sha256; …` (RFC 6376 §3.2), in signatures, ARC fields and key records."""

import re

MAX_TAG_LIST_OCTETS = 65_536  # THREATS 27
MAX_TAGS = 100
_ALLOWED = bytes([9, 10, 13, *range(32, 127), *range(128, 256)])
# RFC 6376 §3.2: tag-spec = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
_TAG = re.compile(rb"(?:\A|;)[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=([^;]*)")
_WHITE_SPACE = b" \t\r\n"


class TagError(ValueError):
    """The text is not a tag list."""


def parse_tags(text: bytes) -> dict[bytes, bytes]:
    """Tag names to values, outer white space removed; raises `TagError`. Names are case-sensitive and occur
    once."""
    specs = text.count(b";") + 1
    if len(text) > MAX_TAG_LIST_OCTETS or specs > MAX_TAGS:
        raise TagError("too long")
    if text.translate(None, _ALLOWED):
        raise TagError("control characters")
    if not text[text.rfind(b";") + 1 :].strip(_WHITE_SPACE):
        specs -= 1  # the last semicolon may close the list
    found = _TAG.findall(text)
    if not found or len(found) != specs:
        raise TagError("not a list of name=value")
    tags = {name: value.strip(_WHITE_SPACE) for name, value in found}
    if len(tags) != len(found):
        raise TagError("a tag occurs twice")
    return tags


def without_white_space(value: bytes) -> bytes:
    """For base64 and lists, where folding white space means nothing."""
    return value.translate(None, _WHITE_SPACE)
