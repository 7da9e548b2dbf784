import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.smtp.client.content import ContentEncoder, ContentError


def encode(content: bytes, size: int | None = None) -> bytes:
    encoder = ContentEncoder()
    step = size or max(1, len(content))
    out = [encoder.encode(content[start : start + step]) for start in range(0, len(content), step)]
    return b"".join([*out, encoder.finish()])


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b"\r\n", b"\r\n.\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
        (b"\r\n.x\r\n..y\r\n\r\n", b"\r\n..x\r\n...y\r\n\r\n.\r\n"),
        (b"a.\r\nb.c\r\n", b"a.\r\nb.c\r\n.\r\n"),
    ],
)
def test_dots_are_doubled(content: bytes, wire: bytes) -> None:
    assert encode(content) == wire
    assert encode(content, 1) == wire


# The false ends of data that other servers took for true ones (THREATS 1): none may leave.
FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n\x00.\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
]
FALSE_ENDS += [
    b"\r\n.\n",
    b"\r\n.\r",
    b"\x00\r\n.\r\n",
    b"\r\x00\n.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\n.\r\x00\n",
    b"\r\n.\r\n\x00",
    b"\n\n.\r\n",
]


@pytest.mark.parametrize("false_end", FALSE_ENDS)
@pytest.mark.parametrize("size", [None, 1, 2, 3])
def test_false_ends_never_leave(false_end: bytes, size: int | None) -> None:
    with pytest.raises(ContentError):
        encode(b"before" + false_end + b"MAIL FROM:<x@y.example>\r\n", size)
    with pytest.raises(ContentError):
        encode(b"before" + false_end, size)


@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"a", b"\r", b"\n", b"\0", b"\xff"]), max_size=20).map(b"".join),
    st.integers(1, 5),
)
def test_pieces_make_no_difference_and_the_end_is_unique(content: bytes, size: int) -> None:
    try:
        wire = encode(content)
    except ContentError:
        with pytest.raises(ContentError):
            encode(content, size)
        return
    assert encode(content, size) == wire
    assert (b"\r\n" + wire).index(b"\r\n.\r\n") == len(wire) - 3
    unstuffed = (b"\r\n" + wire[:-3]).replace(b"\r\n.", b"\r\n")[2:]
    assert unstuffed in (content, content + b"\r\n")
    assert unstuffed == content or not content.endswith(b"\r\n")
