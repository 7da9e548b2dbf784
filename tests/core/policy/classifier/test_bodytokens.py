"""The habits of a text: each told by what only that habit has, and not by what merely looks like it."""

import pytest

from sekisho.core.message.structure import StructureScanner
from sekisho.core.policy.classifier.bodytokens import TextBody, body_tokens


def tokens(text: str) -> tuple[list[str], list[str]]:
    """The build and the words of a message with one plain text."""
    octets = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
    scanner = StructureScanner()
    scanner.feed(octets)
    parts = scanner.finish().parts
    build: list[str] = []
    words: list[str] = []
    body_tokens(
        parts=parts,
        size=len(octets),
        bodies=[TextBody(parts[0], text.encode())],
        author="a.example",
        add=build.append,
        add_word=words.append,
    )
    return build, words


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("he said\r\n> yes\r\n", "quoted"),
        ("> yes\r\n", "quoted"),
        ("On Monday she wrote:\n\nno", "wrote"),
        ("bye\r\n-- \r\nme", "signature"),
        ("-- \nme", "signature"),
        ("call 1-800-5551234", "tollfree"),
        ("call 0120-333", "tollfree"),
        ("a          b", "gap"),
        ("a\t \t \t \t \t b", "gap"),
        ("only $10.50 now", "$:$9.9"),
        ("たった 100円", "$:9円"),
        ("no!!", "!!"),
        ("https://shop.example/x", "u:shop.example"),
        ("HTTPS://Shop.Example/x", "u:shop.example"),
        ("mailto:me@shop.example", "u:mailto"),
    ],
)
def test_a_habit_is_told(text: str, token: str) -> None:
    assert token in tokens(text)[0]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("a > b", "quoted"),
        ("she wrote: no", "wrote"),
        ("a -- b", "signature"),
        ("--\nme", "signature"),
        ("8005551234", "tollfree"),
        ("a         b", "gap"),
        ("100 000", "$:9"),
    ],
)
def test_what_looks_like_a_habit_is_none(text: str, token: str) -> None:
    assert token not in tokens(text)[0]


@pytest.mark.parametrize(
    ("text", "tenths"),
    [("BUY NOW", 0), ("BUYS NOWW", 10), ("BUYSx NOWW1", 0), ("BUYS_ ÀNOWW", 0), ("BUYS, (NOWW)", 10)],
)
def test_words_in_capitals_are_counted_whole(text: str, tenths: int) -> None:
    assert f"capitals#{tenths}" in tokens(text)[0]


def test_words_are_told_once_in_order() -> None:
    assert tokens("tea and tea and 12345 tea")[1] == ["tea", "and", "#5"]
