"""The words of a script (RFC 5228 §8.1). One pattern, each octet looked at a bounded number of times."""

import re
from typing import Literal, NamedTuple

from sekisho.core.sieve.faults import ScriptFault, SieveError
from sekisho.core.sieve.limits import SieveLimits

Kind = Literal["identifier", "tag", "number", "string", "special", "end"]

MAX_NUMBER = 2**63 - 1

_WORD = re.compile(
    r"(?P<space>[ \t\r\n]+|\#[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)"
    r"|(?P<text>[Tt][Ee][Xx][Tt]:[ \t]*(?:\#[^\n]*)?\r?\n)"
    r'|"(?P<string>[^"\\]*+(?:\\.[^"\\]*+)*+)"'
    r"|(?P<number>[0-9]++[KkMmGg]?)(?![A-Za-z0-9_])"
    r"|(?P<tag>:[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<identifier>[A-Za-z_][A-Za-z0-9_]*+)"
    r"|(?P<special>[\[\](){},;])",
    re.DOTALL,
)
_TEXT_END = re.compile(r"^\.\r?(?:\n|\Z)", re.MULTILINE)
_STUFFED = re.compile(r"^\.\.", re.MULTILINE)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LINE_END = re.compile(r"\r?\n")
_FACTORS = {"k": 1024, "m": 1024**2, "g": 1024**3}  # RFC 5228 §2.4.1


class Lexeme(NamedTuple):
    """`text`: an identifier or tag in lower case (a tag without its colon), a string's value, a special
    character, a number's digits."""

    kind: Kind
    text: str
    line: int
    number: int = 0


def read_lexemes(octets: bytes, limits: SieveLimits) -> list[Lexeme]:
    """The whole script; the last lexeme has the kind "end". Raises `SieveError`."""
    text = _decode(octets, limits)
    found: list[Lexeme] = []
    position, line = 0, 1
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise SieveError([_strange(text, position, line)])
        kind, end = match.lastgroup, match.end()
        if kind == "text":
            value, end = _multi_line(text, end, line)
            found.append(_string(value, line, limits))
        elif kind == "string":
            found.append(_string(_ESCAPED.sub(r"\1", match["string"]), line, limits))
        elif kind == "number":
            found.append(_number(match["number"], line))
        elif kind == "special":
            found.append(Lexeme("special", match[0], line))
        elif kind == "tag":
            found.append(Lexeme("tag", match[0][1:].lower(), line))
        elif kind == "identifier":
            found.append(Lexeme("identifier", match[0].lower(), line))
        line += text.count("\n", position, end)
        position = end
    found.append(Lexeme("end", "", line))
    return found


def _decode(octets: bytes, limits: SieveLimits) -> str:
    if len(octets) > limits.script_octets:
        raise SieveError(
            [
                ScriptFault(
                    1,
                    "The script is larger than {limit} octets. Make it shorter.",
                    {"limit": limits.script_octets},
                )
            ]
        )
    try:
        text = octets.decode("utf-8")  # RFC 5228 §2.1
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise SieveError([ScriptFault(line, "This line is not UTF-8. Save the script as UTF-8.")]) from error
    nul = text.find("\0")
    if nul >= 0:
        raise SieveError(
            [ScriptFault(text.count("\n", 0, nul) + 1, "There is a NUL character here. Remove it.")]
        )
    return text.removeprefix("\ufeff")


def _strange(text: str, position: int, line: int) -> ScriptFault:
    if text.startswith("/*", position):
        return ScriptFault(line, "The comment that begins here is never closed. End it with */.")
    if text[position] == '"':
        return ScriptFault(line, 'The string that begins here is never closed. End it with ".')
    if text[position].isdigit():
        return ScriptFault(line, "This number is followed by letters. A number may end in K, M or G only.")
    return ScriptFault(
        line, "The character {character} has no meaning here. Remove it.", {"character": repr(text[position])}
    )


def _multi_line(text: str, start: int, line: int) -> tuple[str, int]:
    """RFC 5228 §2.4.2: up to a line with a dot alone; a dot that begins a line is doubled."""
    end = _TEXT_END.search(text, start)
    if end is None:
        raise SieveError(
            [
                ScriptFault(
                    line,
                    "The text: that begins here is never closed. End it with a line that holds only a dot.",
                )
            ]
        )
    return _STUFFED.sub(".", text[start : end.start()]), end.end()


def _string(value: str, line: int, limits: SieveLimits) -> Lexeme:
    if len(value) > limits.string_octets:
        raise SieveError(
            [
                ScriptFault(
                    line,
                    "The string here is longer than {limit} characters. Make it shorter.",
                    {"limit": limits.string_octets},
                )
            ]
        )
    return Lexeme("string", _LINE_END.sub("\r\n", value), line)


def _number(text: str, line: int) -> Lexeme:
    digits, factor = text, 1
    if text[-1] in "KkMmGg":
        digits, factor = text[:-1], _FACTORS[text[-1].lower()]
    value = int(digits) * factor if len(digits) <= 19 else MAX_NUMBER + 1
    if value > MAX_NUMBER:
        raise SieveError(
            [
                ScriptFault(
                    line, "The number here is too large. The largest is {limit}.", {"limit": MAX_NUMBER}
                )
            ]
        )
    return Lexeme("number", text, line, value)
