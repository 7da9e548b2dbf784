"""Names as the eye reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.policy.impersonation import addresses_in, folded, is_telling, shown_name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'"Taro Yamada" <x@evil.example>', "Taro Yamada"),
        (b" Taro Yamada <x@evil.example>\r\n", "Taro Yamada"),
        (b"=?utf-8?B?5bGx55Sw5aSq6YOO?= <x@evil.example>", "\u5c71\u7530\u592a\u90ce"),
        (b"=?utf-8?Q?Boss_=3Cboss=40club.example=3E?= <x@evil.example>", "Boss <boss@club.example>"),
        (b"x@evil.example (Taro Yamada)", "Taro Yamada"),
        (b"x@evil.example", ""),
        (b"<x@evil.example>", ""),
        (b"", ""),
    ],
)
def test_what_is_shown(value: bytes, shown: str) -> None:
    assert shown_name(value) == shown


@pytest.mark.parametrize(
    "other",
    [
        "taro  YAMADA",
        "Taro\u3000Yamada",
        "\uff34\uff41\uff52\uff4f Yamada",
        "Ta\u200bro Yamada",
        '"Taro" Yamada',
        "TaroYamada",
    ],
)
def test_the_eye_sees_the_same(other: str) -> None:
    assert folded(other) == folded("Taro Yamada")


@pytest.mark.parametrize(
    ("name", "telling"),
    [
        ("Taro Yamada", True),
        ("Taro", False),
        ("A B", False),
        ("\u5c71\u7530\u592a\u90ce", True),
        ("\u5c71\u7530", False),
        ("", False),
    ],
)
def test_only_names_of_one_person_count(name: str, telling: bool) -> None:
    assert is_telling(name) is telling


def test_addresses_that_are_shown_as_names() -> None:
    assert addresses_in("Boss <boss@Club.example>") == ["boss@club.example"]
    assert addresses_in("boss\uff20club.example") == ["boss@club.example"]
    assert addresses_in("at noon @ the club") == [] and addresses_in("") == []


@given(st.text(), st.binary(max_size=400))
def test_nothing_breaks_it(name: str, value: bytes) -> None:
    assert folded(folded(name)) == folded(name) or not name.isascii()
    assert (
        isinstance(shown_name(value), str)
        and len(addresses_in(name)) <= 5
        and is_telling(name) in (True, False)
    )
