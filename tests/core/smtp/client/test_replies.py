import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.smtp.client.replies import MAX_LINE_OCTETS, MAX_LINES, ReplyError, ReplyParser
from sekisho.core.terms.reply import EnhancedStatus, Reply


def parse(octets: bytes, size: int | None = None) -> list[Reply]:
    parser = ReplyParser()
    replies = []
    step = size or max(1, len(octets))
    for start in range(0, len(octets), step):
        parser.receive_data(octets[start : start + step])
        while (reply := parser.next_reply()) is not None:
            replies.append(reply)
    return replies


def outcome(octets: bytes, size: int | None = None) -> tuple[list[Reply], bool]:
    parser = ReplyParser()
    replies: list[Reply] = []
    step = size or max(1, len(octets))
    try:
        for start in range(0, len(octets), step):
            parser.receive_data(octets[start : start + step])
            while (reply := parser.next_reply()) is not None:
                replies.append(reply)
    except ReplyError:
        return replies, True
    return replies, False


@pytest.mark.parametrize(
    ("octets", "code", "enhanced", "lines"),
    [
        (b"250 ok\r\n", 250, None, ("ok",)),
        (b"250\r\n", 250, None, ("",)),
        (b"250 \r\n", 250, None, ("",)),
        (b"250-\r\n250\r\n", 250, None, ("", "")),
        (b"550 5.1.1 no such user\r\n", 550, "5.1.1", ("no such user",)),
        (b"550-5.1.1 one\r\n550-5.1.1 two\r\n550 5.1.1\r\n", 550, "5.1.1", ("one", "two", "")),
        (b"550 4.1.1 class of another code\r\n", 550, None, ("4.1.1 class of another code",)),
        (b"550 5.01.1 leading zero\r\n", 550, None, ("5.01.1 leading zero",)),
        (b"250 5.1.10\r\n", 250, None, ("5.1.10",)),
        (b"250 tab\there \x1b[31m\x00\xff\r\n", 250, None, ("tab here ?[31m?\ufffd",)),
        ("550 5.7.1 だめ\u202e\r\n".encode(), 550, "5.7.1", ("だめ?",)),
    ],
)
def test_one_reply(octets: bytes, code: int, enhanced: str | None, lines: tuple[str, ...]) -> None:
    status = EnhancedStatus.from_text(enhanced) if enhanced else None
    assert parse(octets) == parse(octets, 1) == [Reply(code=code, enhanced=status, lines=lines)]


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"\r\n",
        b"25\r\n",
        b"2500 x\r\n",
        b"250x\r\n",
        b"150 no such class\r\n",
        b"650 no such class\r\n",
        b"250 bare\n",
        b"250 a\rb\r\n",
        b"250-one\r\n251 two\r\n",
        b"250-one\r\n550 two\r\n",
        b" 250 x\r\n",
        b"250 " + b"x" * MAX_LINE_OCTETS + b"\r\n",
        b"x" * MAX_LINE_OCTETS,
        b"250-x\r\n" * (MAX_LINES + 1),
        (b"250-" + b"x" * 1000 + b"\r\n") * 40,
    ],
)
def test_what_is_no_reply(octets: bytes) -> None:
    with pytest.raises(ReplyError):
        parse(octets)
    with pytest.raises(ReplyError):
        parse(octets, 1)


@pytest.mark.parametrize(
    "reply", [b"250-5.1.1 a\r\n250-b\r\n250 2.0.0 c\r\n", b"550\r\n", b"421 4.3.2 bye\r\n"]
)
def test_every_prefix_only_waits(reply: bytes) -> None:
    for end in range(len(reply)):
        assert parse(reply[:end]) == []


@given(
    st.binary(max_size=300)
    | st.from_regex(rb"([2-5][0-9]{2}[ -][ -~]{0,9}\r\n){0,5}[ -~\r\n]{0,5}", fullmatch=True),
    st.integers(1, 7),
)
def test_pieces_make_no_difference(octets: bytes, size: int) -> None:
    assert outcome(octets) == outcome(octets, size)


@given(st.lists(st.tuples(st.sampled_from([b" ", b"-"]), st.binary(max_size=40)), max_size=6))
def test_what_comes_out_is_printable(lines: list[tuple[bytes, bytes]]) -> None:
    octets = b"".join(b"550" + mark + text + b"\r\n" for mark, text in lines)
    replies, _ = outcome(octets)
    for reply in replies:
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]", str(reply))
