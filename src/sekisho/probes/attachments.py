"""What the attachments of a message really are, also where other readers would divide it differently."""

import asyncio
from collections import deque
from collections.abc import Sequence

from sekisho.core.message.filenames import has_more_names, names_of
from sekisho.core.message.filetypes import FileKind, FileScanner, kind_of
from sekisho.core.message.structure import Kind, Part, Structure, StructureScanner
from sekisho.core.message.text import TransferDecoder
from sekisho.core.message.uuencode import InlineFinder
from sekisho.core.policy.attachments import BROKEN, AttachmentFinding, FileFacts, Found, dangers_of
from sekisho.probes.hidden import (
    GUESSED_IN,
    guessed_divisions,
    is_fragment,
    is_multipart,
    letters_in,
    other_divisions,
    otherwise_encoded,
    with_early_body,
)
from sekisho.probes.reading import Read
from sekisho.probes.streams import Budget, Inside, Source, Spent, Whole

MAX_FILES = 200
MAX_OCTETS = 33_554_432  # of attachments are looked through; of each further one only the head
MAX_LEVELS = 6  # of what is inside what must be decoded, or divided in another way
MAX_SOURCES = 100  # that are read anew
_AGAIN_OCTETS, _AGAIN_FACTOR = (
    1_048_576,
    6,
)  # that reading anew may take: so much, and so many times the message
_HEAD = 4096
_IMAGE_HEAD = 65_536  # encoded: a CD image says what it is at 32 KB
# Their whole is looked through: names at the end, macros in the middle.
_DEEP: tuple[FileKind, ...] = ("zip", "rar", "cab", "arj", "ole", "gzip", "tnef")
_UUENCODED = frozenset((b"uuencode", b"x-uuencode", b"uue", b"x-uue"))


async def probe_attachments(read: Read, begin: int, structure: Structure) -> AttachmentFinding:
    """`structure` has offsets from `begin` on. Every part that is a file counts, also text with a name, and
    what cannot be taken apart counts as a danger."""
    search = _Search(read, begin, structure)
    await search.run()
    found = sorted(
        search.found, key=lambda each: each.danger == BROKEN
    )  # what is dangerous for sure is told first
    return AttachmentFinding(tuple(found), search.looked_at, search.is_complete)


class _Search:
    def __init__(self, read: Read, begin: int, structure: Structure) -> None:
        size = structure.parts[0].end
        self.found: dict[Found, None] = {}
        self.looked_at = 0
        self.is_complete = True
        self._structure = structure
        self._left = MAX_OCTETS
        self._sources = 0
        self._message = Whole(read=read, begin=begin, end=begin + size)
        self._again = Whole(
            read=read, begin=begin, end=begin + size, budget=Budget(_AGAIN_OCTETS + _AGAIN_FACTOR * size)
        )
        self._waiting: deque[tuple[Source, Structure, int]] = deque()

    async def run(self) -> None:
        await self._look_at(self._message, self._structure)
        try:
            await self._look_behind(self._again, self._structure, 0)
            while self._waiting:
                source, structure, level = self._waiting.popleft()
                await self._look_at(source, structure)
                await self._look_behind(source, structure, level)
        except Spent:
            self._mark("more would have to be read anew than is read")

    def _mark(self, what: str) -> None:
        self.is_complete = False
        self.found[Found(BROKEN, what)] = None

    # --- files

    async def _look_at(self, source: Source, structure: Structure) -> None:
        if not structure.is_whole:
            self._mark("more parts, levels or parameters than are read")
        leaves = [
            part
            for part in structure.parts
            if part.kind is Kind.LEAF and (_is_file(part) or _may_hold_files(part))
        ]
        if source.is_direct:
            for part in leaves:
                look = self._begin(part)
                pieces = source.open(part.body, part.end)
                while look is not None and look.wants_more and (octets := await pieces.next()):
                    look.feed(octets)
                self._end(look)
        elif leaves:
            await self._look_in_turn(source, leaves)

    async def _look_in_turn(self, source: Source, leaves: Sequence[Part]) -> None:
        """Parts stand behind each other: one pass over what must be decoded."""
        pieces, position, waiting = source.open(), 0, deque(leaves)
        look: _Look | None = None
        while waiting and (octets := await pieces.next()):
            end = position + len(octets)
            while waiting and waiting[0].body < end:
                part = waiting[0]
                if part.body >= position:
                    look = self._begin(part)
                if look is not None:
                    look.feed(octets[max(part.body - position, 0) : part.end - position])
                if part.end > end:
                    break
                self._end(look)
                look = None
                waiting.popleft()
            position = end
        self._end(look)

    def _begin(self, part: Part) -> "_Look | None":
        if _is_file(part):
            if self.looked_at >= MAX_FILES:
                self._mark(f"more than {MAX_FILES} attachments")
                return None
            self.looked_at += 1
            if has_more_names(part):
                self._mark("more parameters than are read")
        return _Look(part, self._left)

    def _end(self, look: "_Look | None") -> None:
        if look is None:
            return
        facts, took, is_whole = look.finish()
        if look.has_more:
            self._mark("more uuencoded files than are read")
        self._left -= took
        self.is_complete = self.is_complete and is_whole
        for each in facts:
            self.found |= dict.fromkeys(dangers_of(each))

    # --- what the structure does not show

    async def _look_behind(self, source: Source, structure: Structure, level: int) -> None:
        covered = -1  # up to where another reading of the header section covers all
        await asyncio.sleep(0)
        for part in structure.parts:
            if is_fragment(part):
                self._mark("a fragment of a message (message/partial)")
            if part.start >= covered and (early := with_early_body(part, source)) is not None:
                covered = part.end
                await self._add(early, level)
            if part.kind is Kind.LEAF:
                for other in (*letters_in(part, names_of(part), source), *otherwise_encoded(part, source)):
                    await self._add(other, level)
            if is_multipart(part):
                await self._divide(part, source, level)

    async def _divide(self, part: Part, source: Source, level: int) -> None:
        is_divided = part.kind is Kind.MULTIPART and bool(part.children)
        for division in other_divisions(part, source):
            is_divided = await self._add(division, level, only_if_divided=True) or is_divided
        if is_divided:
            return
        head = await Inside(source, part.body, min(part.end, part.body + GUESSED_IN)).open().next()
        for division in guessed_divisions(part, head, source):
            is_divided = await self._add(division, level, only_if_divided=True) or is_divided
        if not is_divided and head.strip():
            self._mark(
                "a multipart that no boundary divides" if part.boundary else "a multipart without a boundary"
            )

    async def _add(self, source: Source, level: int, *, only_if_divided: bool = False) -> bool:
        """Read it as a message, whose parts are then looked at. Raises Spent. Gives whether it has parts."""
        self._sources += 1
        if level >= MAX_LEVELS or self._sources > MAX_SOURCES:
            self._mark("more inside each other than is read")
            return True
        scanner, pieces = StructureScanner(), source.open()
        while octets := await pieces.next():
            scanner.feed(octets)
        structure = scanner.finish()
        is_divided = bool(structure.parts[0].children)
        if is_divided or not only_if_divided:
            self._waiting.append((source, structure, level + 1))
        return is_divided


def _is_file(part: Part) -> bool:
    """A plain text without a name is none, unless it hides behind an encoding, or another field says that it
    is something else."""
    if (
        part.type != b"text"
        or part.fields.get(b"content-disposition")
        or len(part.fields.get(b"content-type", ())) > 1
    ):
        return True
    return (
        any(name == b"name" or name.startswith(b"name*") for name, _ in part.parameters)
        or part.encoding == b"base64"
    )


def _may_hold_files(part: Part) -> bool:
    """Texts may: uuencoded ones in their midst."""
    return part.type in (b"text", b"multipart", b"message") or part.encoding in _UUENCODED


class _Look:
    """One leaf, fed its octets as they lie there. `left`: how many of them may be looked through."""

    def __init__(self, part: Part, left: int) -> None:
        self._part = part
        self._size = part.end - part.body
        self._is_file = _is_file(part)
        self._names = names_of(part) if self._is_file else ()
        self._decoder = TransferDecoder(part.encoding)
        self._scanner = FileScanner()
        self._inline = InlineFinder() if _may_hold_files(part) else None
        self._kind: FileKind = ""
        self._done = 0
        self._left = left
        self._wanted = self._size if self._inline is not None else min(self._size, _HEAD)

    @property
    def wants_more(self) -> bool:
        return self._done < min(self._wanted, max(self._left, _HEAD))

    @property
    def has_more(self) -> bool:
        return self._inline is not None and self._inline.has_more

    def feed(self, octets: bytes) -> None:
        if self.wants_more and not self._done:
            head, octets = octets[:_HEAD], octets[_HEAD:]
            self._take(head)
            self._wanted = max(self._wanted, self._how_much(head))
        if octets and self.wants_more:
            self._take(octets[: self._wanted - self._done])

    def _take(self, octets: bytes) -> None:
        self._done += len(octets)
        decoded = self._decoder.feed(octets, final=self._done >= self._size)
        if self._is_file:
            self._scanner.feed(decoded)
        if self._inline is not None:
            self._inline.feed(decoded)

    def _how_much(self, head: bytes) -> int:
        """Octets that tell what the file is and what is in it."""
        if not self._is_file:
            return 0
        kind = self._kind = kind_of(TransferDecoder(self._part.encoding).feed(head, final=True))
        if kind in _DEEP:
            return self._size
        if not kind and self._size > _HEAD and (self._part.type == b"application" or not self._names):
            return min(self._size, _IMAGE_HEAD)
        return 0

    def finish(self) -> tuple[list[FileFacts], int, bool]:
        """What was seen, how many octets that took, and whether all that should be looked through was."""
        facts = []
        if self._is_file:
            facts.append(
                FileFacts(
                    self._names,
                    self._scanner.kind or self._kind,
                    self._scanner.listed(),
                    self._scanner.has_macros,
                )
            )
        if self._inline is not None:
            self._inline.feed(b"", final=True)
            facts += [FileFacts((file.name,), kind_of(file.head)) for file in self._inline.found]
        took = self._done if self._done > _HEAD else 0
        return facts, took, self._done >= self._wanted
