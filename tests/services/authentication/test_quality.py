import pytest

from sekisho.core.terms.address import Address
from sekisho.services.authentication.passwords import WeakPassword
from sekisho.services.authentication.quality import check_quality

TARO = Address("taro", "tennis-club.example.org")


class Leaked:
    def __init__(self, *passwords: str) -> None:
        self.passwords = passwords

    def count(self, password: str) -> int:
        return 37 * (password in self.passwords)


class Broken:
    def count(self, password: str) -> int:
        raise ValueError("/srv/leaks: at octet 7 there is nothing")


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "is empty"),
        ("seven77", "at least 8"),
        ("with\0nul and more", "control"),
        ("aaaaaaaaaaaa", "repeats one or two"),
        ("password1", "most common"),
        ("P@ssw0rd", "most common"),
        ("sakura2024", "easy to guess"),
        ("qwertyuiop[]", "easy to guess"),
        ("abcabcabcabcabcabc", "easy to guess"),
        ("Taro-himitsu-97", "contains taro"),
        ("t.a.r.o himitsu", "contains taro"),
        ("himitsu no tennisclub", "contains tennis-club"),
        ("ab" * 600, "repeats"),
    ],
)
def test_bad_passwords_are_refused_with_what_to_do(password: str, words: str) -> None:
    with pytest.raises(WeakPassword, match=words) as caught:
        check_quality(password, TARO, None)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "himitsu-no-kotoba",
        "東京の空は青くない",
        "k3-saku-7mi",
        "0f3b9c6e2a7d",
        "4@8({[<369&#!1/|0$5+7%2" * 44,
    ],
)
def test_good_passwords_pass(password: str) -> None:
    check_quality(password, TARO, Leaked("other"))


def test_short_names_count_only_alone() -> None:
    check_quality("bookshelf-umbrella-io", Address("io", "example.org"), None)
    with pytest.raises(WeakPassword, match=r"contains long\.name"):
        check_quality("Long.Name", Address("long.name", "example.org"), None)


def test_leaked_passwords_are_refused() -> None:
    with pytest.raises(WeakPassword, match="leaked passwords, 37 times"):
        check_quality("himitsu-no-kotoba", TARO, Leaked("himitsu-no-kotoba"))


def test_a_list_that_cannot_be_read_is_said() -> None:
    with pytest.raises(WeakPassword, match=r"login\.breached_passwords.*octet 7"):
        check_quality("himitsu-no-kotoba", TARO, Broken())
