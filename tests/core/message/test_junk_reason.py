"""Why a copy lies in Junk, as a field that any program can show."""

import pytest

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.junk_reason import JUNK_REASON, format_junk_reason
from sekisho.core.message.text import decode_field


@pytest.mark.parametrize(
    ("because", "expected"),
    [
        ("its words score 0.71", "content-junk; its words score 0.71"),
        (
            "most telling: 出会い, 無料, casino " * 3,
            "content-junk; " + ("most telling: 出会い, 無料, casino " * 3),
        ),
        ("a\r\nSubject: x\0", "content-junk; a??Subject: x?"),
        ("x" * 900, "content-junk; " + "x" * 500),
        ("\ud800", "content-junk; ?"),
    ],
)
def test_a_reason(because: str, expected: str) -> None:
    field = format_junk_reason("content-junk", because)
    assert field.endswith(b"\r\n") and field.isascii()
    header = HeaderSection(field + b"\r\n")
    assert [one.name for one in header.fields] == [JUNK_REASON]
    assert decode_field(header.first(JUNK_REASON) or b"").strip() == expected.strip()
    assert max(map(len, field.split(b"\r\n"))) <= 78 or "x" * 100 in because
