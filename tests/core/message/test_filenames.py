"""Names of attachments in all the ways that they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.message.filenames import disguised, extension, names_of
from sekisho.core.message.structure import scan


def names(fields: str) -> tuple[str, ...]:
    return names_of(scan(fields.encode() + b"\r\n\r\nx").parts[0])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("Content-Type: application/x; name=a.exe", ("a.exe",)),
        (
            'Content-Type: text/plain; name="a b.txt"\r\nContent-Disposition: attachment; filename=c.exe',
            ("c.exe", "a b.txt"),
        ),
        (
            "Content-Disposition: attachment; filename*=utf-8''%E8%AB%8B%E6%B1%82%E6%9B%B8.exe",
            ("請求書.exe",),
        ),
        (
            "Content-Disposition: attachment; filename*0*=utf-8''inv%20; filename*1=oice; filename*2*=.%65xe",
            ("inv oice.exe",),
        ),
        ("Content-Disposition: attachment; filename*0=a; filename*2=c", ("ac",)),
        (
            'Content-Disposition: attachment; filename="=?iso-2022-jp?B?GyRCQEE1YT1xGyhCLmV4ZQ==?="',
            ("請求書.exe",),
        ),
        ("Content-Disposition: attachment; filename=x.pdf; filename*=utf-8''x.exe", ("x.exe", "x.pdf")),
        (
            "Content-Disposition: attachment; filename=x.pdf; filename=y.exe; name=z.js",
            ("x.pdf", "y.exe", "z.js"),
        ),
        (
            "Content-Disposition: inline\r\nContent-Disposition: x; filename*0=a; filename*2*=%2Eexe",
            ("a.exe",),
        ),
        (
            "Content-Type: text/plain; name=a.txt\r\nContent-Type: application/x; name=b.exe",
            ("a.txt", "b.exe"),
        ),
        ("Content-Disposition: attachment", ()),
        ("Subject: x", ()),
    ],
)
def test_names(fields: str, expected: tuple[str, ...]) -> None:
    assert names(fields) == expected


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("a.EXE", "exe"), ("a.pdf.exe", "exe"), ("a.exe. . ", "exe"), ("a.e\u200bxe", "exe"), ("annexe", ""),
        ("", ""),
        (".bashrc", "bashrc"),
        ("a\u202efdp.exe", "exe"),
    ],
)  # fmt: skip
def test_endings(name: str, ending: str) -> None:
    assert extension(name) == ending


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.pdf", ""),
        ("photo\u202egpj.exe", "turned"),
        ("photo.jpg                 .exe", "spaced"),
        ("my file .txt", ""),
        ("a b.txt", ""),
    ],
)
def test_disguises(name: str, how: str) -> None:
    assert disguised(name) == how


@given(st.binary(max_size=300))
def test_any_parameters(octets: bytes) -> None:
    part = scan(
        b"Content-Disposition: x; filename*0*="
        + octets
        + b"\r\nContent-Type: a/b; name*="
        + octets
        + b"\r\n\r\n"
    ).parts[0]
    assert all(len(name) <= 255 for name in names_of(part))
