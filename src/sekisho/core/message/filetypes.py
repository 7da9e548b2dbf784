"""What a file really is, whatever it is called: by its first octets, and for archives by the names that they
list.

Pure, bounded and tolerant: a file that breaks its own format is what its first octets say, and lists what
could be read.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

FileKind = Literal[
    "", "pe", "elf", "macho", "java", "lnk", "script", "hta", "iso", "disk", "ole", "msi", "zip", "rar", "7z",
    "gzip", "cab", "ace", "arj",
    "chm", "onenote", "eicar", "tnef",
]  # fmt: skip

HEAD_OCTETS = 65_536  # of a file that tell its kind; a CD image says so at 32 KB
TAIL_OCTETS = 69_632  # hold the end of a zip's directory
MAX_NAMES = 2000
MAX_NAME_OCTETS = 512

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TNEF = b"\x78\x9f\x3e\x22"  # winmail.dat
_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"\x7fELF", "elf"),
    (b"\xfe\xed\xfa\xce", "macho"),
    (b"\xfe\xed\xfa\xcf", "macho"),
    (b"\xce\xfa\xed\xfe", "macho"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"\xca\xfe\xba\xbe", "java"),  # a class, or a Mach-O for several processors
    (b"\x4c\x00\x00\x00\x01\x14\x02\x00", "lnk"),
    (b"#!", "script"),
    (_OLE, "ole"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"PK\x07\x08PK\x03\x04", "zip"),
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"MSCF", "cab"),
    (b"ITSF", "chm"),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", "onenote"),
    (b"conectix", "disk"),
    (b"vhdxfile", "disk"),
    (b"KDMV", "disk"),
    (b"QFI\xfb", "disk"),
    (_TNEF, "tnef"),
)
_EICAR = b"$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$"
_HTA = re.compile(rb"<hta:application\b", re.IGNORECASE)
_ISO_MARKS = ((0x8001, b"CD001"), (0x8001, b"NSR0"), (0x8001, b"BEA01"), (0x8801, b"NSR0"))
_MSI_CLASS = bytes.fromhex("84100c0000000000c000000000000046")
# Names of a storage in an OLE file, in UTF-16.
_VBA_MARKS = tuple(name.encode("utf-16-le") for name in ("_VBA_PROJECT", "VBA_PROJECT_CUR", "Macros"))
_ZIP_END, _ZIP_ENTRY, _ZIP_LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
# In TNEF: attAttachTitle, and PR_ATTACH_LONG_FILENAME in octets or in UTF-16; how long, and the name.
_TNEF_NAME = re.compile(
    rb"(?:\x02\x10\x80\x01\0|\x1e\0\x07\x37\x01\0\0\0|(\x1f\0\x07\x37\x01\0\0\0))(.{4})", re.DOTALL
)
# RAR and CAB write the names of their files in clear, among binary data.
_CLEAR_NAME = re.compile(rb"[\w\-.()\[\] \x80-\xff]{1,120}\.[A-Za-z0-9]{1,12}(?![\w.])")


class ListedFile(NamedTuple):
    name: str
    is_encrypted: bool = False


def kind_of(head: bytes) -> FileKind:
    """By the first octets (up to HEAD_OCTETS of them)."""
    if _EICAR in head[:128]:
        return "eicar"
    # A text may begin with these letters too; a program has its header behind them.
    if head.startswith(b"MZ") and b"\0" in head[:64]:
        return "pe"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind if kind != "ole" or _MSI_CLASS not in head else "msi"
    if head[:2] == b"\x60\xea" and int.from_bytes(head[2:4], "little") <= 2600:
        return "arj"
    if head[7:14] == b"**ACE**":
        return "ace"
    if any(head.startswith(mark, offset) for offset, mark in _ISO_MARKS):
        return "iso"
    if _HTA.search(head[:4096]):
        return "hta"
    # A boot sector of an image of a disk: its jump, and FAT or NTFS in its head.
    if (
        head[510:512] == b"\x55\xaa"
        and head[:1] in (b"\xeb", b"\xe9")
        and (b"FAT" in head[:90] or b"NTFS" in head[:16])
    ):
        return "disk"
    return ""


class FileScanner:
    """One file, fed in pieces of any size: its head and tail are kept, the rest only searched."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self._seen_vba = False
        self._tnef_names: dict[bytes, None] = {}

    def feed(self, octets: bytes) -> None:
        if len(self.head) < HEAD_OCTETS:
            self.head += octets[: HEAD_OCTETS - len(self.head)]
        joined = self.tail + octets
        if not self._seen_vba and self.head[:8] == _OLE:
            # The end of the piece before is searched again: a mark may be cut in two.
            self._seen_vba = any(joined.find(mark, max(0, len(self.tail) - 64)) >= 0 for mark in _VBA_MARKS)
        if self.head.startswith(_TNEF) and len(self._tnef_names) < MAX_NAMES:
            self._tnef_names |= dict.fromkeys(
                _tnef_names(joined, max(0, len(self.tail) - 2 * MAX_NAME_OCTETS))
            )
        self.tail = joined[-TAIL_OCTETS:]

    @property
    def kind(self) -> FileKind:
        return kind_of(self.head)

    @property
    def has_macros(self) -> bool:
        """An OLE file with a project in VBA; macros in a zip are told by its names."""
        return self._seen_vba

    def listed(self) -> list[ListedFile]:
        if self._tnef_names:
            return [ListedFile(_name(name)) for name in list(self._tnef_names)[:MAX_NAMES]]
        return listed_files(self.kind, self.head, self.tail)


def listed_files(kind: FileKind, head: bytes, tail: bytes) -> list[ListedFile]:
    """The names in an archive. `tail`: its last octets (up to TAIL_OCTETS)."""
    if kind == "zip":
        found = dict.fromkeys([*_zip_directory(tail), *_zip_headers(head)])
        return list(found)[:MAX_NAMES]
    if kind == "gzip":
        return _gzip_name(head)
    if kind in ("rar", "cab", "ace", "arj"):
        names = dict.fromkeys(match[0] for part in (head, tail) for match in _CLEAR_NAME.finditer(part))
        return [ListedFile(_name(name)) for name in list(names)[:MAX_NAMES]]
    return []


def _zip_directory(tail: bytes) -> Iterator[ListedFile]:
    """From the first entry of the central directory that lies in `tail` on; whatever the end record says
    about it is not trusted."""
    end = tail.rfind(_ZIP_END)
    position = tail.find(_ZIP_ENTRY)
    for _ in range(MAX_NAMES):
        if position < 0 or position + 46 > len(tail) or (0 <= end < position):
            return
        length = int.from_bytes(tail[position + 28 : position + 30], "little")
        yield ListedFile(_name(tail[position + 46 : position + 46 + length]), bool(tail[position + 8] & 1))
        position = tail.find(_ZIP_ENTRY, position + 46)


def _zip_headers(head: bytes) -> Iterator[ListedFile]:
    """Readers differ in whom they believe, the directory or the headers before each file: so both are
    read."""
    position = head.find(_ZIP_LOCAL)
    for _ in range(MAX_NAMES):
        if position < 0 or position + 30 > len(head):
            return
        length = int.from_bytes(head[position + 26 : position + 28], "little")
        yield ListedFile(_name(head[position + 30 : position + 30 + length]), bool(head[position + 6] & 1))
        position = head.find(_ZIP_LOCAL, position + 30)


def _gzip_name(head: bytes) -> list[ListedFile]:
    """RFC 1952 §2.3: FNAME behind FEXTRA."""
    if len(head) < 10 or not head[3] & 8:
        return []
    position = 10
    if head[3] & 4:
        position += 2 + int.from_bytes(head[10:12], "little")
    end = head.find(b"\0", position, position + MAX_NAME_OCTETS)
    return [ListedFile(_name(head[position:end]))] if end > position else []


def _tnef_names(octets: bytes, position: int) -> Iterator[bytes]:
    for match in _TNEF_NAME.finditer(octets, position):
        end = match.end() + min(int.from_bytes(match[2], "little"), MAX_NAME_OCTETS)
        if end > len(octets):
            return  # it is cut in two, and seen whole with the next piece
        name = octets[match.end() : end]
        if match[1] is not None:
            name = name.decode("utf-16-le", "ignore").encode()
        if name := name.partition(b"\0")[0]:
            yield name


def _name(octets: bytes) -> str:
    octets = octets[:MAX_NAME_OCTETS]
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp437")
