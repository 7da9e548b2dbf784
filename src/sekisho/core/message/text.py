"""Octets of a message as text, for searching: encoded words (RFC 2047) and encoded, charset-labelled bodies
(RFC 2045 §6).

Forgiving and bounded: whatever cannot be decoded is replaced, never raised.
"""

import binascii
import codecs
import quopri
import re

_ENCODED_WORD = re.compile(rb"=\?([!-)*+\-./0-9:;<>@A-Z\[\]^-~]{1,60})\?([BbQq])\?([!->@-~ ]{0,2000})\?=")
_BETWEEN_WORDS = re.compile(rb"(\?=)[ \t\r\n]+(?==\?)")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_NOT_PADDED_BASE64 = _NOT_BASE64.replace(b"=", b"")
_PADDING = re.compile(rb"=+")
_MAX_PADDINGS = 500  # in one piece
# RFC 2045 §6.7: white space between the "=" of a soft line break and the line end is padding of some
# transport.
_PADDED_BREAK = re.compile(rb"=[ \t]+(?=\r?\n)")
# Supersets that real mail means by these labels; UTF-16 without a mark is big-endian (RFC 2781 §4.3).
_BETTER = {
    "iso-2022-jp": "iso2022_jp_ext",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "us-ascii": "utf-8",
    "utf-16": "utf-16-be",
    "utf-32": "utf-32-be",
}
_NO_CHARSETS = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"))
# Codecs of Python that are no charsets and would do anything from compressing to raising.
_TEXT_CODECS: dict[bytes, str] = {}


def charset_codec(label: bytes) -> str:
    """The name of a text codec for a charset label; latin-1 when it is unknown, so that ASCII inside is still
    found."""
    key = label.lower()[:50]
    known = _TEXT_CODECS.get(key)
    if known is None:
        known = _find_codec(key)
        if len(_TEXT_CODECS) < 500:
            _TEXT_CODECS[key] = known
    return known


def _find_codec(label: bytes) -> str:
    # RFC 2231 §5: a language may follow the charset.
    name = label.split(b"*")[0].decode("ascii", "replace").strip()
    try:
        name = codecs.lookup(_BETTER.get(name, name)).name
        "a".encode(name)  # refuses codecs between octets and octets
    except (LookupError, UnicodeError, ValueError):
        return "latin-1"
    return "latin-1" if name.replace("-", "_") in _NO_CHARSETS else _BETTER.get(name, name)


def decode_field(value: bytes) -> str:
    """The text of an unfolded field: encoded words decoded, raw octets taken for UTF-8 (RFC 6532 §3)."""
    if b"=?" not in value:
        return value.decode("utf-8", "replace")
    value = _BETWEEN_WORDS.sub(rb"\1", value)
    out: list[str] = []
    position = 0
    for match in _ENCODED_WORD.finditer(value):
        out.append(value[position : match.start()].decode("utf-8", "replace"))
        octets = decode_q_or_b(match[2], match[3])
        out.append(octets.decode(charset_codec(match[1]), "replace"))
        position = match.end()
    out.append(value[position:].decode("utf-8", "replace"))
    return "".join(out)


def decode_q_or_b(encoding: bytes, text: bytes) -> bytes:
    """The octets of one encoded word (RFC 2047 §4)."""
    return _base64(text) if encoding in b"Bb" else quopri.decodestring(text.replace(b"_", b" "), header=False)


def _base64(octets: bytes) -> bytes:
    clean = octets.translate(None, _NOT_BASE64)
    clean = clean[: len(clean) - (len(clean) % 4 == 1)]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


class TransferDecoder:
    """The octets behind a Content-Transfer-Encoding, fed in pieces of any size (RFC 2045 §6)."""

    def __init__(self, encoding: bytes) -> None:
        """`encoding` in lower case; one that is unknown changes nothing."""
        self._encoding = encoding
        self._rest = b""

    def feed(self, octets: bytes, *, final: bool = False) -> bytes:
        if self._encoding not in (b"base64", b"quoted-printable"):
            return octets
        octets = self._rest + octets
        if self._encoding == b"base64":
            return self._feed_base64(octets, final=final)
        self._rest = b""
        if not final:
            cut = octets.rfind(b"\n") + 1
            if not cut and len(octets) > 65536:
                cut = len(octets)
            octets, self._rest = octets[:cut], octets[cut:]
        return quopri.decodestring(
            _PADDED_BREAK.sub(b"=", octets) if b"= " in octets or b"=\t" in octets else octets
        )

    def _feed_base64(self, octets: bytes, *, final: bool) -> bytes:
        """What stands behind padding is decoded anew, as most readers do where several files were encoded one
        after the other."""
        *before, last = _PADDING.split(octets.translate(None, _NOT_PADDED_BASE64), _MAX_PADDINGS)
        whole = len(last) if final else len(last) - len(last) % 4
        self._rest = last[whole:]
        return b"".join([*map(_base64, before), _base64(last[:whole])])


class BodyDecoder:
    """Text of one body, fed in pieces of any size."""

    def __init__(self, encoding: bytes, charset: bytes) -> None:
        """`encoding`: Content-Transfer-Encoding in lower case."""
        self._transfer = TransferDecoder(encoding)
        self._decoder = codecs.getincrementaldecoder(charset_codec(charset))("replace")

    def feed(self, octets: bytes, *, final: bool = False) -> str:
        return self._decoder.decode(self._transfer.feed(octets, final=final), final)
