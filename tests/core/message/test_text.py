"""Text out of octets, for searching."""

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.message.text import BodyDecoder, TransferDecoder, charset_codec, decode_field


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        ("会議".encode(), "会議"),
        (b"=?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=", "会議"),
        (b"=?utf-8?Q?a=5Fb_c?= =?utf-8?q?d?= e", "a_b cd e"),
        (b"=?utf-8*ja?B?5Lya?=", "会"),
        (b"=?nonsense?q?=41?= =?utf-8?b?!!!?=", "A"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
    ],
)
def test_encoded_words(raw: bytes, text: str) -> None:
    assert decode_field(raw) == text


@pytest.mark.parametrize(
    "label",
    [
        b"zlib",
        b"hex",
        b"idna",
        b"punycode",
        b"undefined",
        b"rot13",
        b"\xff",
        b"x" * 400,
        b"../x",
        b"unicode_escape",
    ],
)
def test_what_is_no_charset_is_taken_for_latin_1(label: bytes) -> None:
    assert charset_codec(label) == "latin-1"


@given(st.text(max_size=300), st.integers(1, 50), st.sampled_from([b"base64", b"quoted-printable", b"8bit"]))
def test_bodies_are_decoded_the_same_in_any_pieces(text: str, size: int, encoding: bytes) -> None:
    octets = text.encode()
    if encoding == b"base64":
        octets = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    elif encoding == b"quoted-printable":
        octets = quopri.encodestring(octets)
    decoder = BodyDecoder(encoding, b"utf-8")
    out = "".join(decoder.feed(octets[start : start + size]) for start in range(0, len(octets), size))
    assert out + decoder.feed(b"", final=True) == BodyDecoder(encoding, b"utf-8").feed(octets, final=True)
    if encoding != b"quoted-printable" or "\r" not in text:
        assert BodyDecoder(encoding, b"utf-8").feed(octets, final=True) == text


@given(st.integers(1, 9))
def test_white_space_behind_a_soft_break_is_no_text(size: int) -> None:
    octets = b"one= \r\n two=\t \r\n=41= \nx = y \r\nend=  "  # RFC 2045 §6.7: padding of a transport
    decoder = TransferDecoder(b"quoted-printable")
    out = b"".join(
        decoder.feed(octets[start : start + size]) for start in range(0, len(octets), size)
    ) + decoder.feed(b"", final=True)
    assert out == TransferDecoder(b"quoted-printable").feed(octets, final=True)
    assert out.startswith(b"one twoAx = y")


@given(st.lists(st.binary(max_size=20), max_size=9), st.integers(1, 9))
def test_base64_goes_on_behind_padding(files: list[bytes], size: int) -> None:
    octets = b"\r\n".join(map(base64.b64encode, files))
    decoder = TransferDecoder(b"base64")
    out = b"".join(
        decoder.feed(octets[start : start + size]) for start in range(0, len(octets), size)
    ) + decoder.feed(b"", final=True)
    assert out == b"".join(files)


CHARSETS = [
    b"iso-2022-jp",
    b"utf-7",
    b"gb2312",
    b"utf-16",
    b"utf-16-le",
    b"utf-32",
    b"euc-kr",
    b"big5",
    b"hz",
]


@given(
    st.binary(max_size=300),
    st.sampled_from([b"base64", b"quoted-printable", b"x"]),
    st.sampled_from(CHARSETS),
)
def test_any_octets_decode_to_something(octets: bytes, encoding: bytes, charset: bytes) -> None:
    assert isinstance(BodyDecoder(encoding, charset).feed(octets, final=True), str)
    assert isinstance(decode_field(b"=?" + charset + b"?b?" + octets + b"?="), str)
