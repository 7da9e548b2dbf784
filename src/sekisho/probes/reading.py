"""A message's parts and texts from wherever its octets are, never held whole (DESIGN §2 law 9)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.structure import Structure, StructureScanner
from sekisho.core.policy.classifier.bodytokens import TextBody
from sekisho.core.policy.classifier.reading import text_ranges

Read = Callable[[int, int], Awaitable[bytes]]  # (offset, length) → octets, fewer only at the end

PIECE_OCTETS = 65_536
MAX_HEADER_OCTETS = 262_144  # looked at, where nobody bounded it before


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """`structure` has offsets into what `read` gives, from `begin` on. `bodies`: the text that is looked
    at."""

    structure: Structure
    size: int
    bodies: tuple[TextBody, ...]


async def read_parts(read: Read, begin: int = 0) -> ReadMessage:
    """One pass over the octets from `begin` to the end."""
    scanner, size, first = StructureScanner(), 0, b""
    while octets := await read(begin + size, PIECE_OCTETS):
        scanner.feed(octets)
        if not size:
            first = octets
        size += len(octets)
        if len(octets) < PIECE_OCTETS:
            break
        await asyncio.sleep(0)  # a large message lets the others have their turn
    structure = scanner.finish()
    bodies = []
    for index, offset, length in text_ranges(structure):
        is_here = offset + length <= len(first)
        body = first[offset : offset + length] if is_here else await read(begin + offset, length)
        bodies.append(TextBody(structure.parts[index], body))
    return ReadMessage(structure, size, tuple(bodies))


async def read_header(read: Read, begin: int = 0) -> HeaderSection:
    """The header section at `begin`, as far as it is looked at."""
    octets = await read(begin, PIECE_OCTETS)
    header = HeaderSection(octets)
    if not header.is_complete and len(octets) == PIECE_OCTETS:
        header = HeaderSection(octets + await read(begin + PIECE_OCTETS, MAX_HEADER_OCTETS - PIECE_OCTETS))
    return header
