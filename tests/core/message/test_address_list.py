"""Address lists for decisions: the grammar with its obsolete forms, and nothing beyond it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.core.message import address_list
from sekisho.core.message.address_list import parse_address_list


def parsed(text: str) -> list[str] | None:
    found = parse_address_list(text.encode())
    return None if found is None else [str(address) for address in found]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("a@b.example", ["a@b.example"]),
        ("Alice <a@b.example>", ["a@b.example"]),
        ('"Doe, Jane" <jane@B.EXAMPLE>, b@c.example', ["jane@b.example", "b@c.example"]),
        ("a@b.example (a comment (nested) \\) here)", ["a@b.example"]),
        ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", ["pete@silly.test"]),
        ("A Group:Ed Jones <joe@where.test>,jdoe@one.test;", ["joe@where.test", "jdoe@one.test"]),
        ("Undisclosed recipients:;", []),
        ("group:; , a@b.example", ["a@b.example"]),
        (
            "Mary Smith <@node.test,@other.test:mary@example.net>, , jdoe@test  . example",
            ["mary@example.net", "jdoe@test.example"],
        ),
        ('"quoted local"@b.example', ['"quoted local"@b.example']),
        ('a."b"@c.example', ["a.b@c.example"]),
        ("Joe Q. Public <john.q.public@example.com>", ["john.q.public@example.com"]),
        ("<a@[192.0.2.1]>", ["a@[192.0.2.1]"]),
        ("日本語 <太郎@例え.example>", ["太郎@xn--r8jz45g.example"]),
        ("=?utf-8?q?J=C3=B6rg?= <j@b.example>", ["j@b.example"]),
        ("a@b.example,", ["a@b.example"]),
    ],
)
def test_lists(text: str, addresses: list[str]) -> None:
    assert parsed(text) == addresses


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "Alice", "a@", "@b.example", "a@b@c.example", "other@x.example <me@b.example>",
        "<a@b.example> <c@d.example>",
        "a@b.example c@d.example", "a..b@c.example", ".a@c.example", "a.@c.example", "a b@c.example",
        "(unclosed a@b.example",
        '"unclosed <a@b.example>', "a@b.example)", "<a@b.example", "a@b.example>", "g: h: a@b.example;;",
        "g: a@b.example",
        ";", "a\0@b.example",
        "<>", "x <>", "a@b.example; c@d.example", "a@[nonsense]", "a@b..example", "x" * 65 + "@b.example",
        "me@b.example, other",
    ],
)  # fmt: skip
def test_malformed(text: str) -> None:
    assert parsed(text) is None


def test_undecodable_octets() -> None:
    assert parse_address_list(b"\xff\xfe <a@b.example>") is not None  # in a display name they decide nothing
    assert parse_address_list(b"\xff@b.example") is None
    assert parse_address_list(b"a@\xff.example") is None


def test_loose_dots_only_where_they_are_listed() -> None:
    found = parse_address_list(b"a..b.@docomo.ne.jp", ("docomo.ne.jp",))
    assert found is not None and str(found[0]) == "a..b.@docomo.ne.jp"
    assert parse_address_list(b"a..b.@docomo.ne.jp") is None


@pytest.mark.parametrize("filler", [b"(", b'"', b"<", b",", b"a@b,", b"\\", b"(a)", b"g:", b"a.", b"(((((("])
@pytest.mark.parametrize("size", [60_000, 10_000_000])
def test_hostile_repetition_is_cheap(filler: bytes, size: int) -> None:
    value = filler * (size // len(filler))
    found = parse_address_list(value)
    assert found is None


def test_nested_comments_are_bounded() -> None:
    assert parsed("(" * 100 + ")" * 100 + "a@b.example") == ["a@b.example"]
    assert parsed("(" * 101 + ")" * 101 + "a@b.example") is None


@given(st.binary(max_size=200) | st.text('ab@.,;:<>()"\\[] \r\n\t\0é', max_size=60).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_garbage_never_raises(value: bytes) -> None:
    found = parse_address_list(value)
    if found is not None:
        again = parse_address_list(", ".join(f"<{address}>" for address in found).encode())
        assert not found or again == found


PIECES = [
    "a",
    "B.c",
    "@",
    "x.example",
    "<",
    ">",
    '"q, x"',
    '"',
    "(c)",
    " ",
    "\r\n ",
    ".",
    "..",
    "\\",
    ",",
    ":",
    ";",
    "é",
    "\udcff",
    "-",
    "[1]",
    "a" * 65,
    "_",
]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
    | st.from_regex(address_list._ONE.pattern, fullmatch=True).map(
        lambda octets: octets.decode("utf-8", "surrogateescape")
    )
)
def test_the_usual_form_is_read_as_by_the_parser(text: str) -> None:
    value = text.encode("utf-8", "surrogateescape")
    usual = address_list._ONE
    try:
        address_list._ONE = re.compile(b"(?!)")  # never matches
        expected = parse_address_list(value)
    finally:
        address_list._ONE = usual
    assert parse_address_list(value) == expected
