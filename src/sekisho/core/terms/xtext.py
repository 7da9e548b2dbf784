"""xtext, the armour of ENVID and ORCPT (RFC 3461 §4), and its kin for non-ASCII addresses (RFC 6533 §3)."""

import re

# RFC 3461 §4: xchar = "!" to "~" except "+" and "=".
_NEEDS_XTEXT = re.compile(rb"[^!-*,-<>-~]")
# RFC 6533 §3: QCHAR leaves out "+", "=" and the backslash.
_NEEDS_UTF8_XTEXT = re.compile(r"[^!-*,-<>-\[\]-~]")


def encode_xtext(text: str) -> str:
    """Any text as xtext: what comes out holds no space, control or non-ASCII character."""
    return _NEEDS_XTEXT.sub(lambda match: b"+%02X" % match[0][0], text.encode()).decode("ascii")


def encode_utf8_xtext(text: str) -> str:
    """The 7-bit form of an address of type `utf-8`: `\\x{5B57}` for each character that cannot stand for
    itself."""
    return _NEEDS_UTF8_XTEXT.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", text)
