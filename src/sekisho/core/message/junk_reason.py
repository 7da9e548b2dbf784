"""The fields that tell why a copy lies in Junk, and what to beware of. Ours alone: what came with a message
is cut off."""

import textwrap

from sekisho.core.message.folding import encoded_words

JUNK_REASON = b"x-junk-reason"
WARNING = b"x-sekisho-warning"

_NAME = "X-Junk-Reason"
_WARNING_NAME = "X-Sekisho-Warning"
_MAX_CHARACTERS = 500


def junk_rule(value: bytes) -> str:
    """The rule that a value of the field names; "" if there is none."""
    return value.partition(b";")[0].strip().decode("ascii", "replace")


def format_junk_reason(rule: str, because: str) -> bytes:
    """The whole field with its CRLF: the rule by name, then what it found, in readable form (RFC 2047 where
    it is not ASCII)."""
    return _format(_NAME, rule, because)


def format_warning(rule: str, because: str) -> bytes:
    """The same for copies that may lie anywhere."""
    return _format(_WARNING_NAME, rule, because)


def _format(field: str, rule: str, because: str) -> bytes:
    text = "".join(each if each.isprintable() else "?" for each in f"{because}"[:_MAX_CHARACTERS])
    if not text.isascii():
        return f"{field}: {rule};\r\n {encoded_words(text)}\r\n".encode("ascii")
    lines = textwrap.wrap(f"{field}: {rule}; {text}", 76, break_long_words=False, break_on_hyphens=False)
    return "\r\n ".join(lines).encode("ascii") + b"\r\n"
