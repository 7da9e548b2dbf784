"""ENVELOPE, BODYSTRUCTURE, the digest and its fields."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import vectors

from sekisho.core.imap.digest import (
    decode_digest,
    encode_digest,
    find_part,
    make_digest,
    parts_of,
    select_fields,
)
from sekisho.core.imap.envelope import format_envelope
from sekisho.core.message.shown_addresses import MAX_ADDRESSES
from sekisho.core.message.structure import scan


def to_field(raw: bytes) -> bytes:
    """The To list of an envelope."""
    envelope = format_envelope(scan(b"To: " + raw + b"\r\n\r\n").parts[0])
    match = re.fullmatch(rb"\(NIL NIL NIL NIL NIL (.*) NIL NIL NIL NIL\)", envelope, re.DOTALL)
    assert match, envelope
    return match[1]


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"a@b.example", b'((NIL NIL "a" "b.example"))'),
        (b"<a@b.example>", b'((NIL NIL "a" "b.example"))'),
        (b"A B <a@b.example>", b'(("A B" NIL "a" "b.example"))'),
        (b'"B, A" <a@b.example>, c@d.example', b'(("B, A" NIL "a" "b.example")(NIL NIL "c" "d.example"))'),
        (b'"q\\"x" <"a b"@b.example>', b'(("q\\"x" NIL "a b" "b.example"))'),
        (b"a@b.example (A B)", b'(("A B" NIL "a" "b.example"))'),
        (b"a (one (two) three) @ b . example", b'(("one (two) three" NIL "a" "b.example"))'),
        (b"<@x.example,@y.example:a@b.example>", b'((NIL "@x.example,@y.example" "a" "b.example"))'),
        # RFC 3501 §7.4.2: a group starts with a NIL host and ends with all NIL.
        (
            b"Friends: a@b.example, c@d.example;",
            b'((NIL NIL "Friends" NIL)(NIL NIL "a" "b.example")(NIL NIL "c" "d.example")(NIL NIL NIL NIL))',
        ),
        (b"undisclosed-recipients:;", b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
        (b"=?utf-8?q?=E4=BC=9A?= <a@b.example>", b'(("=?utf-8?q?=E4=BC=9A?=" NIL "a" "b.example"))'),
        (b"root", b'((NIL NIL "root" ""))'),
        (b"Deal Shopper", b'(("Deal Shopper" NIL "" ""))'),
        (b"<Undisclosed Recipients@b.example>", b'((NIL NIL "Undisclosed Recipients" "b.example"))'),
        (b"john . doe@b.example", b'((NIL NIL "john.doe" "b.example"))'),
        (b"user@[192.0.2.1]", b'((NIL NIL "user" "[192.0.2.1]"))'),
        (b"(only a comment)", b"NIL"),
        (b" , ,", b"NIL"),
        (b"", b"NIL"),
        (b"\xe4\xbc\x9a <a@b.example>", b'(({3}\r\n\xe4\xbc\x9a NIL "a" "b.example"))'),
    ],
)
def test_addresses(raw: bytes, wire: bytes) -> None:
    assert to_field(raw) == wire


def test_sender_and_reply_to_default_to_from_and_fields_of_one_name_are_joined() -> None:
    header = (
        b"From: a@b.example\r\nTo: c@d.example\r\nTO: e@f.example\r\nSubject: one\r\nSubject: two\r\n\r\n"
    )
    assert format_envelope(scan(header).parts[0]) == (
        b'(NIL "one" ((NIL NIL "a" "b.example")) ((NIL NIL "a" "b.example")) ((NIL NIL "a" "b.example")) '
        b'((NIL NIL "c" "d.example")(NIL NIL "e" "f.example")) NIL NIL NIL NIL)'
    )


def test_addresses_are_capped() -> None:
    assert to_field(b"a@b.example, " * 5000).count(b"b.example") == MAX_ADDRESSES


def test_a_folded_subject_is_one_line() -> None:
    assert format_envelope(scan(b"Subject: a\r\n b\r\n\tc\r\n\r\n").parts[0]).startswith(b'(NIL "a b\tc"')


FULL = (
    b"Content-Type: application/pdf (a (nested) comment); name*0*=utf-8''%E4; name*1=x.pdf; Name = "
    b'"a\\"b;c"\r\n'
    b'Content-Disposition: attachment; filename="x y.pdf"; size=3\r\nContent-Language: en, ja\r\n'
    b"Content-MD5: abc\r\n"
    b"Content-Location: http://x.example/\r\nContent-Transfer-Encoding: BASE64\r\nContent-Description: "
    b"d\r\nContent-ID: <i@x>\r\n"
)
FULL_WIRE = (
    b'("application" "pdf" ("name*0*" "utf-8\'\'%E4" "name*1" "x.pdf" "name" "a\\"b;c") "<i@x>" "d" '
    b'"BASE64" 1 "abc" '
    b'("attachment" ("filename" "x y.pdf" "size" "3")) ("en" "ja") "http://x.example/")'
)


EMPTY = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'


@pytest.mark.parametrize(
    ("header", "wire"),
    [
        (b"", b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)'),
        (
            b"Content-Type: nonsense\r\n",
            b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)',
        ),
        (
            b'Content-Type: text/HTML; charset="utf-8"\r\n',
            b'("text" "html" ("charset" "utf-8") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)',
        ),
        (FULL, FULL_WIRE),
        (
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64 (a comment); x\r\n",
            b'("application" "octet-stream" NIL NIL NIL "base64" 1 NIL NIL NIL NIL)',
        ),
        (
            b"Content-Type: message/global\r\n",  # RFC 9051 §7.5.2
            b'("message" "global" NIL NIL NIL "7bit" 1 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) %b 0 NIL '
            b"NIL NIL NIL)" % EMPTY,
        ),
        (
            b"Content-Type: multipart/mixed\r\n",
            (
                b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) '
                b'"mixed" NIL NIL '
                b"NIL NIL)"
            ),
        ),
    ],
)
def test_bodystructures(header: bytes, wire: bytes) -> None:
    assert make_digest(scan(header + b"\r\nx")).bodystructure == wire


def test_a_boundary_in_pieces_divides_and_is_told_as_it_came() -> None:
    octets = b"Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\r\n\r\n--ab\r\n\r\n1\r\n--ab--\r\n"
    text = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)'
    wire = b"(" + text + b' "mixed" ("boundary*0" "a" "boundary*1" "b") NIL NIL NIL)'
    assert make_digest(scan(octets)).bodystructure == wire


def test_one_boundary_for_two_multiparts_belongs_to_the_inner_one_first() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/alternative; "
        b"boundary=b\r\n\r\n"
        b"--b\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--\r\n--b\r\n\r\n3\r\n--b--\r\n"
    )
    parts = parts_of(make_digest(scan(octets)))
    found = [find_part(parts, numbers) for numbers in ((1, 1), (1, 2), (2,))]
    assert [octets[part.body : part.end] for part in found if part] == [b"1", b"2", b"3"]


def test_a_digest_comes_back_and_others_do_not() -> None:
    digest = make_digest(scan(b"Subject: x\r\nX-Other: y\r\n\r\nbody"))
    assert decode_digest(encode_digest(digest)) == digest
    assert digest.fields == ((b"subject", b"Subject: x\r\n"),)
    for blob in (b"", b"\x96\x00", b"nonsense", encode_digest(digest)[:-1]):
        assert decode_digest(blob) is None


def test_fields_are_selected_whole() -> None:
    header = b"A: 1\r\n 2\r\nno field\r\nb : 3\r\nA:\r\nc: 4"
    assert select_fields(header, frozenset((b"a",))) == b"A: 1\r\n 2\r\nA:\r\n"
    assert select_fields(header, frozenset((b"a",)), others=True) == b"b : 3\r\nc: 4"


def parsed(wire: bytes) -> Any:
    """Nested lists of one parenthesised answer, checking its syntax."""
    token = re.compile(rb'\(|\)| |"((?:[^"\\\r\n]|\\["\\])*)"|\{(\d+)\}\r\n|NIL|\d+')
    stack: list[Any] = [[]]
    position = 0
    while position < len(wire):
        match = token.match(wire, position)
        assert match, wire[position : position + 40]
        position = match.end()
        if match[0] == b"(":
            stack.append([])
        elif match[0] == b")":
            stack[-2].append(stack.pop())
        elif match[2]:
            stack[-1].append(wire[position : position + int(match[2])])
            position += int(match[2])
        elif match[0] != b" ":
            stack[-1].append(match[0])
    assert len(stack) == 1 and len(stack[0]) == 1
    return stack[0][0]


@given(
    st.binary(max_size=400),
    st.sampled_from([b"To: ", b"Content-Type: ", b"Content-Disposition: ", b"Subject: ", b""]),
)
def test_any_octets_give_well_formed_answers(octets: bytes, name: bytes) -> None:
    digest = make_digest(scan(name + octets))
    assert len(parsed(digest.envelope)) == 10
    parsed(digest.body)
    parsed(digest.bodystructure)


def test_all_vectors_give_well_formed_answers() -> None:
    for path in vectors("mime").rglob("*.eml"):
        digest = make_digest(scan(path.read_bytes()))
        for wire in (digest.envelope, digest.body, digest.bodystructure):
            parsed(wire)
