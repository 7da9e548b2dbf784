"""Messages in files, as other mail programs keep them: one a file, folders of such (Maildir too), and
mbox."""

import mmap
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_OCTETS = 1_048_576  # of a message are read
MAX_INPUT_OCTETS = 268_435_456  # of standard input
_SEPARATOR = re.compile(rb"(?:\A|\r?\n\r?\n)From [^\r\n]*\r?\n")
_UNREAD = frozenset(
    (
        "tmp",
        "dovecot.index",
        "dovecot.index.log",
        "dovecot-uidlist",
        "cyrus.header",
        "cyrus.index",
        "cyrus.cache",
    )
)


def files(path: Path) -> list[Path]:
    """All files below a folder but for what is hidden and what is no mail; or the file itself."""
    if not path.is_dir():
        return [path]
    found = []
    for each in sorted(path.rglob("*")):
        names = each.relative_to(path).parts
        # Maildir++ folders begin with a dot; a dot file is somebody's index.
        if each.is_file() and each.name[0] != "." and not _UNREAD.intersection(names):
            found.append(each)
    return found


def messages(file: Path) -> Iterator[tuple[bytes, int]]:
    """(message with CRLF line ends, octets of the file that it took); raises OSError. "-" is standard input,
    a message or an mbox."""
    if str(file) == "-":
        yield from _from_input(sys.stdin.buffer.read(MAX_INPUT_OCTETS))
        return
    with file.open("rb") as stream:
        head = stream.read(5)
        if head != b"From ":
            octets = head + stream.read(MAX_OCTETS - len(head))
            if octets:
                yield normal(octets), file.stat().st_size
            return
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            yield from _split(mapped)


def _from_input(octets: bytes) -> Iterator[tuple[bytes, int]]:
    if octets.startswith(b"From "):
        yield from _split(octets)
    elif octets:
        yield normal(octets[:MAX_OCTETS]), len(octets)


def _split(mbox: "bytes | mmap.mmap") -> Iterator[tuple[bytes, int]]:
    starts = [(match.start(), match.end()) for match in _SEPARATOR.finditer(mbox)]
    ends = [start for start, _ in starts[1:]] + [len(mbox)]
    for (start, begin), end in zip(starts, ends, strict=True):
        yield normal(mbox[begin : min(end, begin + MAX_OCTETS)]), end - start


def normal(octets: bytes) -> bytes:
    """Without the separator line of an mbox, with CRLF."""
    if octets.startswith(b"From "):
        octets = octets.partition(b"\n")[2]
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
