"""Tokens of whole messages: what is told apart, in any charset, and what hostile ones cost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.effort import effort
from tests.vectors import vectors

from sekisho.core.policy.classifier.features import MAX_TOKENS, Features, features_of
from sekisho.core.policy.classifier.reading import read_message

HEAD = (
    b"From: A <a@sender.example>\r\nTo: b@example.org\r\nSubject: "
    b"=?utf-8?B?5Lya6K2w44Gu44GK55+l44KJ44Gb?=\r\n"
)


def message(body: bytes, fields: bytes = b"") -> bytes:
    return HEAD + fields + b"\r\n" + body


@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp", "shift_jis", "euc-jp"])
@pytest.mark.parametrize("labelled", [True, False])
def test_japanese_words_in_any_charset(charset: str, labelled: bool) -> None:
    field = f"Content-Type: text/plain; charset={charset}\r\n".encode() if labelled else b""
    tokens = read_message(message("明日の会議について\r\n資料を送ります。\r\n".encode(charset), field))
    assert {"会議", "資料", "送り"} <= set(tokens.words)
    assert "s:会議" in tokens.build


def test_subject_author_and_way() -> None:
    fields = (
        b"Received: from mx.sender.example (mx.sender.example [192.0.2.4]) by mx.example.org with "
        b"ESMTP; 1 Jan 2024 00:00:00 +0900\r\n"
    )
    build = set(read_message(fields + message(b"x\r\n")).build)
    assert {
        "from:a@sender.example",
        "fd:sender.example",
        "al:from:name",
        "r:ip:192.0.2",
        "r:same",
        "hops:1",
    } <= build


def test_what_the_recipients_side_wrote_is_not_learned() -> None:
    inner = (
        b"Received: from localhost (localhost [127.0.0.1]) by imap.example.org with IMAP; 1 Jan 2024 "
        b"00:00:00 +0900\r\n"
    )
    border = (
        b"Received: from mx.sender.example ([192.0.2.4]) by mx.example.org with ESMTP; 1 Jan 2024 "
        b"00:00:00 +0900\r\n"
    )
    store = (
        b"X-Keywords: Junk\r\nX-Spam-Status: Yes, score=12\r\nStatus: RO\r\nDelivered-To: b@example.org\r\n"
    )
    build = " ".join(read_message(inner + border + message(b"x\r\n", store)).build)
    assert "example.org" not in build.replace("ts:", "")
    assert (
        "keywords" not in build
        and "spam-status" not in build
        and "status" not in build.replace("content-", "")
    )


def test_links_hidden_text_and_false_links() -> None:
    html = (
        b'<html><body><a href="http://evil.example/x">https://www.bank.example/login</a>'
        b'<div style="display:none">meeting agenda</div><a href="http://192.0.2.1:8080/">go</a></body></html>'
    )
    tokens = read_message(message(html, b"Content-Type: text/html\r\n"))
    assert {"u:evil.example", "u:not as shown", "u:address", "u:port", "hid:meeting", "kinds:html"} <= set(
        tokens.build
    )
    assert "meeting" not in tokens.words and "go" in tokens.words


def test_tokens_are_single_and_bounded() -> None:
    tokens = read_message(message(b" ".join(b"w%dx" % n for n in range(20_000))))
    assert len(set(tokens.words)) == len(tokens.words)
    features = features_of(tokens)
    assert len(features.words) == MAX_TOKENS
    assert Features.from_octets(features.to_octets()) == features


@pytest.mark.parametrize("octets", [b"", b"\x05\0\0\0abcd", b"\0\0\0\0ab", b"\xff\xff\xff\xff"])
def test_what_are_no_features(octets: bytes) -> None:
    if octets == b"":
        octets = b"\1"
    with pytest.raises(ValueError, match="no features"):
        Features.from_octets(octets)


def hostile() -> dict[str, bytes]:
    deep = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(300)
    )
    return {
        "nothing": b"",
        "one long word": message(b"a" * 3_000_000),
        "random words": message(b" ".join(b"x%dy" % (n * 7919) for n in range(300_000))),
        "long token with dots": message(b"a." * 500_000),
        "to without at": HEAD + b"Cc: " + b"a" * 100_000 + b"\r\n\r\nx",
        "many fields": b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + message(b"x"),
        "many hops": b"Received: from a (b [192.0.2.1]) by c; d\r\n" * 5000 + message(b"x"),
        "deep": HEAD + deep,
        "many parts": message(b"--b\r\n\r\nx\r\n" * 30_000, b"Content-Type: multipart/mixed; boundary=b\r\n"),
        "open tags": message(b"<" * 2_000_000, b"Content-Type: text/html\r\n"),
        "links": message(b"<a href=http://a.b/c>d</a>" * 80_000, b"Content-Type: text/html\r\n"),
        "styles": message(b'<p style="display:none">' * 80_000, b"Content-Type: text/html\r\n"),
        "base64": message(
            b"A" * 3_000_000, b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n"
        ),
        "bad base64": message(b"=?&" * 100_000, b"Content-Transfer-Encoding: base64\r\n"),
        "quoted": message(b"=\r\n" * 300_000, b"Content-Transfer-Encoding: quoted-printable\r\n"),
        "escapes": message(b"\x1b$B" * 200_000, b"Content-Type: text/plain; charset=iso-2022-jp\r\n"),
        "utf-7": message(b"+AGEAYg-" * 100_000, b"Content-Type: text/plain; charset=utf-7\r\n"),
        "no charset": message(b"x\xff\xfe" * 100_000, b"Content-Type: text/plain; charset=rot13\r\n"),
        "combining": message(
            "a\u0301\u0316".encode() * 100_000, b"Content-Type: text/plain; charset=utf-8\r\n"
        ),
        "digits": message(b"1,2.3" * 100_000),
        "addresses": HEAD + b"Reply-To: " + b"a@" * 50_000 + b"\r\n\r\n",
    }


@pytest.mark.parametrize("name", sorted(hostile()))
def test_hostile_messages_cost_little(name: str) -> None:
    octets = hostile()[name]
    with effort(0.5, name):
        read_message(octets)  # of which up to half is finding the parts of 3 MB


@pytest.mark.slow
def test_real_and_torturing_messages() -> None:
    paths: list[Path] = sorted(vectors("mime").rglob("*.eml"))
    for path in paths:
        octets = path.read_bytes()
        with effort(0.5, path.name):
            tokens = read_message(octets)
        assert tokens.build
        features_of(tokens)


@given(st.binary(max_size=2000))
def test_any_octets_are_a_message(octets: bytes) -> None:
    features_of(read_message(octets))
    features_of(read_message(b"Content-Type: text/html; charset=utf-16\r\n\r\n" + octets))
