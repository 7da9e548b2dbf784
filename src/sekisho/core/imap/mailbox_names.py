"""Mailbox names between the wire (modified UTF-7, RFC 3501 §5.1.3) and the store (text with "/" between
levels)."""

import base64
import binascii
import re

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_TO_ENCODE = re.compile(r"[^\x20-\x7e]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\u0080-\u009f\ud800-\udfff\ufffe\uffff]")
MAX_NAME_OCTETS = 1000


class MailboxNameError(ValueError):
    """The octets are no mailbox name; the text says why."""


def decode_mailbox(raw: bytes) -> str:
    """The name that `raw` encodes; INBOX, alone or as the first level, comes back in upper case.

    Only the one canonical encoding of a name is taken, so that two spellings never name one mailbox.
    """
    if len(raw) > MAX_NAME_OCTETS:
        raise MailboxNameError("the mailbox name is too long")
    if not raw.isascii():
        raise MailboxNameError("mailbox names must be in modified UTF-7")
    name = raw.decode("ascii") if b"&" not in raw else _decode_shifted(raw)
    if _CONTROLS.search(name):
        raise MailboxNameError("a mailbox name must not contain control characters")
    # RFC 3501 §5.1: INBOX is case-insensitive.
    if name[:5].upper() == "INBOX" and name[5:6] in ("", "/"):
        name = "INBOX" + name[5:]
    return name


def encode_mailbox(name: str) -> bytes:
    """The wire form of a stored name, not yet quoted."""
    if name.isascii() and "&" not in name:
        return name.encode("ascii")
    return _TO_ENCODE.sub(_shift, name.replace("&", "&-")).encode("ascii")


def _shift(match: re.Match[str]) -> str:
    coded = base64.b64encode(match[0].encode("utf-16-be", "replace"), b"+,")
    return "&" + coded.rstrip(b"=").decode("ascii") + "-"


def _unshift(match: re.Match[bytes]) -> bytes:
    coded = match[1]
    if not coded:
        return b"&"
    return (
        base64.b64decode(coded + b"=" * (-len(coded) % 4), b"+,", validate=True).decode("utf-16-be").encode()
    )


def _decode_shifted(raw: bytes) -> str:
    try:
        name = _SHIFTED.sub(_unshift, raw).decode()
    except (binascii.Error, UnicodeError) as error:
        raise MailboxNameError("the mailbox name is not valid modified UTF-7") from error
    if encode_mailbox(name) != raw:
        raise MailboxNameError("the mailbox name is not canonical modified UTF-7")
    return name
