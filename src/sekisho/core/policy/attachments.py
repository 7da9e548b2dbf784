"""Attachments that do something when they are opened: recognized by what they really are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sekisho.core.message.filenames import disguised, extension
from sekisho.core.message.filetypes import FileKind, ListedFile

Danger = Literal[
    "program", "script", "shortcut", "disk image", "macros", "disguise", "test virus", "broken structure",
    "encrypted archive",
]  # fmt: skip
DANGERS: tuple[Danger, ...] = get_args(Danger)
BROKEN: Danger = (
    "broken structure"  # of the message: what is in it cannot be told for sure; its `Found.name` says why
)

_PROGRAMS = frozenset(
    (
        "ace", "apk", "app", "appx", "appxbundle", "class", "com", "cpl", "dll", "drv", "efi", "ex_", "exe",
        "gadget",
        "jar", "jnlp", "msi", "msix", "msixbundle", "msp", "mst", "ocx", "pif", "run", "scr", "sys", "vxd",
        "xll",
    )
)  # fmt: skip
_SCRIPTS = frozenset(
    (
        "ade", "adp", "application", "appref-ms", "bat", "chm", "cmd", "diagcab", "diagcfg", "diagpkg", "hlp",
        "hta",
        "inf", "ins", "isp", "js", "jse", "library-ms", "mde", "mjs", "msc", "msh", "mshxml", "nsh", "one",
        "onepkg",
        "ps1", "ps1xml", "ps2", "psc1", "psd1", "psm1", "reg", "scf", "sct", "search-ms", "settingcontent-ms",
        "shb",
        "theme", "themepack", "vb", "vbe", "vbs", "ws", "wsc", "wsf", "wsh", "xbap",
    )
)  # fmt: skip
_SHORTCUTS = frozenset(
    (
        "desktop", "fileloc", "inetloc", "lnk", "url", "webloc", "website",
    )
)  # fmt: skip
_IMAGES = frozenset(
    (
        "dmg", "img", "iso", "udf", "vhd", "vhdx", "vmdk",
    )
)  # fmt: skip
_MACROS = frozenset(
    (
        "docm", "dotm", "potm", "ppam", "ppsm", "pptm", "sldm", "xlam", "xlsb", "xlsm", "xltm",
    )
)  # fmt: skip
_HARMLESS = frozenset(
    (
        "bmp", "csv", "doc", "docx", "eml", "gif", "heic", "htm", "html", "jpeg", "jpg", "mp3", "mp4", "ods",
        "odt",
        "pdf", "png", "ppt", "pptx", "rtf", "tif", "tiff", "txt", "webp", "xls", "xlsx", "zip",
    )
)  # fmt: skip
_BY_KIND: dict[FileKind, Danger] = {
    "pe": "program", "elf": "program", "macho": "program", "java": "program", "msi": "program",
    "lnk": "shortcut", "hta": "script",
    "chm": "script", "onenote": "script", "iso": "disk image", "disk": "disk image", "ace": "program",
    "eicar": "test virus",
}  # fmt: skip
_BY_EXTENSION: dict[str, Danger] = {
    **dict.fromkeys(_PROGRAMS, "program"), **dict.fromkeys(_SCRIPTS, "script"), **dict.fromkeys(_SHORTCUTS,
    "shortcut"),
    **dict.fromkeys(_IMAGES, "disk image"), **dict.fromkeys(_MACROS, "macros"),
}  # fmt: skip
# Beside these in a zip there are macros (OOXML part names).
_MACRO_PARTS = ("vbaproject.bin", "/macrosheets/", "/dialogsheets/")
_ARCHIVES = ("zip", "rar", "7z", "gzip", "cab", "arj", "tnef")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was seen of one attachment. `names`: all it is called; `has_macros`: an OLE file with a VBA
    project."""

    names: tuple[str, ...]
    kind: FileKind = ""
    listed: Sequence[ListedFile] = ()
    has_macros: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """One danger: in which attachment, and what it is in an archive ("" when it is the attachment itself)."""

    danger: Danger
    name: str
    inside: str = ""

    def __str__(self) -> str:
        place = f"{self.inside} in {self.name}" if self.inside else self.name
        return f"{self.danger}: {place or 'without a name'}"


@dataclass(frozen=True, slots=True)
class AttachmentFinding:
    """`looked_at`: attachments; `is_complete` False: there were more, or larger ones, than are looked at."""

    found: tuple[Found, ...] = ()
    looked_at: int = 0
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class AttachmentRules:
    """`flagged`: what counts; `allowed`: endings of names that are never held against a file, without their
    dot."""

    flagged: frozenset[Danger] = frozenset(DANGERS) - {"encrypted archive"}
    allowed: frozenset[str] = frozenset()


def judge_attachments(finding: AttachmentFinding, rules: AttachmentRules) -> tuple[Found, ...]:
    """What the operator wants to be kept from people."""
    return tuple(
        each
        for each in finding.found
        if each.danger in rules.flagged and extension(each.inside or each.name) not in rules.allowed
    )


def dangers_of(facts: FileFacts) -> list[Found]:
    """At most one for the file itself and one for each name in it that is dangerous."""
    name = next(iter(facts.names), "")
    found = [Found(danger, name) for danger in _own_dangers(facts)][:1]
    if facts.kind in _ARCHIVES:
        found += _listed_dangers(name, facts.listed)
    return found


def _own_dangers(facts: FileFacts) -> Iterable[Danger]:
    if facts.kind in _BY_KIND:
        yield _BY_KIND[facts.kind]
    if facts.has_macros or (facts.kind == "zip" and any(_has_macros(each.name) for each in facts.listed)):
        yield "macros"
    for name in facts.names:
        if danger := danger_of_name(name):
            yield danger
        # A script for a shell is plain to its reader, unless it is called something else.
        if facts.kind == "script" and extension(name) in _HARMLESS:
            yield "script"


def _listed_dangers(name: str, listed: Sequence[ListedFile]) -> Iterable[Found]:
    encrypted = next((each for each in listed if each.is_encrypted), None)
    for each in listed:
        danger = danger_of_name(each.name.rpartition("/")[2].rpartition("\\")[2])
        if danger is not None:
            yield Found(danger, name, each.name[-80:])
            return
    if encrypted is not None:
        yield Found("encrypted archive", name, encrypted.name[-80:])


def danger_of_name(name: str) -> Danger | None:
    """What a double click on it would start, or how it deceives."""
    danger = _BY_EXTENSION.get(extension(name))
    if danger is None:
        return "disguise" if disguised(name) == "turned" else None
    return danger


def _has_macros(name: str) -> bool:
    lower = "/" + name.lower()
    return any(part in lower for part in _MACRO_PARTS)
