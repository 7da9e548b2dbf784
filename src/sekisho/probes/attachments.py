"""What the attachments of a message really are."""

import asyncio

from sekisho.core.message.filenames import names_of
from sekisho.core.message.filetypes import FileScanner
from sekisho.core.message.structure import Kind, Part, Structure
from sekisho.core.message.text import TransferDecoder
from sekisho.core.policy.attachments import AttachmentFinding, FileFacts, Found, dangers_of
from sekisho.probes.reading import PIECE_OCTETS, Read

MAX_FILES = 200
MAX_OCTETS = 33_554_432  # of attachments are looked through; of each further one only the head
_HEAD = 4096
_IMAGE_HEAD = 65_536  # encoded: a CD image says what it is at 32 KB
# Their whole is looked through: names at the end, macros in the middle.
_DEEP = ("zip", "rar", "cab", "arj", "ole", "gzip")


async def probe_attachments(read: Read, begin: int, structure: Structure) -> AttachmentFinding:
    """`structure` has offsets from `begin` on. Every part that is a file counts, also text with a name."""
    found: list[Found] = []
    looked_at, left, is_complete = 0, MAX_OCTETS, structure.is_whole
    for part in structure.parts:
        if part.kind is not Kind.LEAF or not _is_file(part):
            continue
        if looked_at >= MAX_FILES:
            is_complete = False
            break
        looked_at += 1
        facts, took, is_whole = await _look(read, begin, part, left)
        left -= took
        is_complete = is_complete and is_whole
        found += dangers_of(facts)
    return AttachmentFinding(tuple(found), looked_at, is_complete)


def _is_file(part: Part) -> bool:
    """A plain text without a name is none, unless it hides behind an encoding."""
    if part.type != b"text" or part.fields.get(b"content-disposition"):
        return True
    encoding = (part.first(b"content-transfer-encoding") or b"").strip().lower()
    return part.parameter(b"name") is not None or encoding == b"base64"


async def _look(read: Read, begin: int, part: Part, left: int) -> tuple[FileFacts, int, bool]:
    """The facts, how many octets they took, and whether all that should be looked through was."""
    names = names_of(part)
    encoding = (part.first(b"content-transfer-encoding") or b"").strip().lower()
    size = part.end - part.body
    first = FileScanner()
    first.feed(TransferDecoder(encoding).feed(await read(begin + part.body, min(size, _HEAD)), final=True))
    if first.kind in _DEEP:
        wanted = size
    elif first.kind == "" and size > _HEAD and (part.type == b"application" or not names):
        wanted = min(size, _IMAGE_HEAD)
    else:
        return FileFacts(names, first.kind), 0, True
    scanner, decoder, done = FileScanner(), TransferDecoder(encoding), 0
    while done < min(wanted, left):
        octets = await read(begin + part.body + done, min(PIECE_OCTETS, wanted - done))
        if not octets:
            break
        done += len(octets)
        scanner.feed(decoder.feed(octets, final=done >= wanted))
        await asyncio.sleep(0)
    return FileFacts(names, scanner.kind, scanner.listed(), scanner.has_macros), done, done >= wanted
