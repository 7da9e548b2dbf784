"""Content-Type, Content-Disposition and their parameters, as raw octets (RFC 2045 §5.1, RFC 2183 §2).

RFC 2047 words stay as they came; RFC 2231 parts too, until `forms_of` joins them. Linear in the field,
bounded in the number of parameters.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MAX_PARAMETERS = 64  # THREATS 27
MAX_VALUE_OCTETS = 65536

Parameters = tuple[tuple[bytes, bytes], ...]  # (name in lower case, value without quoting)

_TOKEN = rb"[^\x00-\x20\x7f()<>@,;:\\\"/\[\]?=]+"
_TYPE = re.compile(rb"\s*(" + _TOKEN + rb")\s*/\s*(" + _TOKEN + rb")\s*(?=;|\Z|\s)")
_WORD = re.compile(rb"\s*([^\s;]+)")
# A parameter (a quote that is never closed ends with the field), or whatever stands between two semicolons.
_PARAMETER = re.compile(
    rb';\s*(?:([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)(?:"|\Z)|([^;\s]*))|[^;]*)', re.DOTALL
)
_PIECE = re.compile(rb"([^*]+)(?:\*([0-9]{1,3}))?(\*)?\Z")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*"|\\.|[()]|[^"\\()]+|["\\]', re.DOTALL)


def parse_content_type(value: bytes) -> tuple[bytes, bytes, Parameters] | None:
    """(type, subtype, parameters) in lower case but for values; None if it is none (RFC 2045 §5.2: text/plain
    then)."""
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


def parse_encoding(value: bytes) -> bytes:
    """The word of Content-Transfer-Encoding as it was written (RFC 2045 §6.1), comments and whatever stands
    behind a semicolon left out."""
    return without_comments(value[:1000]).split(b";")[0].strip()


class Form(NamedTuple):
    """One way in which a parameter was written. `charset`: of one by RFC 2231, b"" if it names none; None: a
    plain one."""

    octets: bytes
    charset: bytes | None = None


def forms_of(parameters: Parameters, name: bytes) -> list[Form]:
    """All values that a reader may take for the parameter `name` (lower-case): each plain one, and the one
    that RFC 2231 joins.

    RFC 2231 §3, §4: pieces in the order of their numbers, percent-encoded where they are starred.
    """
    found: list[Form] = []
    pieces: dict[int, tuple[bytes, bool]] = {}
    for key, value in parameters:
        match = _PIECE.match(key)
        if not match or match[1] != name:
            continue
        if match[2] is not None:
            pieces.setdefault(int(match[2]), (value, bool(match[3])))
        else:
            found.append(_joined([(value, True)]) if match[3] else Form(value))
    if pieces:
        found.append(_joined([pieces[number] for number in sorted(pieces)]))
    return found


def _joined(pieces: list[tuple[bytes, bool]]) -> Form:
    charset, octets = b"", b""
    for position, (value, is_encoded) in enumerate(pieces):
        if is_encoded and not position and value.count(b"'") >= 2:
            charset, _, value = value.split(b"'", 2)
        octets += unquote_to_bytes(value) if is_encoded else value
    return Form(octets, charset)


def parse_words(value: bytes) -> list[bytes]:
    """A comma-separated list such as Content-Language (RFC 3282 §2)."""
    return [word for word in (piece.strip() for piece in without_comments(value[:1000]).split(b",")) if word][
        :MAX_PARAMETERS
    ]


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
    """RFC 5322 §3.2.2 comments become one space, at any depth, without recursion. Unbalanced ones end with
    the field."""
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
