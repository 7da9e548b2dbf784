"""Contents: small ones stay in memory until they become a row, larger ones are files that are durable before
the row is.

A file is written below `content/tmp`, synced, renamed into its place and the folder synced; only then may a
transaction name it. What a crash leaves without a row is an orphan, swept after a day.
"""

import contextlib
import enum
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite.backup_mark import is_backup_running
from sekisho.adapters.stores.sqlite.connection import store_errors
from sekisho.adapters.stores.sqlite.files import Files
from sekisho.ports.clock import Dice
from sekisho.ports.content import ContentWriter, StoreUnavailable

T = TypeVar("T")
BUFFER_OCTETS = 49_152
HEAD_OCTETS = 1_048_576
TEMPORARY = "tmp"
MOST_POSTPONED = 100_000  # the sweep takes what is beyond
PLAIN = 0  # the codec that is written today


class ContentFolder:
    """`data_dir/content`: names are random hex; the place of a name is two levels of folders below."""

    def __init__(self, path: Path, dice: Dice, files: Files) -> None:
        self.path, self.files = path, files
        self._dice = dice
        self._syncers: ThreadPoolExecutor | None = None
        self._postponed: list[str] = []  # files that a backup may need
        self._durable: set[Path] = set()  # folders whose own entries were synced by this process

    def prepare(self) -> None:
        """Make the folders; raises StoreUnavailable."""
        with store_errors():
            for folder in (self.path, self.path / TEMPORARY):
                if self.files.make_folder(folder):
                    self.files.sync_folder(folder.parent)

    def new_name(self) -> str:
        return self._dice.octets(16).hex()

    def temporary(self, name: str) -> Path:
        return self.path / TEMPORARY / name

    def place(self, name: str) -> Path:
        return self.path / name[:2] / name[2:4] / name

    def settle(self, writers: Iterable["SqliteContentWriter"]) -> None:
        """Make the files of these writers durable in their places, several at a time; raises
        StoreUnavailable."""
        pending = [writer for writer in writers if writer.is_unsettled]
        if not pending:
            return
        with store_errors():
            self._map(SqliteContentWriter.sync, pending)
            touched: dict[Path, None] = {}
            for writer in pending:
                for folder in self._make_place(writer.name):
                    touched[folder] = None
                writer.rename(self.place(writer.name))
            self._map(self.files.sync_folder, list(touched))
            self._durable.update(touched)
            for writer in pending:
                writer.is_unsettled = False

    def _map(self, function: Callable[[T], None], items: list[T]) -> None:
        if len(items) == 1:
            function(items[0])
            return
        if self._syncers is None:
            self._syncers = ThreadPoolExecutor(8, "sync")
        list(self._syncers.map(function, items))

    def _make_place(self, name: str) -> list[Path]:
        """The folders whose entries change when `name` moves in."""
        upper, lower = self.path / name[:2], self.path / name[:2] / name[2:4]
        if lower in self._durable:
            return [lower]
        # A sibling may have made the folders and died before it synced them: the first use syncs whoever made
        # them.
        self.files.make_folder(upper)
        self.files.make_folder(lower)
        return [lower, upper, self.path]

    def remove(self, names: Iterable[str]) -> None:
        """Unlink; what a running backup may need goes after it, what cannot be unlinked is left to the
        sweep."""
        names = self._postponed + list(names)
        for number, name in enumerate(names):
            if is_backup_running(self.path.parent):
                self._postponed = names[number : number + MOST_POSTPONED]
                return
            with contextlib.suppress(OSError):
                self.files.unlink(self.place(name))
        self._postponed = []

    def close(self) -> None:
        if self._syncers is not None:
            self._syncers.shutdown()


# Of the transaction that decides about a content.
Outcome = Literal["committed", "refused", "undone", "doubtful"]


class _Stage(enum.Enum):
    OPEN = 1
    HELD = 2  # a transaction is deciding about it
    KEPT = 3
    GONE = 4


class SqliteContentWriter:
    """`ContentWriter`: octets in memory up to 16 KB, then in a file of its own."""

    def __init__(self, folder: ContentFolder) -> None:
        self._folder = folder
        self._buffer = bytearray()
        self._written = 0  # octets in the file
        self._descriptor = -1
        self._path: Path | None = None
        self._stage = _Stage.OPEN
        self._is_unwanted = False
        self._is_named = False
        self.is_unsettled = False  # has a file that is not yet durable in its place
        self.name = ""

    @property
    def size_octets(self) -> int:
        return self._written + len(self._buffer)

    def write(self, octets: bytes) -> None:
        if self._stage is not _Stage.OPEN:
            raise ValueError("the content was given away or discarded")
        if self._descriptor < 0 and len(self._buffer) + len(octets) <= rules.INLINE_OCTETS:
            self._buffer += octets
            return
        with store_errors():
            if self._descriptor < 0:
                self._open()
            if len(self._buffer) + len(octets) <= BUFFER_OCTETS:
                self._buffer += octets
            else:
                self._flush()
                self._folder.files.write(self._descriptor, octets)
                self._written += len(octets)

    def _open(self) -> None:
        self.name = self._folder.new_name()
        path = self._folder.temporary(self.name)
        self._descriptor = self._folder.files.create(path)
        self._path, self.is_unsettled = path, True

    def _flush(self) -> None:
        if self._buffer and self._descriptor >= 0:
            self._folder.files.write(self._descriptor, self._buffer)
            self._written += len(self._buffer)
            self._buffer = bytearray()

    def _range(self, offset: int, length: int) -> bytes:
        if self._descriptor < 0:
            return bytes(self._buffer[offset : offset + length])
        with store_errors():
            self._flush()
            return self._folder.files.read(self._descriptor, offset, length)

    def head(self, limit_octets: int) -> bytes:
        return self._range(0, min(limit_octets, HEAD_OCTETS))

    async def read(self, offset: int, length: int) -> bytes:
        return self._range(offset, length)

    def sync(self) -> None:
        self._flush()
        self._folder.files.sync(self._descriptor)

    def rename(self, place: Path) -> None:
        if self._path is None:
            raise ValueError("the content has no file")
        self._folder.files.rename(self._path, place)
        self._path = place

    def inline_octets(self) -> bytes | None:
        """What goes into the row, or None when there is a file."""
        return None if self._descriptor >= 0 else bytes(self._buffer)

    def hold(self) -> None:
        """From now on a transaction decides; `discard` waits for it. Raises StoreUnavailable when it was
        discarded before."""
        if self._stage is not _Stage.OPEN:
            raise StoreUnavailable("the content was given away or discarded before")
        self._stage = _Stage.HELD

    def name_row(self) -> None:
        """The transaction that holds it has given it a row."""
        self._is_named = True

    def decide(self, outcome: Outcome) -> None:
        """The transaction is over. A content that was committed without a row (all mailboxes full, delivered
        before) or refused goes at once; after "undone" it may be given once more. One of which nobody knows
        whether its row is on the disk is left to the sweep, which asks the database."""
        if self._stage is not _Stage.HELD:
            return
        if outcome == "doubtful" or (outcome == "committed" and self._is_named):
            self._stage = _Stage.KEPT
            self._close()
            return
        self._stage, self._is_named = _Stage.OPEN, False
        if outcome != "undone" or self._is_unwanted:
            self.discard()

    def discard(self) -> None:
        if self._stage is _Stage.HELD:
            self._is_unwanted = True
        elif self._stage is _Stage.OPEN:
            self._stage = _Stage.GONE
            self._close()
            if self._path is not None:
                try:
                    self._folder.files.unlink(self._path)
                except OSError:
                    return  # the sweep takes it
            self._buffer = bytearray()

    def _close(self) -> None:
        if self._descriptor >= 0:
            self._folder.files.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.discard()


class StoredOctets:
    """`MessageOctets`: prefix‖content. It keeps its file open, so that it stays readable after an expunge."""

    def __init__(
        self, prefix: bytes, size_octets: int, octets: bytes | None, files: Files, descriptor: int = -1
    ) -> None:
        self._prefix, self._octets, self._files, self._descriptor = prefix, octets, files, descriptor
        self.size_octets = len(prefix) + size_octets

    async def read(self, offset: int, length: int) -> bytes:
        start = len(self._prefix)
        head = self._prefix[offset : offset + length]
        if len(head) == length or offset + length <= start:
            return head
        begin, count = max(offset - start, 0), length - len(head)
        if self._octets is not None:
            return head + self._octets[begin : begin + count]
        with store_errors():
            return head + self._files.read(self._descriptor, begin, count)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            self._files.close(self._descriptor)


def own_writer(content: ContentWriter) -> SqliteContentWriter:
    if not isinstance(content, SqliteContentWriter):
        raise TypeError("the content was not opened by this store")
    return content
