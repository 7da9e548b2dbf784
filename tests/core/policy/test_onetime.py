"""Codes and confirmations, in English and Japanese, and what only looks a bit like them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.policy.onetime import MAX_CHARACTERS, one_time_words

CODES = [
    ("Your verification code", "Your code is 482913. It expires in 10 minutes."),
    ("482913 is your Example code", "Use this verification code to sign in: 482913"),
    ("Sign in to Example", "Your one-time passcode:\n\n  4829\n\nDo not share it."),
    (
        "Example security code",
        (
            "Please use the following security code for the account h*****@example.org.\n\nSecurity code: "
            "7720193"
        ),
    ),
    ("Google", "G-482913 is your verification code."),
    ("Login", "Your single-use code is: 123-456"),
    ("OTP", "Your OTP for the payment is 90210."),
    ("GitHub", "Here is your device verification code:\nA1B2C3D4"),
    ("【重要】認証コードのお知らせ", "認証コード：482913\n有効期限は10分です。"),
    ("ワンタイムパスワード", "ワンタイムパスワードは 48291357 です。"),
    ("ログイン確認", "本人確認コード\n\n４８２９１３\n\nこのコードを入力してください。"),
    ("確認番号のお知らせ", "あなたの確認番号は「4829」です。"),
    ("セキュリティコード", "セキュリティーコード: 123 456"),
    ("2段階認証", "2段階認証コードは987654です"),
]
CONFIRMATIONS = [
    ("Confirm your email address", "Click https://shop.example/c?t=abc"),
    ("Welcome!", "Please verify your account by following this link."),
    ("Example", "You asked us to reset your password. Here is the link."),
    ("Your magic link", "Click to sign in."),
    ("会員登録の確認", "下記の URL をクリックして本登録をお願いします。"),
    ("メールアドレスのご確認", "以下のリンクを開いてください。"),
    ("パスワード再設定のご案内", "パスワードの再設定は次のリンクから。"),
]
OTHERS = [
    ("Minutes of the meeting", "The agenda has 12 points, see you on 2026-11-24 in room 4021."),
    ("Invoice 2026-1043", "Please pay 1,234,567 yen by 2026/12/01. Your customer number is 482913."),
    ("Our security", "Read how we think about security codes of conduct."),  # no code
    ("New code in the repository", "Commit 482913ab was pushed."),
    ("Winner", "Claim your prize now!!! Cash 1000000 for you."),
    ("請求書", "ご請求額は 12,345円 です。電話 03-1234-5678"),
    ("会議のお知らせ", "11月24日 1000 から会議室 4021 で行います。"),
    ("認証コードの仕組み", "認証コードとは何かを解説します。"),
    ("", ""),
]


@pytest.mark.parametrize(("subject", "text"), CODES)
def test_codes_are_seen(subject: str, text: str) -> None:
    assert one_time_words(subject, text, has_link=False)


@pytest.mark.parametrize(("subject", "text"), CONFIRMATIONS)
def test_confirmations_lead_somewhere(subject: str, text: str) -> None:
    assert one_time_words(subject, text, has_link=True)
    assert not one_time_words(subject, text, has_link=False)


@pytest.mark.parametrize(("subject", "text"), OTHERS)
def test_other_mail_is_none(subject: str, text: str) -> None:
    assert not one_time_words(subject, text, has_link=True)


def test_only_the_beginning_is_looked_at() -> None:
    code = "Your verification code is 482913."
    assert one_time_words("", "x" * (MAX_CHARACTERS - 100) + " " + code, has_link=False)
    assert not one_time_words("", "x" * MAX_CHARACTERS + code, has_link=False)
    assert not one_time_words("x" * 600 + code, "", has_link=False)


@given(st.text(max_size=3000), st.text(max_size=300))
def test_any_text_is_read(text: str, subject: str) -> None:
    assert isinstance(one_time_words(subject, text, has_link=True), str)


def test_letters_that_normalization_makes_long_are_not_read_on() -> None:
    ligature = "\ufdfa"  # eighteen characters in NFKC
    assert one_time_words("", ligature * 100 + " verification code 482913", has_link=False)
    assert not one_time_words("", ligature * 1000 + " verification code 482913", has_link=False)
