"""Attachments of whole messages, wherever they lie."""

import base64
import binascii
import io
import random
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.core.message.test_filetypes import OLE, zipped
from tests.effort import effort
from tests.probes.broken_mails import broken, sane, seen_by_library
from tests.vectors import vectors

from sekisho.core.policy.attachments import AttachmentFinding
from sekisho.probes.attachments import MAX_FILES, probe_attachments
from sekisho.probes.reading import read_parts


async def looked_at(octets: bytes, begin: int = 0) -> AttachmentFinding:
    async def read(offset: int, length: int) -> bytes:
        return octets[offset : offset + length]

    return await probe_attachments(read, begin, (await read_parts(read, begin)).structure)


def message(*files: tuple[str, bytes], encoding: str = "base64") -> bytes:
    made = EmailMessage()
    made["From"] = "a@sender.example"
    made.set_content("See the attachment.")
    for name, octets in files:
        made.add_attachment(
            octets, maintype="application", subtype="octet-stream", filename=name, cte=encoding
        )
    return made.as_bytes().replace(b"\n", b"\r\n")


BASE64 = b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"


def program(size: int = 2000) -> bytes:
    return b"MZ\x90\0" + bytes(size)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
async def test_a_program_under_any_name(encoding: str) -> None:
    finding = await looked_at(
        message(("holiday.jpg", program()), ("real.jpg", b"\xff\xd8\xff" + bytes(100)), encoding=encoding)
    )
    assert [str(each) for each in finding.found] == ["program: holiday.jpg"]
    assert (finding.looked_at, finding.is_complete) == (2, True)


async def test_behind_a_prefix() -> None:
    prefix = b"Received: from a by b; c\r\n" * 50
    finding = await looked_at(prefix + message(("a.jpg", program())), len(prefix))
    assert len(finding.found) == 1


async def test_a_large_zip_is_looked_through() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.bin", bytes(700_000))
        archive.writestr("evil.vbs", "x")
    finding = await looked_at(message(("a.zip", stream.getvalue())))
    assert [str(each) for each in finding.found] == ["script: evil.vbs in a.zip"]


async def test_macros_a_disk_image_and_a_letter_with_a_letter_in_it() -> None:
    macros = OLE + bytes(300_000) + "_VBA_PROJECT".encode("utf-16-le") + bytes(5000)
    image = bytes(0x8001) + b"CD001" + bytes(100_000)
    inner = message(("x.exe", b"no program"))
    outer = EmailMessage()
    outer.set_content("fwd")
    outer.add_attachment(macros, maintype="application", subtype="msword", filename="a.doc")
    outer.add_attachment(image, maintype="application", subtype="octet-stream", filename="b.dat")
    head, _, tail = outer.as_bytes().replace(b"\n", b"\r\n").rpartition(b"\r\n--")
    boundary = tail.partition(b"--")[0]
    octets = (
        head + b"\r\n--" + boundary + b"\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--" + tail
    )
    finding = await looked_at(octets)
    assert [str(each) for each in finding.found] == ["macros: a.doc", "disk image: b.dat", "program: x.exe"]


async def test_plain_text_is_no_file_but_hidden_programs_are() -> None:
    assert (await looked_at(b"From: a\r\n\r\nMZ\0\0 hello\r\n")).looked_at == 0
    body = base64.encodebytes(program()).replace(b"\n", b"\r\n")
    finding = await looked_at(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" + body)
    assert [str(each) for each in finding.found] == ["program: without a name"]


async def test_too_many_are_told() -> None:
    part = b"--b\r\nContent-Type: application/x; name=a.pdf\r\n\r\n%PDF\r\n"
    finding = await looked_at(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * (MAX_FILES + 5) + b"--b--\r\n"
    )
    assert (finding.looked_at, finding.is_complete) == (MAX_FILES, False)
    assert list(map(str, finding.found)) == [f"broken structure: more than {MAX_FILES} attachments"]


MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
EXE = b"Content-Type: application/octet-stream; name=x.exe\r\n\r\nMZ\x90\0" + bytes(80) + b"\r\n"
INSIDE = MIXED + b"--b\r\n" + EXE + b"--b--\r\n"
NAMED = ["program: x.exe"]
PNG = b"Content-Type: image/png\r\n"
BROKEN = "broken structure: "


def encoded(octets: bytes, times: int = 1, of: bytes = b"message/rfc822") -> bytes:
    for _ in range(times):
        octets = b"Content-Type: %b\r\nContent-Transfer-Encoding: base64\r\n\r\n" % of + base64.encodebytes(
            octets
        )
    return octets


UU = b"begin 644 x.exe\r\n" + binascii.b2a_uu(program(40)).replace(b"\n", b"\r\n") + b"`\r\nend\r\n"
HARMLESS = b"begin 644 x.txt\r\n#0V%T\r\n`\r\nend\r\n"
NO_BOUNDARY, NEVER, TOO_DEEP = (
    "a multipart without a boundary",
    "a multipart that no boundary divides",
    "more inside each other than is read",
)


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (INSIDE.replace(b"boundary=b", b"boundary*0=b"), NAMED),
        (INSIDE.replace(b"boundary=b", b"boundary*=us-ascii''b"), NAMED),
        (INSIDE.replace(b"boundary=b", b"boundary=other; boundary*=us-ascii''b"), NAMED),
        (INSIDE.replace(b"boundary=b", b"boundary=other; boundary=b"), NAMED),
        (INSIDE.replace(b"boundary=b", b"boundary=b; boundary=other"), NAMED),
        (b"Content-Type: text/plain\r\n" + INSIDE, NAMED),
        (b"Content-Type: multipart/mixed; boundary=other\r\n" + INSIDE, NAMED),
        (b"Content-Type: message/global\r\n\r\n" + INSIDE, NAMED),
        (b"Content-Type: message/news\r\n\r\n" + INSIDE, NAMED),
        (b"Content-Type: text/plain\r\nContent-Type: message/rfc822\r\n\r\n" + INSIDE, NAMED),
        (encoded(INSIDE), NAMED),
        (encoded(INSIDE, 4), NAMED),
        (encoded(INSIDE, 2, b"message/global"), NAMED),
        (encoded(INSIDE, of=b"application/octet-stream; name=letter.eml"), NAMED),
        (encoded(INSIDE, of=b"application/x; name=page.MHT"), NAMED),
        (encoded(INSIDE, 8), [BROKEN + TOO_DEEP]),
        (MIXED.rstrip() + BASE64 + base64.encodebytes(INSIDE.partition(b"\r\n\r\n")[2]), NAMED),
        # No boundary, or one that never occurs: what looks like delimiters is tried.
        (INSIDE.replace(b"; boundary=b", b""), NAMED),
        (INSIDE.replace(b"boundary=b", b"boundary=x"), NAMED),
        (INSIDE.replace(b"boundary=b", b"boundary=" + b"x" * 300), NAMED),
        (b"Content-Type: multipart/mixed\r\n\r\nnothing here to divide", [BROKEN + NO_BOUNDARY]),
        (MIXED + b"nothing here to divide", [BROKEN + NEVER]),
        (MIXED + b" \r\n", []),
        (b"Content-Type: multipart/mixed" + b"; a=b" * 70 + b"; boundary=b\r\n\r\n--b\r\n" + EXE, NAMED),
        (b"Content-Type: message/partial; id=x; number=1\r\n\r\nA: x\r\n",
        [BROKEN + "a fragment of a message (message/partial)"]),
        # A body that begins where some see it begin.
        (MIXED.rstrip() + b"\r\n--b\r\n" + EXE + b"--b--\r\n", NAMED),
        (b"Content-Type: application/x" + BASE64[:-2] + base64.b64encode(program(80)), None),
        # Old ways to put a file into a text.
        (b"\r\nSee:\r\n" + UU, NAMED),
        (b"Content-Type: text/html" + BASE64 + base64.encodebytes(b"x\n" + UU), NAMED),
        (b"Content-Type: image/jpeg\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + UU.replace(b".exe",
        b".jpg"), ["program: x.jpg"]),
        (b"\r\n" + HARMLESS * 21, [BROKEN + "more uuencoded files than are read"]),
        (b"\r\nThen begin 644 x.exe, she said.\r\n", []),
        # Encodings.
        (PNG + b"Content-Transfer-Encoding: quoted-printable\r\n\r\nM= \r\nZ=90=00=\t\r\n" + b"=00" * 80,
        None),
        (PNG + b"Content-Transfer-Encoding: base64 (x)\r\n\r\n" + base64.encodebytes(program(80)), None),
        (PNG + b"Content-Transfer-Encoding: 7bit\r\n" + encoded(program(80), of=b"image/png"), None),
        (PNG + b"Content-Transfer-Encoding: base64\r\n\r\nTQ==WpAA" + b"A" * 80, None),
        # Names.
        (b"Content-Type: image/png; name=a.png; name=b.exe\r\n\r\nx", ["program: a.png"]),
        ((b"Content-Disposition: x; filename=a.png\r\nContent-Disposition: x; "
            b"filename*=''b%2Eexe\r\n\r\nx"), ["program: a.png"]),
        (b"Content-Disposition: x" + b"; a=b" * 64 + b"; filename=b.exe\r\n\r\nx",
        [BROKEN + "more parameters than are read"]),
    ],
)  # fmt: skip
async def test_where_a_program_hides(octets: bytes, expected: list[str] | None) -> None:
    finding = await looked_at(octets)
    told, expected = (
        list(map(str, finding.found)),
        ["program: without a name"] if expected is None else expected,
    )
    assert told[:1] == expected
    assert finding.is_complete or told[-1].startswith(BROKEN)


@pytest.mark.parametrize("start", range(0, 1500, 300))
async def test_what_the_standard_library_finds_is_found(start: int) -> None:
    """Whatever is broken; most of what it does not find as well."""
    library = ours = 0
    for seed in range(start, start + 300):
        mail = broken(random.Random(seed))
        seen = seen_by_library(mail)
        finding = await looked_at(mail)
        library, ours = library + bool(seen), ours + bool(finding.found)
        assert finding.found or not seen, seed
    assert ours > 1.5 * library > 150


async def test_sane_mail_is_not_called_broken() -> None:
    for seed in range(200):
        finding = await looked_at(sane(random.Random(seed)))
        assert finding.found and all(each.danger != "broken structure" for each in finding.found), seed


HEAD = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
HOSTILE = {
    "letters in letters": encoded(b"x" * 200_000, 8),
    "odd lines": HEAD + b"--b\r\nodd\r\nContent-Type: message/x\r\nodd\r\n\r\nx\r\n" * 20_000,
    "nested odd lines": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\nodd\r\n\r\n--b%d\r\n" % (n, n) for n in range(99)
    )
    + b"x\r\n" * 250_000,
    "other boundaries": b"".join(
        b"Content-Type: multipart/x; boundary=b%d; boundary=c\r\n\r\n--b%d\r\n" % (n, n) for n in range(99)
    )
    + b"x\r\n" * 250_000,
    "many letters": HEAD + (b"--b\r\n" + encoded(b"Subject: x\r\n\r\n" + b"y" * 9000)) * 99,
    "uuencoded": b"\r\n" + (b"begin 644 " + b" " * 250 + b"\r\n") * 4000,
    "delimiters": b"Content-Type: multipart/mixed\r\n\r\n" + b"--a  b  \r\nX: y\r\nX: y\r\nX: y\r\n" * 40_000,
    "guesses": b"Content-Type: multipart/x\r\n\r\n"
    + b"--a\r\nContent-Type: multipart/x\r\n\r\n--b\r\nContent-X: y\r\n\r\n" * 20_000,
    "padding": b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\nUEsDBA==\r\n"
    + b"A=" * 500_000,
    "tnef": b"Content-Type: application/x\r\n\r\n\x78\x9f\x3e\x22"
    + b"\x02\x10\x80\x01\x00\x00\x02\x00\x00a" * 100_000,
    "soft breaks": b"Content-Type: a/b; name=a.zip\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"PK=03=04=" + b" \t" * 500_000,
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_structures_cost_little(name: str) -> None:
    """Reading anew is bounded by the size of the message."""
    octets = HOSTILE[name]
    read_octets = 0

    async def read(offset: int, length: int) -> bytes:
        nonlocal read_octets
        read_octets += length
        return octets[offset : offset + length]

    structure = (await read_parts(read)).structure
    read_octets = 0
    with effort(2, name):  # quadratic work would take minutes
        await probe_attachments(read, 0, structure)
    assert read_octets < 10 * len(octets) + 2_000_000


@pytest.mark.slow
async def test_cost_of_a_large_one() -> None:
    octets = message(("a.zip", zipped("a.txt") + bytes(0)), ("big.zip", b"PK\x03\x04" + bytes(20_000_000)))
    with effort(3):
        finding = await looked_at(octets)
    assert finding.is_complete


@pytest.mark.slow
async def test_torturing_messages() -> None:
    paths: list[Path] = sorted(vectors("mime").rglob("*.eml"))
    for path in paths:
        with effort(0.5, path.name):
            await looked_at(path.read_bytes())
