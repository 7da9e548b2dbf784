"""What a report came packed in, undone piece by piece: gzip or zip.

Bounded whatever comes (THREATS 41): in octets that come out, in their ratio to those that went in, in the
pieces that are held. Of a zip archive the first file is read, by its local header alone; archives inside
archives are not opened.
"""

import struct
import zlib
from collections.abc import Iterator

from sekisho.core.reports.refusal import ReportRefused

MAX_OCTETS = 32 * 1024 * 1024  # unpacked
FREE_OCTETS = 1024 * 1024  # whatever their ratio
MAX_RATIO = 250  # a true report of 2,300 records shrinks to a hundredth
PIECE = 65536
MAX_MEMBERS = 16

_GZIP = b"\x1f\x8b"  # RFC 1952 §2.3.1
_ZIP = b"PK\x03\x04"
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1


class Unpacker:
    """`feed` packed octets; what comes out are pieces of at most `PIECE` octets. Raises ReportRefused."""

    def __init__(self) -> None:
        self._head: bytes | None = b""  # until it is known what it is
        self._inflate: zlib._Decompress | None = None
        self._is_gzip = False
        self._members = 0
        self._between = b""  # members, what may begin another
        self._stored_left = -1  # of a file in a zip archive that is not compressed
        self._is_over = False
        self._went_in = self._came_out = 0

    def feed(self, octets: bytes) -> Iterator[bytes]:
        if self._is_over:
            return
        self._went_in += len(octets)
        if self._head is not None:
            begun = self._begin(self._head + octets)
            if begun is None:
                return
            octets = begun
        yield from self._pieces(octets)

    def finish(self) -> Iterator[bytes]:
        if self._head:
            octets, self._head = self._head, None
            if octets.startswith(_ZIP):
                raise ReportRefused("the zip archive ends in its header")
            yield from self._pieces(octets)
        if self._inflate is not None and not self._inflate.eof:
            raise ReportRefused("the compressed data ends too early")
        if self._stored_left > 0:
            raise ReportRefused("the zip archive ends too early")

    def _begin(self, octets: bytes) -> bytes | None:
        """What follows of the packed data once it is known how it is packed; None: more is needed."""
        if len(octets) < 4:
            self._head = octets
            return None
        if octets.startswith(_GZIP):
            self._head, self._is_gzip = None, True
            self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            return octets
        if octets.startswith(_ZIP):
            return self._begin_zip(octets)
        self._head = None
        return octets

    def _begin_zip(self, octets: bytes) -> bytes | None:
        """Past the local headers of what holds nothing, to the data of the first file."""
        self._head = octets
        while len(octets) >= _LOCAL.size:
            _, _, flags, method, _, _, _, packed, _, name_octets, extra_octets = _LOCAL.unpack_from(octets)
            start = _LOCAL.size + name_octets + extra_octets
            if len(octets) < start + 4:
                break
            if not octets.startswith(_ZIP):
                raise ReportRefused("the zip archive holds no file")
            if (
                octets[_LOCAL.size : _LOCAL.size + name_octets].endswith(b"/")
                and not flags & 8
                and packed < 64
            ):
                if len(octets) < start + packed:
                    break
                self._head = octets = octets[start + packed :]
                self._members += 1
                if self._members > MAX_MEMBERS:
                    raise ReportRefused("the zip archive holds nothing but folders")
                continue
            if flags & _ENCRYPTED:
                raise ReportRefused("the zip archive is encrypted")
            if method == _DEFLATED:
                self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            elif method == _STORED and not flags & 8:
                self._stored_left = packed
            else:
                raise ReportRefused("the zip archive is packed in a way that is not known")
            self._head = None
            return octets[start:]
        if len(octets) > 4 * PIECE:
            raise ReportRefused("the header of the zip archive does not end")
        return None

    def _pieces(self, octets: bytes) -> Iterator[bytes]:
        if self._inflate is not None:
            yield from self._inflated(octets)
            return
        if self._stored_left >= 0:
            octets = octets[: self._stored_left]
            self._stored_left -= len(octets)
            self._is_over = not self._stored_left
        for start in range(0, len(octets), PIECE):
            yield self._counted(octets[start : start + PIECE])

    def _inflated(self, octets: bytes) -> Iterator[bytes]:
        octets, self._between = self._between + octets, b""
        while octets and self._inflate is not None:
            if self._inflate.eof and not self._next_member(octets):
                return
            try:
                piece = self._inflate.decompress(octets, PIECE)
            except zlib.error:
                raise ReportRefused("the compressed data is damaged") from None
            octets = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            if piece:
                yield self._counted(piece)

    def _next_member(self, octets: bytes) -> bool:
        """RFC 1952 §2.2: another member may follow the one that has ended; whatever else does is padding."""
        if len(octets) < len(_GZIP) and self._is_gzip:
            self._between = octets
            return False
        self._members += 1
        if not (self._is_gzip and octets.startswith(_GZIP) and self._members < MAX_MEMBERS):
            self._is_over = True
            return False
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return True

    def _counted(self, piece: bytes) -> bytes:
        self._came_out += len(piece)
        if self._came_out > MAX_OCTETS:
            raise ReportRefused(f"it is larger than {MAX_OCTETS >> 20} MB unpacked")
        if (
            self._inflate is not None
            and self._came_out > FREE_OCTETS
            and self._came_out > MAX_RATIO * self._went_in
        ):
            raise ReportRefused("it unpacks to so much more than itself that it can only be meant to do harm")
        return piece
