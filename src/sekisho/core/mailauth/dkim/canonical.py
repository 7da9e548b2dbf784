"""Canonicalisation of header fields and bodies (RFC 6376 §3.4), on whole buffers and on streams.

Messages have CRLF line ends. Nothing here visits lines or octets one by one.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal, NamedTuple

Canonicalization = Literal["simple", "relaxed"]
HashName = Literal["sha256", "sha1"]
_HASHES = {"sha256": hashlib.sha256, "sha1": hashlib.sha1}
_LINE_END_OCTETS = (b"\r", b"\n", b"")
_WIDE, _SOME = b" " * 64, b" " * 4


def relax_field(name: bytes, value: bytes) -> bytes:
    """RFC 6376 §3.4.2, without the final CRLF. `name` is lower-case, `value` what stands behind the colon."""
    return name + b":" + _collapse_spaces(value.replace(b"\r\n", b"").replace(b"\t", b" ")).strip(b" ")


def relax_values(values: list[bytes]) -> list[bytes]:
    """What `relax_field` makes of each value, for all of them in one go: joined by an octet that is in none
    of them."""
    joined = b"\0".join(values)
    if joined.count(b"\0") != len(values) - 1:
        return [relax_field(b"", value)[1:] for value in values]
    joined = _collapse_spaces(joined.replace(b"\r\n", b"").replace(b"\t", b" "))
    return joined.replace(b" \0", b"\0").replace(b"\0 ", b"\0").strip(b" ").split(b"\0")


def _collapse_spaces(octets: bytes) -> bytes:
    """Runs of spaces become one. Most text has none; `rfind` sees that in half the time that `in` and
    `replace` take."""
    if octets.rfind(b"  ") < 0:
        return octets
    if octets.rfind(_SOME) >= 0:
        octets = octets.replace(_SOME, b" ")
    octets = octets.replace(b"  ", b" ")
    while octets.rfind(b"  ") >= 0:  # long runs: the wide step bounds the passes over hostile input
        octets = octets.replace(_WIDE, b" ").replace(b"  ", b" ")
    return octets


def _relax_lines(octets: bytes) -> bytes:
    """RFC 6376 §3.4.4 (a): runs of WSP become one space, and none stays before a line end."""
    if b"\t" in octets:
        octets = octets.replace(b"\t", b" ")
    # One search instead of two: with CR made a space too, a space at the end of a line is the first of a run.
    if b" " not in octets or octets.replace(b"\r", b" ").rfind(b"  ") < 0:
        return octets
    octets = _collapse_spaces(octets)
    return octets.replace(b" \r\n", b"\r\n") if octets.rfind(b" \r\n") >= 0 else octets


class BodyCanonicalizer:
    """Feed a body in pieces; the pieces that come back, with that of `finish`, are its canonical form (RFC
    6376 §3.4.3, §3.4.4).

    What it holds back is counted, not kept: empty lines that may turn out to be the last ones, one space, one
    CR.
    """

    def __init__(self, canonicalization: Canonicalization) -> None:
        self._is_relaxed = canonicalization == "relaxed"
        self._line_ends = 0  # CRLFs at the end of what came so far
        self._tail = b""  # after them: b"", b" ", b"\r" or b" \r"
        self._is_empty = True  # no content yet

    def feed(self, octets: bytes) -> bytes:
        data = self._tail + octets if self._tail else octets
        if self._is_relaxed:
            data = _relax_lines(data)
        end = len(data)
        if data.endswith(b"\r"):
            end -= 1
        if self._is_relaxed and data.endswith(b" ", 0, end):
            end -= 1
        self._tail = data[end:]
        content_end = _before_line_ends(data, end)
        line_ends = (end - content_end) // 2
        if not content_end:
            self._line_ends += line_ends
            return b""
        held_back = self._line_ends
        self._line_ends, self._is_empty = line_ends, False
        return b"\r\n" * held_back + data[:content_end] if held_back else data[:content_end]

    def finish(self) -> bytes:
        out = b""
        if "\r" in self._tail.decode("ascii") or (self._tail and not self._is_relaxed):
            out, self._is_empty = self._take_line_ends() + self._tail, False  # a bare CR is content
        if self._is_empty:
            return b"" if self._is_relaxed else b"\r\n"
        return out + b"\r\n"

    def _take_line_ends(self) -> bytes:
        count, self._line_ends = self._line_ends, 0
        return b"\r\n" * count


def _before_line_ends(data: bytes, end: int) -> int:
    """Where the CRLFs at the end of `data[:end]` begin."""
    if not data.endswith(b"\r\n", 0, end):
        return end
    if data[end - 3 : end - 2] not in _LINE_END_OCTETS:
        return end - 2  # one line end, as nearly always
    run_start = len(data[:end].rstrip(b"\r\n"))
    # In the run, whatever follows the last doubled CR or LF alternates; of it, the part from a CR on is
    # CRLFs.
    broken = max(data.rfind(b"\r\r", run_start, end), data.rfind(b"\n\n", run_start, end))
    start = run_start if broken < 0 else broken + 1
    return start + 1 if data.startswith(b"\n", start) else start


class BodyHashSpec(NamedTuple):
    """One wanted body hash. `limit_octets`: the l= tag, None for the whole body (RFC 6376 §3.5)."""

    canonicalization: Canonicalization
    hash_name: HashName = "sha256"
    limit_octets: int | None = None


class _Stream:
    """One canonicalisation of the body and the hashes over it: those without a limit, and those that end at
    l=."""

    def __init__(self, canonicalization: Canonicalization) -> None:
        self.canonicalizer = BodyCanonicalizer(canonicalization)
        self.octets = 0
        self.whole: list[hashlib._Hash] = []
        self.limited: list[tuple[int, hashlib._Hash]] = []

    def update(self, octets: bytes) -> None:
        before = self.octets
        self.octets = before + len(octets)
        for body_hash in self.whole:
            body_hash.update(octets)
        for limit_octets, body_hash in self.limited:
            if before < limit_octets:
                body_hash.update(octets[: limit_octets - before])


class BodyHashes:
    """All hashes of one body in one pass: each canonicalisation is done once, however many signatures want
    it."""

    def __init__(self, specs: Iterable[BodyHashSpec]) -> None:
        self._hashes: dict[BodyHashSpec, hashlib._Hash] = {}
        self._streams: dict[Canonicalization, _Stream] = {}
        self._has_ended = False
        for spec in specs:
            if spec in self._hashes:
                continue
            canonicalization, hash_name, limit_octets = spec
            stream = self._streams.get(canonicalization)
            if stream is None:
                stream = self._streams[canonicalization] = _Stream(canonicalization)
            body_hash = self._hashes[spec] = _HASHES[hash_name](usedforsecurity=False)
            if limit_octets is None:
                stream.whole.append(body_hash)
            else:
                stream.limited.append((limit_octets, body_hash))

    def feed(self, octets: bytes) -> None:
        for stream in self._streams.values():
            stream.update(stream.canonicalizer.feed(octets))

    def finish(self) -> None:
        """The body has ended; nothing is changed by saying so again."""
        if self._has_ended:
            return
        self._has_ended = True
        for stream in self._streams.values():
            stream.update(stream.canonicalizer.finish())

    def digest(self, spec: BodyHashSpec) -> bytes:
        return self._hashes[spec].digest()

    def canonical_octets(self, canonicalization: Canonicalization) -> int:
        """Length of the canonical body: an l= below it leaves octets out."""
        return self._streams[canonicalization].octets
