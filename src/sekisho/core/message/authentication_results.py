"""The Authentication-Results field: written, read, and found where somebody forged ours (RFC 8601).

Reading is bounded and iterative; a part that breaks the grammar is dropped, never the caller's evening.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import idna

from sekisho.core.message.header import Field, HeaderSection

FIELD_NAME = b"authentication-results"
MAX_VALUE_OCTETS = 65_536
MAX_RESULTS = 100
MAX_PROPERTIES = 64
MAX_FIELDS = 100
MAX_ID_OCTETS = 1024

# RFC 2045 §5.1 token (extended by RFC 8601 §2.2 to UTF-8), RFC 5322 §3.2.4 quoted-string, and the specials of
# the grammar.
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n"
    r']+)|"(?P<quoted>[^"\\]*(?:\\.[^"\\]*)*)"|(?P<token>[!#-\'*+\-.0-9A-Z^-~\u0080-\U0010ffff]+)|(?P'
    r'<special>[^"(])',
    re.DOTALL,
)
_COMMENT_MARK = re.compile(r"[()\\]")
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_MARK = re.compile("\0([0-9]+)\0")
_VERSION = re.compile(r"[0-9]{1,9}\Z")
_AROUND_DOTS = re.compile(r"(?<! ) *\. *")
_SIMPLE_ID = re.compile(r"[ \t\r\n]*([A-Za-z0-9\-.]+)[ \t\r\n]*;")
# RFC 8601 §2.2 methodspec, reasonspec and propspec; keywords are those of RFC 5321 §4.1.2.
_METHOD = re.compile(r" *([A-Za-z0-9\-_]+) *(?:/ *([0-9]{1,9}) *)?= *([A-Za-z0-9\-_]+)(?= |\Z)")
_REASON = re.compile(r" +reason *= *([^ ]+)", re.IGNORECASE)
_PROPERTY = re.compile(r" +([A-Za-z0-9\-_]+) *\. *([A-Za-z0-9\-_]+) *= *([^ ]+)")
_WORD = re.compile(r" +[^ ]+")
_PLAIN_VALUE = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~\u0080-\U0010ffff]+\Z")
_ADDRESS_VALUE = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~\u0080-\U0010ffff]*@[A-Za-z0-9\-.]+\Z")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Property(NamedTuple):
    """`smtp.mailfrom=…`: where it was taken from, what, and the value (quoting removed)."""

    ptype: str
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """One result. `comment` is for people, in our own fields only; the reader drops comments."""

    method: str
    result: str
    properties: tuple[Property, ...] = ()
    reason: str | None = None
    version: int | None = None
    comment: str = field(default="", compare=False)

    def value(self, ptype: str, name: str) -> str | None:
        """The first property of that name."""
        return next((p.value for p in self.properties if (p.ptype, p.name) == (ptype, name)), None)


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """`dropped` counts parts that broke the grammar."""

    authserv_id: str
    results: tuple[MethodResult, ...] = ()
    version: int | None = None
    dropped: int = 0


def format_authentication_results(authserv_id: str, results: tuple[MethodResult, ...]) -> bytes:
    """The whole field with its CRLF, one result per line (RFC 8601 §2.2). Unsafe characters in values become
    `?`."""
    lines = [f"Authentication-Results: {_format_value(authserv_id)}"]
    lines += [_format_result(result) for result in results] or ["none"]
    return ";\r\n\t".join(lines).encode("utf-8", "replace") + b"\r\n"


def _format_result(result: MethodResult) -> str:
    words = (result.method, result.result, result.properties, result.reason, result.version, result.comment)
    if result.method == "dkim":  # with a part of the signature, which does not come again
        return _format_words(*words)
    return _format_again(*words)


def _format_words(
    method: str,
    result: str,
    properties: tuple[Property, ...],
    reason: str | None,
    version: int | None,
    note: str,
) -> str:
    parts = [f"{method}={result}" if version is None else f"{method}/{version}={result}"]
    if note:
        parts.append("(" + re.sub(r"[()\\]", "?", _UNSAFE.sub("?", note)) + ")")
    if reason is not None:
        parts.append(f"reason={_format_quoted(reason)}")
    parts += [f"{p.ptype}.{p.name}={_format_value(p.value)}" for p in properties]
    return _fold(parts)


# What was found out about a client and its sender stands on each of their messages.
_format_again = lru_cache(maxsize=1024)(_format_words)


def _fold(parts: list[str]) -> str:
    """Lines of about 78 characters (RFC 5322 §2.1.1)."""
    whole = " ".join(parts)
    if len(whole) <= 72:
        return whole
    out, width = [parts[0]], len(parts[0])
    for part in parts[1:]:
        breaks = width + len(part) > 72
        out.append(("\r\n\t  " if breaks else " ") + part)
        width = len(part) + 2 if breaks else width + 1 + len(part)
    return "".join(out)


def _format_value(value: str) -> str:
    if _PLAIN_VALUE.match(value) or _ADDRESS_VALUE.match(value):
        return value
    return _format_quoted(value)


def _format_quoted(value: str) -> str:
    return '"' + _UNSAFE.sub("?", value).replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Token(NamedTuple):
    kind: str  # "token", "quoted", "space", or the special itself
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    """Comments count as space; one that never ends, and a quote that never ends, give the kind "broken"."""
    position = 0
    while position < len(text):
        if text[position] == "(":
            end = _skip_comment(text, position)
            if end < 0:
                yield _Token("broken", text[position:])
                return
            yield _Token("space", " ")
            position = end
            continue
        match = _TOKEN.match(text, position)
        if not match:  # only a quote that is not closed
            yield _Token("broken", text[position:])
            return
        kind = match.lastgroup or ""
        content = match[kind]
        position = match.end()
        if kind == "quoted":
            content = _PAIR.sub(r"\1", content)
        yield _Token(content if kind == "special" else kind, content)


def _skip_comment(text: str, position: int) -> int:
    """The position behind the comment (RFC 5322 §3.2.2) that begins there, or -1."""
    depth = 0
    while match := _COMMENT_MARK.search(text, position):
        position = match.end()
        if match[0] == "\\":
            position += 1
        elif match[0] == "(":
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                return position
    return -1


def _decode(value: bytes) -> str:
    text = _FOLD.sub("", value[:MAX_VALUE_OCTETS].decode("utf-8", "surrogateescape"))
    return text.replace("\0", "?")  # \0 marks quoted strings below


def parse_authentication_results(value: bytes) -> AuthenticationResults | None:
    """A field's value (folded or not); None if it has no authserv-id."""
    segments, quoted, broken = _segments(_decode(value), MAX_RESULTS + 1)
    head = [
        word for word in segments[0].split(" ") if word
    ]  # not split(): U+0085 and its like are no white space here
    if not head or len(head) > 2 or (len(head) == 2 and not _VERSION.match(head[1])):
        return None
    authserv_id = _resolve(head[0], quoted)
    if broken and len(segments) == 1:
        return None
    results, dropped = [], int(broken)
    for segment in segments[1:]:
        if segment.strip(" ") in ("", "none"):
            continue
        result = _parse_result(segment, quoted)
        if result is None:
            dropped += 1
        else:
            results.append(result)
    return AuthenticationResults(
        authserv_id, tuple(results), int(head[1]) if len(head) == 2 else None, dropped
    )


def _segments(text: str, limit: int) -> tuple[list[str], list[str], bool]:
    """(at most `limit` parts between semicolons, comments as spaces and the n-th quoted string as `\0n\0`;
    those strings; is a part not whole, for a quote or comment that does not end)."""
    parts: list[list[str]] = [[]]
    quoted: list[str] = []
    for token in _tokens(text):
        if token.kind == ";":
            if len(parts) == limit:
                break
            parts.append([])
        elif token.kind == "quoted":
            parts[-1].append(f"\0{len(quoted)}\0")
            quoted.append(token.text)
        elif token.kind == "broken":
            return ["".join(part) for part in parts], quoted, True
        else:
            parts[-1].append(" " if token.kind == "space" else token.text)
    return ["".join(part) for part in parts], quoted, False


def _resolve(text: str, quoted: list[str]) -> str:
    return _MARK.sub(lambda match: quoted[int(match[1])], text)


def _parse_result(segment: str, quoted: list[str]) -> MethodResult | None:
    """RFC 8601 §2.2 resinfo. Values are taken up to the next space: real ones hold `/`, `:` and `=` without
    quotes."""
    match = _METHOD.match(segment)
    if not match:
        return None
    position = match.end()
    reason = None
    if found := _REASON.match(segment, position):
        reason, position = _resolve(found[1], quoted), found.end()
    properties: list[Property] = []
    while position < len(segment) and len(properties) < MAX_PROPERTIES:
        if found := _PROPERTY.match(segment, position):
            properties.append(Property(found[1].lower(), found[2].lower(), _resolve(found[3], quoted)))
        elif not (found := _WORD.match(segment, position)):
            break
        position = found.end()
    return MethodResult(
        method=match[1].lower(),
        result=match[3].lower(),
        properties=tuple(properties),
        reason=reason,
        version=int(match[2]) if match[2] else None,
    )


def find_forged(section: HeaderSection, authserv_id: str) -> list[Field]:
    """The fields that claim our `authserv_id`, however it is spelled: they must be cut before we add ours
    (RFC 8601 §5).

    Letter case, comments, folding, quotes, quoted pairs, U-labels, full-width letters, a trailing dot and
    spaces around dots change nothing. A field that breaks the grammar counts as claiming ours if our id is
    anywhere in it; one whose id has not ended after `MAX_ID_OCTETS`, and all beyond the first `MAX_FIELDS`,
    always.
    """
    ours = _canonical(authserv_id)
    fields = section.all(FIELD_NAME)
    claiming = [
        found for found in fields[:MAX_FIELDS] if _claims(section.octets[found.value : found.end], ours)
    ]
    return claiming + fields[MAX_FIELDS:]


def _claims(value: bytes, ours: str) -> bool:
    """Might any reader find our id in the field?"""
    text = _decode(value[:MAX_ID_OCTETS])
    if simple := _SIMPLE_ID.match(text):
        return _canonical(simple[1]) == ours
    segments, quoted, broken = _segments(text, 2)
    if len(segments) == 1 and len(value) > MAX_ID_OCTETS:
        return True
    heads = [segments[0], segments[0].replace(" ", "")]
    if broken:
        heads.append(re.sub(r'[()";\\]', " ", text))
    words: set[str] = set()
    for head in heads:
        words.update(_resolve(_AROUND_DOTS.sub(".", head), quoted).split())
        words.add("".join(_resolve(head, quoted).split()))
    return ours in map(_canonical, words)


def _canonical(name: str) -> str:
    name = unicodedata.normalize("NFKC", name).casefold().strip().strip(".")
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return name
