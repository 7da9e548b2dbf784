"""The part tree: the same as the standard library sees on sane messages, the same however it is fed, bounded
on hostile ones."""

import email
import email.message
import email.policy
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.effort import effort
from tests.vectors import vectors

from sekisho.core.message.structure import MAX_DEPTH, MAX_PARTS, Kind, Part, Structure, StructureScanner, scan


def messages() -> list[Path]:
    return sorted(vectors("mime").rglob("*.eml"))


def fed(octets: bytes, sizes: Iterator[int]) -> Structure:
    scanner, position = StructureScanner(), 0
    while position < len(octets):
        size = next(sizes)
        scanner.feed(octets[position : position + size])
        position += size
    return scanner.finish()


def shape(structure: Structure) -> list[tuple[Any, ...]]:
    return [
        (p.kind, p.start, p.body, p.end, p.lines, p.type, p.subtype, p.parent, p.fields)
        for p in structure.parts
    ]


def check_offsets(structure: Structure, size: int) -> None:
    last = -1
    for number, part in enumerate(structure.parts):
        assert 0 <= part.start <= part.body <= part.end <= size
        assert part.start >= last  # THREATS 28
        last = part.start
        assert all(child > number for child in part.children)
        if part.parent >= 0:
            parent = structure.parts[part.parent]
            assert parent.body <= part.start and part.end <= parent.end


def tree(structure: Structure, part: Part, octets: bytes) -> Any:
    if part.kind is Kind.LEAF:
        return (part.type + b"/" + part.subtype).decode("latin-1"), octets[part.body : part.end]
    return (part.type + b"/" + part.subtype).decode("latin-1"), [
        tree(structure, structure.parts[c], octets) for c in part.children
    ]


def library_tree(message: Any) -> Any:
    if message.is_multipart():
        return message.get_content_type(), [library_tree(part) for part in message.get_payload()]
    return message.get_content_type(), message._payload.encode("ascii", "surrogateescape")


@pytest.mark.parametrize("path", messages(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_vectors_are_divided_the_same_however_they_are_fed(path: Path) -> None:
    octets = path.read_bytes()
    whole = scan(octets)
    check_offsets(whole, len(octets))
    dice = random.Random(1)
    for largest in (1, 7, 100):
        assert shape(fed(octets, iter(lambda n=largest: dice.randint(1, n), 0))) == shape(whole)


# The library opens every message/*, where RFC 3501 §7.4.2 knows message/rfc822 only; and it ends a header
# section at the first line that is no field, where we go on to the empty line.
DIFFERENT = {"mail-parser-rfc/001", "mail-parser-rfc/008"}


@pytest.mark.parametrize("path", messages(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_vectors_are_divided_as_the_standard_library_does(path: Path) -> None:
    octets = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    structure = scan(octets)
    mine = tree(structure, structure.parts[0], octets)
    library = library_tree(email.message_from_bytes(octets, policy=email.policy.compat32))
    assert (mine == library) is (f"{path.parent.name}/{path.stem}" not in DIFFERENT)


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"--a",
        b"--",
        b"--b",
        b"--a--",
        b"\r\n--a\r\n",
        b"\r\n--a--\r\n",
        b"\r\n--b \t\r\n",
        b"\n--b--",
        b"Content-Type: multipart/mixed; boundary=a\r\n",
        b'Content-Type: multipart/digest; boundary="b"\r\n\r\n',
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: text/html; charset=utf-8\r\n",
        b"Subject: x\r\n y\r\n",
        b"text",
        b"\0",
        b"\r",
        b" ",
    ]
)


@given(st.lists(PIECES, max_size=60).map(b"".join), st.integers(1, 40), st.integers(0, 1000))
def test_any_octets_are_divided_the_same_however_they_are_fed(octets: bytes, largest: int, seed: int) -> None:
    whole = scan(octets)
    check_offsets(whole, len(octets))
    dice = random.Random(seed)
    assert shape(fed(octets, iter(lambda: dice.randint(1, largest), 0))) == shape(whole)
    assert sum(1 for p in whole.parts if p.lines != octets.count(b"\n", p.body, p.end)) == 0


def test_a_thousand_nested_messages_stop_at_the_depth_cap() -> None:
    structure = scan(b"Content-Type: message/rfc822\r\n\r\n" * 1000)
    assert len(structure.parts) == MAX_DEPTH
    assert not structure.is_whole


def test_a_thousand_nested_multiparts_stop_at_the_depth_cap() -> None:
    octets = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1000)
    )
    structure = scan(octets)
    assert len(structure.parts) <= MAX_DEPTH
    check_offsets(structure, len(octets))


def test_parts_are_capped() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * (MAX_PARTS + 50)
    structure = scan(octets)
    assert len(structure.parts) == MAX_PARTS
    assert not structure.is_whole
    assert structure.parts[0].end == len(octets)  # the rest is nobody's in particular


@pytest.mark.parametrize(
    "octets",
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--bX" * 600_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"\r\n--b" + b" " * 5_000_000,
        b"Content-Type: text/plain" + b"; a=b" * 800_000 + b"\r\n\r\n",
        b"Content-Type: text/plain" + b"(" * 5_000_000 + b"\r\n\r\n",
        b"From: " + b"(" * 5_000_000,
        b"A: b\r\n" * 800_000,
        b"\r" * 5_000_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" * 60_000,
    ],
    ids=["false delimiters", "spaces", "parameters", "comments", "address", "fields", "cr", "multiparts"],
)
def test_hostile_messages_cost_little(octets: bytes) -> None:
    scanner = StructureScanner()
    with effort(5):  # quadratic work would take minutes
        for start in range(0, len(octets), 65536):
            scanner.feed(octets[start : start + 65536])
        structure = scanner.finish()
        check_offsets(structure, len(octets))


def test_a_preamble_an_epilogue_and_an_empty_part() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\n\r\none\r\n--x\r\n\r\n\r\n"
        b"--x\r\nContent-Type: text/html\r\n"
        b"--x--\r\nepilogue\r\n--x\r\nno part"
    )
    structure = scan(octets)
    assert [octets[p.body : p.end] for p in structure.parts[1:]] == [b"one", b"", b""]
    assert structure.parts[3].subtype == b"html"
    assert structure.parts[0].end == len(octets)


def test_a_digest_holds_messages_by_default() -> None:
    # RFC 2046 §5.1.5
    octets = b"Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\nSubject: a\r\n\r\nA\r\n--x--\r\n"
    structure = scan(octets)
    assert [part.kind for part in structure.parts] == [Kind.MULTIPART, Kind.MESSAGE, Kind.LEAF]
    assert structure.parts[2].first(b"subject") == b"a"


@pytest.mark.parametrize(
    "parameters",
    [
        "boundary*0=X; boundary*1=Y", "boundary*=us-ascii''X%59", "boundary*1*=%59; boundary*0*=utf-8'en'X",
        "boundary*0*=''X; boundary*1=Y",
        'BOUNDARY="XY"', 'boundary="XY', 'boundary="X\\Y"', "boundary = (a comment) XY",
        "boundary=XY; boundary=other; boundary*=''third",
        "a=b;;boundary=XY;", "\r\n\tboundary=\r\n XY", 'boundary="XY  "', "boundary*00=X; boundary*001=Y",
    ],
)  # fmt: skip
def test_boundaries_however_they_are_written(parameters: str) -> None:
    octets = (
        f"Content-Type: multipart/mixed; {parameters}\r\n\r\n--XY\r\n\r\none\r\n--XY \t\r\n\r\ntwo\r\n"
        f"--XY--\r\n"
    ).encode()
    structure = scan(octets)
    assert [octets[part.body : part.end] for part in structure.parts[1:]] == [
        b"one",
        b"two",
    ] and structure.is_whole


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ("message/rfc822", [Kind.MESSAGE, Kind.LEAF]),
        ("message/global\r\nContent-Transfer-Encoding: 8bit", [Kind.MESSAGE, Kind.LEAF]),
        ("message/rfc822\r\nContent-Transfer-Encoding: base64 (illegal)", [Kind.LEAF]),
        ("message/global\r\nContent-Transfer-Encoding: Quoted-Printable", [Kind.LEAF]),
        ("message/partial; id=x", [Kind.LEAF]),
    ],
)
def test_messages_inside(fields: str, kinds: list[Kind]) -> None:
    assert [
        part.kind for part in scan(f"Content-Type: {fields}\r\n\r\nSubject: x\r\n\r\ny".encode()).parts
    ] == kinds


def test_what_is_not_read_is_told() -> None:
    """Parameters and header sections beyond the bounds may hide anything."""
    assert scan(b"Content-Type: text/plain" + b"; a=b" * 60 + b"\r\n\r\nx").is_whole
    assert not scan(b"Content-Type: text/plain" + b"; a=b" * 64 + b"\r\n\r\nx").is_whole
    assert not scan(
        b"X: y\r\n" * 50_000 + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    ).is_whole


def test_the_first_line_that_is_no_field() -> None:
    octets = b"From x Mon\r\nA: b\r\n c\r\nno field\r\nagain\r\n\r\nbody\r\nno"
    assert scan(octets).parts[0].odd_line == octets.index(b"no field")
    assert [
        scan(mail).parts[0].odd_line for mail in (b"A: b\r\n\r\nno", b"\r\nno", b"", b"A : b\nB:\n\nno")
    ] == [-1, -1, -1, -1]


@pytest.mark.slow
def test_the_spam_corpus_is_divided_without_an_exception() -> None:
    with tarfile.open(vectors("spam") / "spamassassin-half-A.tar.xz") as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is None:
                continue
            octets = file.read()
            with effort(1, member.name):
                structure = scan(octets)
            check_offsets(structure, len(octets))
