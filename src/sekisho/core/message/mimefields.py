"""Content-Type, Content-Disposition and their parameters, as raw octets (RFC 2045 §5.1, RFC 2183 §2).

Nothing is decoded: RFC 2047 words and RFC 2231 parts stay as they came. Linear in the field, bounded in the number of parameters.
"""

import re

MAX_PARAMETERS = 64  # THREATS 27
MAX_VALUE_OCTETS = 65536

Parameters = tuple[tuple[bytes, bytes], ...]  # (name in lower case, value without quoting)

_TOKEN = rb"[^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]+"
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")\s*/\s*(" + _TOKEN + rb")\s*(?=;|\Z|\s)")
_WORD = re.compile(rb"\s*([^\s;]+)")
# A parameter, or whatever stands between two semicolons.
_PARAMETER = re.compile(rb';\s*(?:([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))|[^;]*)', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*"|\\.|[()]|[^"\\()]+|["\\]', re.DOTALL)


def parse_content_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """(type, subtype, parameters) in lower case but for values; None if it is none (RFC 2045 §5.2: text/plain then)."""
    value = without_comments(value[:MAX_VALUE_OCTETS])
    match = _TYPE.match(value)
    if not match:
        return None
    return match[1].lower(), match[2].lower(), _parameters(value, match.end())


def parse_disposition(value: bytes) -> tuple[bytes, Parameters] | None:
    """(disposition, parameters), or None for an empty field."""
    value = without_comments(value[:MAX_VALUE_OCTETS])
    match = _WORD.match(value)
    if not match:
        return None
    return match[1], _parameters(value, match.end())


def parse_words(value: bytes) -> list[bytes]:
    """A comma-separated list such as Content-Language (RFC 3282 §2)."""
    return [word for word in (piece.strip() for piece in without_comments(value[:1000]).split(b",")) if word][:MAX_PARAMETERS]


def _parameters(value: bytes, position: int) -> Parameters:
    found: list[tuple[bytes, bytes]] = []
    for match in _PARAMETER.finditer(value, position):
        if match[1] is None:
            continue
        quoted = match[2]
        text = _ESCAPED.sub(rb"\1", quoted) if quoted is not None else match[3].strip()
        found.append((match[1].lower(), text))
        if len(found) >= MAX_PARAMETERS:
            break
    return tuple(found)


def without_comments(value: bytes) -> bytes:
    """RFC 5322 §3.2.2 comments become one space, at any depth, without recursion. Unbalanced ones end with the field."""
    if b"(" not in value:
        return value
    depth = 0
    kept: list[bytes] = []
    for match in _COMMENT_PIECE.finditer(value):
        piece = match[0]
        if piece == b"(":
            depth += 1
        elif piece == b")":
            if depth:
                depth -= 1
                if not depth:
                    kept.append(b" ")
        elif not depth:
            kept.append(piece)
    return b"".join(kept)
