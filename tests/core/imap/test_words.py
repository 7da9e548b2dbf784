"""Mailbox names, sequence sets, dates, patterns, strings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.imap import formatting
from sekisho.core.imap.dates import day_of, format_date_time, parse_date, parse_date_time
from sekisho.core.imap.mailbox_names import MailboxNameError, decode_mailbox, encode_mailbox
from sekisho.core.imap.patterns import ListPattern
from sekisho.core.imap.sequences import SEQUENCE_SET, SequenceSet
from sekisho.core.terms.uidset import UidSet


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 §5.1.3
        ("A&B", b"A&-B"),
        ("会議", b"&TxqLcA-"),
        ("😀", b"&2D3eAA-"),
        ("Sent", b"Sent"),
    ],
)
def test_modified_utf7(name: str, wire: bytes) -> None:
    assert encode_mailbox(name) == wire
    assert decode_mailbox(wire) == name


@pytest.mark.parametrize(
    "wire",
    [
        b"&AGE-",
        b"&U,BTFw-&ZeVnLIqe-",
        b"&",
        b"a&b",
        b"&!!-",
        b"&2D0-",
        b"a\x7f",
        b"\xc3\xa9",
        b"&AAA-",
        b"x" * 1001,
    ],
)
def test_other_spellings_are_no_names(wire: bytes) -> None:
    with pytest.raises(MailboxNameError):
        decode_mailbox(wire)


@pytest.mark.parametrize(
    ("wire", "name"), [(b"inbox", "INBOX"), (b"InBox/x", "INBOX/x"), (b"inboxes", "inboxes")]
)
def test_inbox_has_no_case(wire: bytes, name: str) -> None:
    assert decode_mailbox(wire) == name


@given(
    st.text(
        st.characters(min_codepoint=32, max_codepoint=0xFFFD, blacklist_categories=("Cs", "Cc")), max_size=60
    )
)
def test_names_come_back(name: str) -> None:
    assert decode_mailbox(encode_mailbox(name)) in (name, "INBOX" + name[5:])


VIEW = UidSet(((5, 7), (10, 10), (20, 22)))  # seven messages


@pytest.mark.parametrize(
    ("wire", "by_uid", "by_number"),
    [
        (b"1:*", "5:7,10,20:22", "5:7,10,20:22"),
        (b"*", "22", "22"),
        (b"*:6", "6:7,10,20:22", "21:22"),
        (b"2,4", "", "6,10"),
        (b"7:5", "5:7", "20:22"),
        (b"99:*", "22", None),
        (b"8", "", None),
    ],
)
def test_sequence_sets(wire: bytes, by_uid: str, by_number: str | None) -> None:
    assert SEQUENCE_SET.fullmatch(wire)
    messages = SequenceSet.from_wire(wire)
    assert str(messages.uids(VIEW)) == by_uid
    if by_number is None:
        with pytest.raises(IndexError):
            messages.uids_of_numbers(VIEW)
    else:
        assert str(messages.uids_of_numbers(VIEW)) == by_number


def test_an_empty_mailbox_has_no_numbers_but_takes_uids() -> None:
    assert not SequenceSet.from_wire(b"1:*").uids(UidSet())
    with pytest.raises(IndexError):
        SequenceSet.from_wire(b"*").uids_of_numbers(UidSet())


@given(st.integers(-(10**14), 4 * 10**15), st.integers(-1439, 1439))
def test_date_times_come_back(when_us: int, offset: int) -> None:
    when_us -= when_us % 1_000_000
    assert parse_date_time(format_date_time(when_us, offset).strip(b'"')) == (when_us, offset)


@pytest.mark.parametrize(
    "raw",
    [
        b"1-Jan-2026 00:00:00 +0000",
        b"32-Jan-2026 00:00:00 +0000",
        b"01-Foo-2026 00:00:00 +0000",
        b"01-Jan-2026 25:00:00 +0000",
    ],
)
def test_bad_date_times(raw: bytes) -> None:
    with pytest.raises(ValueError):
        parse_date_time(raw + b" +0000")


def test_days() -> None:
    when_us, offset = parse_date_time(b"24-Nov-2026 00:30:00 +0900")
    assert day_of(when_us, offset) == parse_date(b"24-Nov-2026")
    assert day_of(when_us, 0) == parse_date(b"23-Nov-2026")


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_list_patterns_match_as_a_regular_expression_would(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(c, re.escape(c)) for c in pattern)
    assert ListPattern(pattern).matches(name) is bool(re.fullmatch(expression, name))


def test_a_hostile_list_pattern_is_cheap() -> None:
    assert not ListPattern("*a" * 400 + "b").matches("a" * 1000)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"", b'""'),
        (b'a"\\', b'"a\\"\\\\"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\xe9", b"{1}\r\n\xe9"),
        (b"a\0b", b"{2}\r\nab"),
    ],
)
def test_strings(value: bytes, wire: bytes) -> None:
    assert formatting.string(value) == wire


def test_text_never_breaks_the_line() -> None:
    assert formatting.text("a\r\nb") == b"a??b"
    assert formatting.text("[ALERT] x") == b" [ALERT] x"
    assert formatting.text("") == b"-"
