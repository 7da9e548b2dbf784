"""A file of leaked passwords' SHA-1 digests as "Have I Been Pwned" gives them out: sorted lines of
`HASH:COUNT`, up to 40 GB of them."""

import hashlib
import os
import re
from pathlib import Path

# Some lists keep only the front of each digest. Under 64 bits of it, good passwords would be refused by
# chance.
MIN_DIGITS = 16
_LINE = re.compile(rb"([0-9A-Fa-f]{%d,40})(?::([0-9]{1,12}))?\s*\Z" % MIN_DIGITS)
_MAX_LINE_OCTETS = 64


class BreachedFile:
    """Implements `ports.breached.BreachedPasswords` by halving the file: some forty reads of a line, and
    nothing is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self, password: str) -> int:
        """See the port."""
        digest = (
            hashlib.sha1(password.encode("utf-8", "replace"), usedforsecurity=False)
            .hexdigest()
            .upper()
            .encode()
        )
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = self._last_up_to(descriptor, digest)
        finally:
            os.close(descriptor)
        if found is None or not digest.startswith(found[0]):
            return 0
        return max(1, found[1])

    def _last_up_to(self, descriptor: int, digest: bytes) -> tuple[bytes, int] | None:
        """The last line whose digest is not greater. Invariant: it starts before `high`, and not before `low`
        if `best` is set."""
        low, high = 0, os.fstat(descriptor).st_size
        best = None
        while low < high:
            middle = (low + high) // 2
            start, line, end = self._line_at(descriptor, middle, low)
            entry = self._parse(line, start)
            if entry[0] <= digest:
                best, low = entry, end
            else:
                high = start
        return best

    def _line_at(self, descriptor: int, middle: int, low: int) -> tuple[int, bytes, int]:
        """(start, octets, end) of the line that the octet at `middle` belongs to; `low` is a line's start at
        or before it."""
        begin = max(low, middle - _MAX_LINE_OCTETS)
        octets = os.pread(descriptor, middle - begin + _MAX_LINE_OCTETS, begin)
        newline = octets.rfind(b"\n", 0, middle - begin)
        start = newline + 1
        if newline < 0 and begin > low:
            raise ValueError(f"{self._path}: a line near octet {middle} is too long")
        end = octets.find(b"\n", start)
        end = len(octets) if end < 0 else end + 1
        return begin + start, octets[start:end], begin + end

    def _parse(self, line: bytes, start: int) -> tuple[bytes, int]:
        match = _LINE.match(line)
        if not match:
            raise ValueError(f"{self._path}: at octet {start} there is no SHA-1 digest with a count")
        return match[1].upper(), int(match[2] or 1)
