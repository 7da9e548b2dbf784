from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.pop3.transparency import DotStuffer, TopCutter

PIECES = st.lists(
    st.sampled_from([b"a", b".", b"\r\n", b"\n", b"\r", b"..", b"\r\n.\r\n", b"Subject: x"]), max_size=30
).map(b"".join)


def _stuffed(message: bytes, sizes: list[int]) -> bytes:
    stuffer, out, position = DotStuffer(), [], 0
    for size in [*sizes, len(message)]:
        out.append(stuffer.feed(message[position : position + size]))
        position += size
    return b"".join([*out, stuffer.finish()])


def test_dots_are_doubled_and_the_end_is_marked() -> None:
    assert _stuffed(b".a\r\n..\r\nb.\r\n", []) == b"..a\r\n...\r\nb.\r\n.\r\n"
    assert _stuffed(b"", []) == b".\r\n"
    assert _stuffed(b"no end", []) == b"no end\r\n.\r\n"
    assert _stuffed(b"bare\n.\nend\n", []) == b"bare\n..\nend\n\r\n.\r\n"


@given(PIECES, st.lists(st.integers(0, 5), max_size=20))
def test_pieces_do_not_matter_and_nothing_ends_early(message: bytes, sizes: list[int]) -> None:
    whole = _stuffed(message, [])
    assert _stuffed(message, sizes) == whole
    assert whole.endswith(b".\r\n") and whole.find(b"\n.\r\n") in (-1, len(whole) - 4)
    # What a strict and a sloppy client find: the only lone dot is the last line.
    assert [line for line in whole.split(b"\n") if line.rstrip(b"\r") == b"."] == [b".\r"]


@given(st.lists(st.sampled_from([b"a", b".", b"..x", b""]), max_size=10))
def test_a_client_gets_the_message_back(lines: list[bytes]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    received = _stuffed(message, [])[:-3]
    assert (
        b"".join(line[line.startswith(b".") :] + b"\r\n" for line in received.split(b"\r\n")[:-1]) == message
    )


def _top(message: bytes, lines: int, sizes: list[int]) -> bytes:
    cutter, out, position = TopCutter(lines), [], 0
    for size in [*sizes, len(message)]:
        out.append(cutter.feed(message[position : position + size]))
        position += size
    return b"".join(out)


def test_top() -> None:
    message = b"A: b\r\nC: d\r\n\r\none\r\ntwo\r\nthree"
    assert _top(message, 0, []) == b"A: b\r\nC: d\r\n\r\n"
    assert _top(message, 1, []) == b"A: b\r\nC: d\r\n\r\none\r\n"
    assert _top(message, 3, []) == _top(message, 10_000_000, []) == message
    assert _top(b"\r\none\r\n", 0, []) == b"\r\n"
    assert _top(b"A: b\r\n", 5, []) == b"A: b\r\n"
    assert _top(b"A: b\n\none\ntwo\n", 1, []) == b"A: b\n\none\n"


def _top_by_lines(message: bytes, lines: int) -> bytes:
    out, left = [], -1
    for line in message.splitlines(keepends=True) if b"\r" not in message.replace(b"\r\n", b"") else []:
        if left == 0:
            break
        out.append(line)
        if left > 0:
            left -= 1
        elif left < 0 and line in (b"\r\n", b"\n"):
            left = lines
    return b"".join(out)


@given(
    st.lists(st.sampled_from([b"a", b"\r\n", b"\n", b"Subject: x\r\n"]), max_size=30).map(b"".join),
    st.integers(0, 5),
    st.lists(st.integers(0, 5), max_size=20),
)
def test_top_in_pieces(message: bytes, lines: int, sizes: list[int]) -> None:
    assert _top(message, lines, []) == _top_by_lines(message, lines)
    assert _top(message, lines, sizes) == _top(message, lines, [])


def test_a_cutter_says_when_it_is_done() -> None:
    cutter = TopCutter(1)
    assert cutter.feed(b"A: b\r\n\r\none\r\n") == b"A: b\r\n\r\none\r\n"
    assert cutter.is_done and cutter.feed(b"two\r\n") == b""
