"""Whom a message shows as its author: the strict reading, the lenient ones, and where they part."""

import base64
import email
import email.policy
import email.utils
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.message.authorship import MOST_NAMED, Authorship, read_authorship
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.shown_addresses import AddressReader


def _read(value: bytes) -> Authorship:
    return read_authorship(HeaderSection(b"From: " + value + b"\r\n\r\n"))


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b"bob@bank.example", "bob@bank.example"),
        (b"Bob <bob@Bank.Example>", "bob@bank.example"),
        (b"bob@bank.example <bob@bank.example>", "bob@bank.example"),
        (b"Bob [x], chair <bob@bank.example>", "bob@bank.example"),
        (b"b..ob.@docomo.ne.jp", "b..ob.@docomo.ne.jp"),
        ("会議@会議.example".encode(), "会議@xn--6oqw48l.example"),
        (b"\x1b$B2q5D\x1b(B <bob@bank.example>", "bob@bank.example"),
    ],
)
def test_who_all_readers_agree_on_is_the_author(value: bytes, address: str) -> None:
    found = _read(value)
    (author,) = found.addresses
    assert (f"{author.local}@{author.domain}", found.domains, found.shown, found.problem) == (
        address,
        (author.domain,),
        (),
        "",
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"", "cannot be read"),
        (b"nobody", "cannot be read"),
        (b"Nobody:;", "names nobody"),
        (b"<bob@bank.example>x", "cannot be read"),
        (b"bob@other.example <bob@bank.example>", "cannot be read"),
        (b"bob@bank.example.", "cannot be read"),
        (b"bob@bank.example\x08", "cannot be read"),
        (b"bob@[192.0.2.1]", "names an IP address"),
        (b", ".join(b"x@d%d.example" % number for number in range(6)), "more than 5 domains"),
        (b", ".join([b"x@a.example"] * 1001), "cannot be read"),
        (b"x" * 70_000 + b" <bob@bank.example>", "cannot be read"),
    ],
)
def test_what_cannot_be_read_has_no_author(value: bytes, problem: str) -> None:
    found = _read(value)
    assert problem in found.problem and found.addresses == () and len(found.domains) <= MOST_NAMED


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"Subject: x\r\n\r\n", "no From"),
        (b"From: a@a.example\r\nfrom : b@b.example\r\n\r\n", "2 From"),
        (b"From: a@a.example\r\n>From: b@b.example\r\n\r\n", "2 From"),
        (b"From: a@a.example\r\nFrom\r\n : b@b.example\r\n\r\n", "2 From"),
        (b" From: b@b.example\r\nFrom: a@a.example\r\n\r\n", "2 From"),
        (b"From\xa0: b@b.example\r\nFrom: a@a.example\r\n\r\n", "2 From"),
        (b"From: a@a.example\r\nFrom: b@b.example\r\nFrom: c@c.example\r\n\r\n", "3 From"),
    ],
)
def test_missing_or_doubled(header: bytes, problem: str) -> None:
    found = read_authorship(HeaderSection(header))
    assert problem in found.problem and ("b.example" in found.domains) is (b"b.example" in header)


@pytest.mark.parametrize("name", [b"X-From", b"Resent-From", b"From-Line", b"List-From", b"Fromage"])
def test_other_fields_are_none(name: bytes) -> None:
    found = read_authorship(
        HeaderSection(b"From: a@a.example\r\n" + name + b": b@b.example\r\nno field\r\n\r\n")
    )
    assert (found.problem, found.domains, found.shown) == ("", ("a.example",), ())


V, A = "boss@ours.example", "x@attack.example"
_PIECES = [
    V,
    A,
    f"<{V}>",
    f"<{A}>",
    *"<>\"(),;:@\\.[]%!&'",
    "ours.example",
    "boss",
    "Boss",
    " ",
    "  ",
    "\t",
    "é",
    "=?",
    "?=",
    "\u3000",
    "\uff20",
    "sub.",
]
_PIECES += [
    "=?utf-8?q?boss=40ours.example?=",
    "=?utf-8?b?Ym9zc0BvdXJzLmV4YW1wbGU=?=",
    "=?utf-8?q?=3C?=",
    "=?utf-8?q?=22?=",
    "<>",
    "()",
    '""',
    "mailto:",
]


def _b(text: str, charset: str) -> str:
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?="


@pytest.mark.parametrize(
    "phrase",
    [
        _b(V, "utf-16"),
        f"=?utf-16?B?{base64.b64encode(V.encode('utf-16-le')).decode()}?=",
        _b(V, "utf-32"),
        "=?utf-8?Q?a?b?boss=40ours.example?=",
        f"=?utf-8*{'e' * 90}?Q?boss=40ours.example?=",
        "boss@ours(a(b(c(d(e(f(g))))))).example",
        '"boss@ours(a(b(c(d(e(f(g))))))).example"',
        "boss@ours(\\)).example",
        "boss@ours(\\().example",
        "boss@" + " " * 40 + "ours.example",
        "boss@\u043eurs.example",
        "boss@our\u0455.example",
        "boss@\u03bfurs.example",
    ],
)
def test_what_a_phrase_shows_behind_further_disguises(phrase: str) -> None:
    found = _read(f"{phrase} <{A}>".encode())
    assert found.problem or "ours.example" in found.shown


@pytest.mark.parametrize("domain", ["\u043eurs.example", "sub.our\u0455.example", "xn--urs-red.example"])
def test_an_author_that_reads_like_another_shows_it(domain: str) -> None:
    found = _read(f"Boss <boss@{domain}>".encode())
    assert [str(author.local) for author in found.addresses] == ["boss"]
    assert found.shown[0].endswith("ours.example")


@pytest.mark.parametrize(
    "domain",
    [
        "m\u00fcller.example",
        "\u4f1a\u8b70.example",
        "\u0445\u043e\u0440\u043e\u0448\u043e.example",
        "\u0441\u043e\u0440.\u0440\u0444",
    ],
)
def test_names_in_letters_of_their_own_read_like_none_other(domain: str) -> None:
    assert _read(f"<bob@{domain}>".encode()).shown == ()


def test_a_sender_that_is_not_the_author_is_told_apart() -> None:
    """Outlook writes "boss@ours.example on behalf of x@attack.example"."""
    fields = f"From: {A}\r\nSender: Boss <{V}>\r\nSender: {A}\r\n\r\n"
    found = read_authorship(HeaderSection(fields.encode()))
    assert (found.senders, found.shown, found.problem) == (("ours.example",), (), "")


def _others_read(value: str) -> set[str]:
    """Domains of what Python's readers of three generations, ours for ENVELOPE, and a plain search make of
    it."""
    found = {address for _, address in email.utils.getaddresses([value])} | {email.utils.parseaddr(value)[1]}
    try:
        field = email.message_from_string(f"From: {value}\r\n\r\n", policy=email.policy.default)["from"]
        found |= {f"@{address.domain}" for address in field.addresses} | set(
            re.findall(r"[\w.+-]+@[\w.-]+", str(field))
        )
    except Exception:  # it raises whatever it likes
        pass
    found |= set(re.findall(r"[\w.+-]+@[\w.-]+", value)) | set(re.findall(r"<([^<>]*)>", value))
    reader = AddressReader()
    reader.read(value.encode())
    found |= {f"@{address.host.decode()}" for address in reader.found if address.host}
    return {one.rpartition("@")[2].lower().strip(" .<>\"'") for one in found if "@" in one}


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
def test_what_other_readers_see_is_seen(value: str) -> None:
    if any(domain == "ours.example" or domain.endswith(".ours.example") for domain in _others_read(value)):
        found = _read(value.encode())
        assert found.problem or any(
            domain.endswith("ours.example") for domain in (*found.domains, *found.shown)
        ), value


@given(st.binary(max_size=300))
def test_any_octets_are_read(value: bytes) -> None:
    found = read_authorship(HeaderSection(value))
    assert bool(found.problem) is not bool(found.addresses)


@pytest.mark.parametrize(
    "piece",
    [
        b"(",
        b"@",
        b"a.",
        b"@a.b ",
        b"=?",
        b"=?utf-8?q?=40a.b?= ",
        b"a!",
        b"<",
        b'"',
        b"\\",
        b"\xff",
        b" .",
        b"a@b.c,",
        b"&#64;",
        b"%",
        b"()",
        b"(\\)",
        b"=?utf-16?b?AGE=?= ",
        b"=?u?q?",
    ],
)
def test_hostile_fields_cost_little(piece: bytes) -> None:
    started = time.process_time()
    _read(piece * (65_000 // len(piece)))
    assert time.process_time() - started < 2
