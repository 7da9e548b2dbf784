"""Octets of a message, and of what is inside it behind encodings: piece by piece, never held whole (DESIGN §2
law 9)."""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from sekisho.core.message.text import TransferDecoder
from sekisho.probes.reading import PIECE_OCTETS, Read

ENDLESS = 1 << 62


class Spent(Exception):
    """More would have to be read than was granted."""


class Budget:
    """How many octets of the message may still be read."""

    def __init__(self, octets: int) -> None:
        self.left = octets

    def spend(self, octets: int) -> None:
        """Raises Spent."""
        self.left -= octets
        if self.left < 0:
            raise Spent


class Pieces(Protocol):
    async def next(self) -> bytes:
        """More octets; b"" at the end. Raises Spent."""
        ...


class Source(Protocol):
    """Something that is read from any offset on. `is_direct`: that costs no more than reading from the
    front."""

    @property
    def is_direct(self) -> bool: ...

    def open(self, begin: int = 0, end: int = ENDLESS) -> Pieces: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """The message itself: `read` has it from `begin` to `end`. `budget` None: what is read is not counted."""

    read: Read
    begin: int
    end: int
    budget: Budget | None = None
    is_direct: bool = True

    def open(self, begin: int = 0, end: int = ENDLESS) -> Pieces:
        return _Direct(self.read, self.begin + begin, min(self.begin + end, self.end), self.budget)


@dataclass(frozen=True, slots=True)
class Inside:
    """`outer[begin:end]`, decoded (`encoding` in lower case; others than base64 and quoted-printable change
    nothing)."""

    outer: Source
    begin: int
    end: int = ENDLESS
    encoding: bytes = b""

    @property
    def is_direct(self) -> bool:
        return self.outer.is_direct and self.encoding not in (b"base64", b"quoted-printable")

    def open(self, begin: int = 0, end: int = ENDLESS) -> Pieces:
        if self.encoding not in (b"base64", b"quoted-printable"):
            return self.outer.open(self.begin + begin, min(self.begin + end, self.end))
        decoding = _Decoding(self.outer.open(self.begin, self.end), TransferDecoder(self.encoding))
        return decoding if not begin and end == ENDLESS else _Cut(decoding, begin, end)


@dataclass(frozen=True, slots=True)
class Amended:
    """`outer` with `inserted` put in at the offset `at`, as some readers take it."""

    outer: Source
    at: int
    inserted: bytes
    is_direct: bool = False

    def open(self, begin: int = 0, end: int = ENDLESS) -> Pieces:
        before = [self.outer.open(0, self.at)] if self.at else []
        chain = _Chain([*before, _Fixed(self.inserted), self.outer.open(self.at)])
        return chain if not begin and end == ENDLESS else _Cut(chain, begin, end)


class _Direct:
    def __init__(self, read: Read, position: int, end: int, budget: Budget | None) -> None:
        self._read, self._position, self._end, self._budget = read, position, end, budget

    async def next(self) -> bytes:
        length = min(PIECE_OCTETS, self._end - self._position)
        if length <= 0:
            return b""
        if self._budget is not None:
            self._budget.spend(length)
        octets = await self._read(self._position, length)
        self._position = self._position + len(octets) if octets else self._end
        if length == PIECE_OCTETS:
            await asyncio.sleep(0)  # a large message lets the others have their turn
        return octets


class _Decoding:
    def __init__(self, encoded: Pieces, decoder: TransferDecoder) -> None:
        self._encoded, self._decoder, self._is_over = encoded, decoder, False

    async def next(self) -> bytes:
        while not self._is_over:
            octets = await self._encoded.next()
            self._is_over = not octets
            if decoded := self._decoder.feed(octets, final=self._is_over):
                return decoded
        return b""


class _Fixed:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    async def next(self) -> bytes:
        octets, self._octets = self._octets, b""
        return octets


class _Chain:
    def __init__(self, pieces: list[Pieces]) -> None:
        self._pieces = pieces

    async def next(self) -> bytes:
        while self._pieces:
            if octets := await self._pieces[0].next():
                return octets
            del self._pieces[0]
        return b""


class _Cut:
    """[begin, end) of the pieces that follow each other."""

    def __init__(self, pieces: Pieces, begin: int, end: int) -> None:
        self._pieces, self._begin, self._end, self._position = pieces, begin, end, 0

    async def next(self) -> bytes:
        while self._position < self._end and (octets := await self._pieces.next()):
            position = self._position
            self._position += len(octets)
            if kept := octets[max(self._begin - position, 0) : self._end - position]:
                return kept
        return b""
