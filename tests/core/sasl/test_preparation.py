import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.sasl.preparation import (
    PreparationError,
    prepare_password,
    prepare_scram_password,
    prepare_username,
)


def test_ascii_stays() -> None:
    assert prepare_password("correct horse ~!") == "correct horse ~!"


def test_spaces_and_composition() -> None:
    # RFC 8265 §4.3 examples: other spaces are mapped, nothing else is folded.
    assert prepare_password("foo\u1680bar") == "foo bar"
    assert prepare_password("e\u0301\u3000π\u00dfå") == "é πßå"
    assert prepare_password("Jack of \u2666s") == "Jack of \u2666s"


@pytest.mark.parametrize("text", ["", "my cat is a \u0009by", "a\0b", "\x7f", "a\ud800", "\u0378"])
def test_refused_passwords(text: str) -> None:
    with pytest.raises(PreparationError):
        prepare_password(text)


@given(st.text(min_size=1, max_size=40))
def test_preparation_is_idempotent(text: str) -> None:
    try:
        once = prepare_password(text)
    except PreparationError:
        return
    assert prepare_password(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    # RFC 4013 §3
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
    ],
)
def test_saslprep(text: str, expected: str) -> None:
    assert prepare_scram_password(text) == expected


@pytest.mark.parametrize("text", ["\u0007", "\u06271", "", "\u00ad", "\ue000", "\u0221"])
def test_saslprep_refuses(text: str) -> None:
    with pytest.raises(PreparationError):
        prepare_scram_password(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Alice@Example.TEST", "alice@example.test"),
        ("ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｔｅｓｔ", "alice@example.test"),
        ("jose\u0301@example.test", "josé@example.test"),
        ("alice@例え.test", "alice@xn--r8jz45g.test"),
    ],
)
def test_login_names(text: str, address: str) -> None:
    assert str(prepare_username(text)) == address


@pytest.mark.parametrize(
    "text",
    ["", "alice", "alice@", "@example.test", "a b@example.test", "a@b\0c", "a@b\r\n", "a@@b", "*)(uid=*"],
)
def test_what_is_no_login_name(text: str) -> None:
    with pytest.raises(PreparationError):
        prepare_username(text)
