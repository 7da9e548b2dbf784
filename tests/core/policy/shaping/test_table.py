"""The table of providers and of their replies, row by row."""

import re
from urllib.parse import urlsplit

import pytest

from sekisho.core.policy.shaping.provider import BY_NAME, PROVIDERS, Provider, group_of, provider_of
from sekisho.core.policy.shaping.recognise import RULES, recognise, recognise_text
from sekisho.core.policy.shaping.rule import TREATMENTS, ReplyRule
from sekisho.core.terms.reply import Reply

HOSTS = {
    "google": (
        "aspmx.l.google.com",
        "gmail-smtp-in.l.google.com",
        "alt1.aspmx.l.google.com",
        "aspmx2.googlemail.com",
    ),
    "microsoft": (
        "example-org.mail.protection.outlook.com",
        "hotmail-com.olc.protection.outlook.com",
        "x.d-v1.mx.microsoft",
    ),
    "yahoo": ("mta7.am0.yahoodns.net", "mx-aol.mail.gm0.yahoodns.net"),
    "apple": ("mx01.mail.icloud.com",),
    "gmx": ("mx00.gmx.net", "mx-ha02.web.de"),
    "t-online": ("mx03.t-online.de",),
    "orange": ("smtp-in.orange.fr",),
    "proton": ("mail.protonmail.ch",),
    "mimecast": ("eu-smtp-inbound-1.mimecast.com",),
    "docomo": ("mfsmax.docomo.ne.jp",),
    "au": ("lsean.ezweb.ne.jp",),
    "softbank": ("mx.softbank.ne.jp", "mx.i.softbank.jp"),
    "yahoo-japan": ("mx1.mail.yahoo.co.jp",),
    "nifty": ("mx.nifty.com",),
    "ocn": ("mx.ocn.ad.jp",),
    "so-net": ("mx.so-net.ne.jp",),
    "iij": ("mx.iij.ad.jp", "mx1.example.securemx.jp"),
}


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_each_provider_is_known_by_its_hosts(provider: Provider) -> None:
    for host in HOSTS[provider.name]:
        assert provider_of(host) is provider
        assert group_of(f"{host.upper()}. [192.0.2.1]") == provider.name
    assert all(suffix.startswith(".") for suffix in provider.suffixes)
    assert 1 <= provider.connections <= 10
    assert urlsplit(provider.link).scheme == "https"
    assert provider.certain or provider.connections <= 3


def test_a_name_that_only_ends_alike_is_nobody() -> None:
    for host in ("notgoogle.com", "google.com.example.org", "evil-yahoodns.net", "", ".", "com"):
        assert provider_of(host) is None
    assert group_of("MX1.Example.org. [192.0.2.1]") == "mx1.example.org"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_reply_is_read_by_its_row(rule: ReplyRule) -> None:
    remote = HOSTS[rule.providers[0]][0] if rule.providers else "mx.example.org [192.0.2.9]"
    found = recognise_text(rule.sample, remote)
    assert found is not None
    assert found.rule is rule
    assert all(code[0] in "45" for code in rule.codes)
    assert all(name in BY_NAME for name in rule.providers)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_row_speaks_both_languages(rule: ReplyRule) -> None:
    for words in (rule.meaning, rule.remedy or TREATMENTS[rule.kind].remedy, TREATMENTS[rule.kind].advice):
        assert words.en.isascii()
        assert words.en.endswith(".") or "sekisho" in words.en
        assert re.search("[ぁ-んァ-ヶ一-龠]", words.ja)
        assert words.ja.endswith("。") or "sekisho" in words.ja
    if rule.providers:
        found = recognise_text(rule.sample, HOSTS[rule.providers[0]][0])
        assert found is not None
        assert urlsplit(found.link).scheme == "https"


def test_names_stand_once() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_numbers_mean_what_their_provider_means_by_them() -> None:
    """X.7.23–27 are other things to Google than in the registry."""
    text = "550 5.7.25 No."
    google, other = recognise_text(text, "aspmx.l.google.com"), recognise_text(text, "mx.example.org")
    assert google is not None
    assert google.rule.name == "google-reverse"
    assert other is not None
    assert other.rule.name == "policy"


def test_one_recipients_trouble_slows_nobody() -> None:
    for text in (
        "452 4.2.2 mailbox full",
        "550 5.1.1 no such user",
        "450 4.7.1 greylisted",
        "552 5.2.2 over quota",
    ):
        for remote in ("mx.example.org", "aspmx.l.google.com", "mx1.mail.yahoo.co.jp"):
            found = recognise_text(text, remote)
            assert found is not None
            assert found.treatment.action == "none", (text, remote, found.rule.name)


def test_words_of_our_own_are_nobodys_reply() -> None:
    assert (
        recognise(Reply.of(451, "4.4.1", "No answer from mx.l.google.com", cause="silent"), "mx.l.google.com")
        is None
    )
    assert recognise(Reply.of(421, "4.7.28", "unusual rate of mail"), "") is None
    assert recognise_text("250 2.0.0 spamhaus is fine", "mx.example.org") is None


def test_a_reply_of_any_length_is_read_in_no_time() -> None:
    for text in (
        "421 " + "a" * 100_000,
        "550 5.7.1 " + "block " * 20_000,
        "421 4.7.0 " + "detected " * 10_000,
    ):
        recognise_text(text, "aspmx.l.google.com")
