"""Files by what they really are, and the names that archives list, also broken and hostile ones."""

import gzip
import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.effort import effort

from sekisho.core.message.filetypes import (
    MAX_NAMES,
    TAIL_OCTETS,
    FileScanner,
    ListedFile,
    kind_of,
    listed_files,
)

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}" + b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def zipped(*names: str, **options: object) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "content of " + name)
    return stream.getvalue()


def scanned(octets: bytes, piece: int = 1000) -> FileScanner:
    scanner = FileScanner()
    for begin in range(0, len(octets), piece):
        scanner.feed(octets[begin : begin + piece])
    return scanner


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"MZ\x90\x00" + bytes(100), "pe"),
        (b"MZ is how this letter begins, dear reader", ""),
        (b"\x7fELF\x02\x01", "elf"),
        (b"\xcf\xfa\xed\xfe", "macho"),
        (b"\xca\xfe\xba\xbe\0\0\0\x34", "java"),
        (b"#!/bin/sh\nrm", "script"),
        (b"L\0\0\0\x01\x14\x02\0\0", "lnk"),
        (b"<html><HTA:APPLICATION id=a>", "hta"),
        (bytes(0x8001) + b"CD001\x01", "iso"),
        (b"\xeb\x3c\x90MSDOS5.0" + bytes(43) + b"FAT12   " + bytes(448) + b"\x55\xaa", "disk"),
        (b"vhdxfile", "disk"),
        (OLE, "ole"),
        (OLE + bytes.fromhex("84100c0000000000c000000000000046"), "msi"),
        (zipped("a"), "zip"),
        (b"Rar!\x1a\x07\x01\0", "rar"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"MSCF\0\0", "cab"),
        (b"1234567**ACE**", "ace"),
        (EICAR, "eicar"),
        (b"%PDF-1.7", ""),
        (b"\x89PNG\r\n", ""),
        (b"", ""),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else ""
    ),  # archives hold the time of day, names of tests must not
)
def test_kinds(head: bytes, kind: str) -> None:
    assert kind_of(head) == kind


@pytest.mark.parametrize("piece", [1, 7, 1000, 100_000])
def test_names_in_a_zip_whole_and_in_pieces(piece: int) -> None:
    octets = zipped("読んで.pdf.exe", "folder/b.txt")
    scanner = scanned(octets, piece)
    assert scanner.kind == "zip"
    assert scanner.listed() == [ListedFile("読んで.pdf.exe"), ListedFile("folder/b.txt")]


def test_names_at_the_end_of_a_large_zip() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("big.bin", bytes(500_000))
        archive.writestr("evil.js", "x")
    assert ListedFile("evil.js") in scanned(stream.getvalue(), 65_536).listed()


def test_a_directory_that_lies_and_one_that_is_cut_off() -> None:
    octets = zipped("invoice.exe", "b.txt")
    lying = octets.replace(b"invoice.exe", b"invoice.pdf").replace(b"invoice.pdf", b"invoice.exe", 1)
    assert ListedFile("invoice.exe") in scanned(lying).listed()  # the header before the file tells
    swapped = octets.replace(b"invoice.exe", b"invoice.pdf", 1)
    assert ListedFile("invoice.exe") in scanned(swapped).listed()
    assert ListedFile("invoice.exe") in scanned(octets[: octets.find(b"PK\x01\x02")]).listed()


def test_encrypted_files_are_told() -> None:
    octets = bytearray(zipped("secret.doc"))
    octets[6] |= 1
    octets[octets.find(b"PK\x01\x02") + 8] |= 1
    assert scanned(bytes(octets)).listed() == [ListedFile("secret.doc", True)]


def test_names_of_other_archives() -> None:
    packed = gzip.GzipFile
    stream = io.BytesIO()
    with packed("run.exe", "wb", fileobj=stream) as file:
        file.write(b"x")
    assert listed_files("gzip", stream.getvalue(), b"") == [ListedFile("run.exe")]
    rar = b"Rar!\x1a\x07\x01\0" + bytes(20) + b"\x0binvoice.scr" + bytes(50)
    assert [each.name for each in listed_files("rar", rar, rar)] == ["invoice.scr"]


def test_macros_of_ole_files_wherever_they_lie() -> None:
    mark = "_VBA_PROJECT".encode("utf-16-le")
    octets = OLE + bytes(200_000) + mark + bytes(200_000)
    for piece in (1009, 65_536):
        assert scanned(octets, piece).has_macros
    assert not scanned(OLE + bytes(1000)).has_macros
    assert not scanned(b"text" + mark).has_macros


@pytest.mark.parametrize("piece", [7, 1000, 100_000])
def test_names_in_tnef(piece: int) -> None:
    """winmail.dat of Outlook: titles, and long names as properties."""
    title, long = b"INVOI~1.EXE\0", "請求書.vbs\0".encode("utf-16-le")
    octets = (
        b"\x78\x9f\x3e\x22\x01\0"
        + bytes(90_000)
        + b"\x02\x10\x80\x01\0"
        + len(title).to_bytes(4, "little")
        + title
        + b"\0\0"
    )
    octets += b"\x1f\0\x07\x37\x01\0\0\0" + len(long).to_bytes(4, "little") + long
    octets += b"\x1e\0\x07\x37\x01\0\0\0\x06\0\0\0a.txt\0" + bytes(90_000)
    scanner = scanned(octets, piece)
    assert scanner.kind == "tnef" and [file.name for file in scanner.listed()] == [
        "INVOI~1.EXE",
        "請求書.vbs",
        "a.txt",
    ]


def test_hostile_archives_cost_little() -> None:
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 65535) + bytes(16)
    with effort(1):
        assert len(listed_files("zip", b"PK\x03\x04" * 20_000, entry * 1500)) <= MAX_NAMES
        listed_files("zip", b"PK\x03\x04" + bytes(22) + b"\xff\xff" * 30_000, b"PK\x01\x02" * 17_000)
        listed_files("rar", b"a" * 65_536, b"a." * 34_000)


@given(st.binary(max_size=400))
def test_any_octets(octets: bytes) -> None:
    for prefix in (b"", b"PK\x03\x04", b"PK\x01\x02", b"\x1f\x8b\x08\x0c", OLE, b"Rar!\x1a\x07"):
        scanner = scanned(prefix + octets, 64)
        assert scanner.listed() == scanned(prefix + octets, 100_000).listed()
        assert len(scanner.tail) <= TAIL_OCTETS
