import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.terms.base64 import Base64Error, decode_base64, encode_base64


@given(st.binary(max_size=300))
def test_every_value_comes_back(octets: bytes) -> None:
    assert decode_base64(encode_base64(octets), 300) == octets
    assert encode_base64(octets) == base64.b64encode(octets)


@pytest.mark.parametrize(
    "text",
    [
        b"YQ",
        b"YQ=",
        b"YQ===",
        b"YR==",
        b" YQ==",
        b"YQ==\n",
        b"Y\r\nQ==",
        b"YQ==YQ==",
        b"-_8=",
        b"=",
        b"====",
        b"\xff\xfe==",
        b"YW==",
    ],
)
def test_other_spellings_are_refused(text: bytes) -> None:
    with pytest.raises(Base64Error):
        decode_base64(text)


def test_the_bound_is_on_the_octets() -> None:
    assert decode_base64(encode_base64(b"a" * 10), 10) == b"a" * 10
    for length in (11, 12, 13, 100_000):
        with pytest.raises(Base64Error):
            decode_base64(encode_base64(b"a" * length), 10)


@given(st.binary(max_size=60))
def test_garbage_gives_the_one_error_or_its_own_spelling(text: bytes) -> None:
    try:
        octets = decode_base64(text, 40)
    except Base64Error:
        return
    assert encode_base64(octets) == text
