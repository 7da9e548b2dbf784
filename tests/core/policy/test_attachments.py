"""Which attachments are dangerous, and what is said of them."""

import pytest

from sekisho.core.message.filetypes import ListedFile
from sekisho.core.policy.attachments import (
    AttachmentFinding,
    AttachmentRules,
    FileFacts,
    Found,
    dangers_of,
    judge_attachments,
)


def told(*names: str, **facts: object) -> list[str]:
    return [str(each) for each in dangers_of(FileFacts(names, **facts))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (FileFacts(("a.pdf",), "pe"), ["program: a.pdf"]),
        (FileFacts((), "elf"), ["program: without a name"]),
        (FileFacts(("a.txt", "b.scr")), ["program: a.txt"]),
        (FileFacts(("open.lnk",)), ["shortcut: open.lnk"]),
        (FileFacts(("x.js",)), ["script: x.js"]),
        (FileFacts(("build.sh",), "script"), []),
        (FileFacts(("build.pdf",), "script"), ["script: build.pdf"]),
        (FileFacts(("disc.bin",), "iso"), ["disk image: disc.bin"]),
        (FileFacts(("a.doc",), "ole", (), True), ["macros: a.doc"]),
        (FileFacts(("a.doc",), "ole"), []),
        (FileFacts(("a.docx",), "zip", (ListedFile("word/vbaProject.bin"),)), ["macros: a.docx"]),
        (FileFacts(("a.xlsx",), "zip", (ListedFile("xl/workbook.xml"),)), []),
        (
            FileFacts(("a.zip",), "zip", (ListedFile("b.txt"), ListedFile("in/evil.pdf.exe"))),
            ["program: in/evil.pdf.exe in a.zip"],
        ),
        (FileFacts(("a.zip",), "zip", (ListedFile("b.txt", True),)), ["encrypted archive: b.txt in a.zip"]),
        (FileFacts(("a.gz",), "gzip", (ListedFile("run.exe"),)), ["program: run.exe in a.gz"]),
        (FileFacts(("cod\u202etxt.x",)), ["disguise: cod\u202etxt.x"]),
        (FileFacts(("virus.txt",), "eicar"), ["test virus: virus.txt"]),
        (FileFacts(("photo.jpg",)), []),
        (FileFacts(("archive.7z",), "7z"), []),
    ],
)
def test_dangers(facts: FileFacts, expected: list[str]) -> None:
    assert [str(each) for each in dangers_of(facts)] == expected


def test_what_the_operator_wants_kept_away() -> None:
    finding = AttachmentFinding(
        (
            Found("script", "a.zip", "b.js"),
            Found("macros", "c.docm"),
            Found("encrypted archive", "d.zip", "e"),
        ),
        3,
    )
    assert [each.danger for each in judge_attachments(finding, AttachmentRules())] == ["script", "macros"]
    assert [
        each.danger for each in judge_attachments(finding, AttachmentRules(allowed=frozenset({"js"})))
    ] == ["macros"]
    assert [
        each.danger for each in judge_attachments(finding, AttachmentRules(frozenset({"encrypted archive"})))
    ] == ["encrypted archive"]
