"""The header index cuts fields exactly, whatever they hold."""

from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.message.header import HeaderSection

MESSAGE = b"From: a@b\r\nSubject: one\r\n two\r\nX-Odd : y\r\nnot a field\r\nfrom: c@d\r\n\r\nFrom: body\r\n"


def test_fields_values_and_body() -> None:
    section = HeaderSection(MESSAGE)
    assert [f.name for f in section.fields] == [b"from", b"subject", b"x-odd", b"", b"from"]
    assert section.first(b"subject") == b"one two"
    assert list(section.values(b"from")) == [b"a@b", b"c@d"]
    assert section.octets[section.body :] == b"From: body\r\n"
    assert section.without(frozenset([b"from"])) == b"Subject: one\r\n two\r\nX-Odd : y\r\nnot a field\r\n"


def test_no_empty_line() -> None:
    section = HeaderSection(b"From: a@b\r\nTo: x")
    assert not section.is_complete and section.body == section.end == 16
    assert section.first(b"to") == b"x"


def test_the_field_cap_stops_the_index() -> None:
    section = HeaderSection(b"A: 1\r\n" * 50 + b"\r\n", max_fields=10)
    assert section.too_many and len(section.fields) == 10


def test_a_section_of_very_many_lines_is_indexed_the_same() -> None:
    """It is not taken apart all at once."""
    octets = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n" + b"Long: x\r\n" + b" y\r\n" * 100 + b"\r\n"
    few, many = HeaderSection(octets, max_fields=10), HeaderSection(octets)
    assert few.fields == many.fields and len(few.fields) == 6 and few.has_repeated and not few.too_many
    assert not HeaderSection(b"A: 1\r\nB: 2\r\n\r\n").has_repeated


@given(st.binary(max_size=300) | st.text(alphabet="aA: \t\r\n(", max_size=200).map(str.encode))
def test_fields_tile_the_section(octets: bytes) -> None:
    section = HeaderSection(octets)
    assert b"".join(octets[f.start : f.end] for f in section.fields) == octets[: section.end]
    assert section.end <= section.body <= len(octets)
