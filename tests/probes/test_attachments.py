"""Attachments of whole messages, wherever they lie."""

import base64
import io
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from tests.core.message.test_filetypes import OLE, zipped
from tests.effort import effort
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
        made.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name, cte=encoding)
    return made.as_bytes().replace(b"\n", b"\r\n")


def program(size: int = 2000) -> bytes:
    return b"MZ\x90\0" + bytes(size)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
async def test_a_program_under_any_name(encoding: str) -> None:
    finding = await looked_at(message(("holiday.jpg", program()), ("real.jpg", b"\xff\xd8\xff" + bytes(100)), encoding=encoding))
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
    octets = head + b"\r\n--" + boundary + b"\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--" + tail
    finding = await looked_at(octets)
    assert [str(each) for each in finding.found] == ["macros: a.doc", "disk image: b.dat", "program: x.exe"]


async def test_plain_text_is_no_file_but_hidden_programs_are() -> None:
    assert (await looked_at(b"From: a\r\n\r\nMZ\0\0 hello\r\n")).looked_at == 0
    body = base64.encodebytes(program()).replace(b"\n", b"\r\n")
    finding = await looked_at(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: BASE64\r\n\r\n" + body)
    assert [str(each) for each in finding.found] == ["program: without a name"]


async def test_too_many_are_told() -> None:
    part = b"--b\r\nContent-Type: application/x; name=a.pdf\r\n\r\n%PDF\r\n"
    finding = await looked_at(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * (MAX_FILES + 5) + b"--b--\r\n")
    assert (finding.looked_at, finding.is_complete) == (MAX_FILES, False)


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
