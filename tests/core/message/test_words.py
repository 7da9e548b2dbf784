"""Words of any script, and HTML as its reader sees it; both bounded in time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.effort import effort

from sekisho.core.message.hypertext import read_hypertext
from sekisho.core.message.words import MAX_CHARACTERS, MAX_WORDS, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Buy NOW! !!", ["buy", "now!", "!!"]),
        ("don't re-use $5.00 at 2002", ["don't", "re-use", "$5.00", "at", "#4"]),
        ("会議", ["会議"]),
        ("会議室で", ["会議", "議室", "室で"]),
        ("明日 10時に会議", ["明日", "に会", "会議", "時に", "#2"]),
        ("ＦＲＥＥ ｶﾒﾗ", ["カメ", "メラ", "free"]),
        ("回議x", ["回議", "x"]),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert sorted(words(text)) == sorted(expected)


def test_long_words_are_told_by_their_length() -> None:
    assert words("a" * 30) == ["~5"]
    assert words("QUJDREVG" * 2000)[0] == "~6"


def test_words_are_bounded() -> None:
    assert len(words("ab " * MAX_CHARACTERS)) == MAX_WORDS


@pytest.mark.parametrize(
    "text",
    [
        "a\u0301\u0316" * 30_000,
        "a" * 90_000,
        "a." * 40_000,
        "!!" * 40_000,
        "会" * 90_000,
        "１" * 90_000,
        "$'-." * 20_000,
    ],
)
def test_hostile_text_costs_little(text: str) -> None:
    with effort(0.5):
        words(text)


@given(st.text())
def test_any_text_has_words(text: str) -> None:
    assert all(words(text))


def test_what_is_shown_and_what_is_hidden() -> None:
    page = read_hypertext(
        "<html><style>p {x}</style><body>See <b>this</b>&amp;that<!-- not <i>this</i> --><p>new"
        '<span style="font-size:0px">meeting <span>notes</span></span> end<script>var a = '
        '"<p>b</p>";</script>.'
    )
    assert page.shown.split() == ["See", "this&that", "new", "end."]
    assert page.hidden.split() == ["meeting", "notes"]
    assert page.comments == 1
    assert page.tags["b"] == 1


def test_a_hidden_paragraph_ends_with_the_next() -> None:
    page = read_hypertext('<p style="display: none">one<p>two')
    assert (page.hidden.split(), page.shown.split()) == (["one"], ["two"])


def test_links_and_what_they_show() -> None:
    page = read_hypertext(
        '<a href="http://evil.example/a?b=1&amp;c">www.<b>bank</b>.example</a><img '
        "src=http://x.example/p.gif>"
    )
    assert [(link.target, link.shown) for link in page.links] == [
        ("http://evil.example/a?b=1&c", "www.bank.example")
    ]
    assert page.sources == ["http://x.example/p.gif"]
    assert "a href=" not in str(page.marks)


@pytest.mark.parametrize(
    "text",
    [
        "<" * 60_000,
        "<a " * 20_000,
        "<!--" * 15_000,
        "<a href=" * 8000,
        '<p style="' + "display:" * 7000,
        "<a" + " b" * 30_000,
        "a-" * 30_000,
        "<x " + "a-" * 30_000 + ">",
        "<div>" * 12_000,
        "<a href='x'>" * 5000,
        "&#x41" * 10_000,
        "<p " + "a   " * 15_000,
    ],
)
def test_hostile_html_costs_little(text: str) -> None:
    with effort(0.5):
        read_hypertext(text)


@given(st.text(alphabet="<>/!-ab =\"'&;"))
def test_any_text_is_hypertext(text: str) -> None:
    page = read_hypertext(text)
    assert len(page.shown) <= len(text) * 2
