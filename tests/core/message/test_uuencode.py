"""Files in the midst of a text."""

import base64
import binascii

from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.message.uuencode import MAX_FILES, InlineFile, InlineFinder

OCTETS = b"MZ\x90\0" + bytes(100)


def uuencoded(name: str, octets: bytes = OCTETS) -> bytes:
    lines = b"".join(binascii.b2a_uu(octets[start : start + 45]) for start in range(0, len(octets), 45))
    return f"begin 644 {name}\n".encode() + lines + b"`\nend\n"


def found(text: bytes, piece: int = 0) -> list[InlineFile]:
    finder = InlineFinder()
    for start in range(0, len(text), piece or len(text) or 1):
        finder.feed(text[start : start + (piece or len(text))])
    finder.feed(b"", final=True)
    return finder.found


def test_a_file_wherever_it_stands() -> None:
    for before in (b"", b"Hello\r\n\r\n", b"x" * 5000 + b"\n"):
        (file,) = found(before + uuencoded("a b.exe").replace(b"\n", b"\r\n") + b"bye")
        assert file.name == "a b.exe" and file.head.startswith(OCTETS[:60])
    (file,) = found(b"begin-base64 755 x.js\n" + base64.encodebytes(OCTETS) + b"====\n")
    assert file.name == "x.js" and file.head.startswith(b"MZ\x90")


def test_what_people_write_is_none() -> None:
    for text in (
        b"begin 644 something, she said.\n\nAnd so on.",
        b"We begin 644 x.exe\nabcd\n",
        b"begin 644\nabcd\n",
        b"beginning\n",
    ):
        assert found(text) == []


def test_more_than_are_read_are_told() -> None:
    finder = InlineFinder()
    finder.feed(uuencoded("a.txt") * (MAX_FILES + 1), final=True)
    assert len(finder.found) == MAX_FILES and finder.has_more


@given(
    st.lists(
        st.sampled_from(
            [b"\n", b"begin", uuencoded("x.exe"), uuencoded("y.txt", b"y"), b"z" * 900, b" 644 ", b"\r"]
        ),
        max_size=12,
    ),
    st.integers(1, 999),
)
def test_pieces_make_no_difference(pieces: list[bytes], size: int) -> None:
    text = b"".join(pieces)
    assert found(text, size) == found(text)
