"""What one session sees of its INBOX: fixed at login, numbered from 1 (RFC 1939 §4)."""

from array import array
from collections.abc import Callable, Iterator

_LINES_PER_CHUNK = 2000


class Maildrop:
    """Sizes and UIDs of the messages, and which of them this session has marked deleted."""

    def __init__(self, uidvalidity: int) -> None:
        self._uidvalidity = uidvalidity
        self._uids = array("Q")
        self._sizes = array("Q")
        self._deleted: set[int] = set()
        self._octets = 0

    def add(self, uid: int, size_octets: int) -> None:
        """The next message, in ascending order of UID."""
        self._uids.append(uid)
        self._sizes.append(size_octets)
        self._octets += size_octets

    @property
    def messages(self) -> int:
        return len(self._uids) - len(self._deleted)

    @property
    def octets(self) -> int:
        return self._octets

    def has(self, number: int) -> bool:
        return 1 <= number <= len(self._uids) and number not in self._deleted

    def uid(self, number: int) -> int:
        return self._uids[number - 1]

    def size(self, number: int) -> int:
        return self._sizes[number - 1]

    def unique_id(self, number: int) -> str:
        """RFC 1939 §7: never reused for another message, the same in every session; 1 to 70 printable
        characters."""
        return f"{self._uidvalidity}.{self._uids[number - 1]}"

    def delete(self, number: int) -> None:
        self._deleted.add(number)
        self._octets -= self.size(number)

    def reset(self) -> None:
        self._deleted.clear()
        self._octets = sum(self._sizes)

    def deleted_uids(self) -> tuple[int, ...]:
        return tuple(self.uid(number) for number in sorted(self._deleted))

    def scan_listing(self) -> Iterator[bytes]:
        """The lines of LIST (RFC 1939 §5)."""
        return self._lines(lambda number: f"{number} {self._sizes[number - 1]}\r\n")

    def unique_id_listing(self) -> Iterator[bytes]:
        return self._lines(lambda number: f"{number} {self._uidvalidity}.{self._uids[number - 1]}\r\n")

    def _lines(self, line: Callable[[int], str]) -> Iterator[bytes]:
        for first in range(1, len(self._uids) + 1, _LINES_PER_CHUNK):
            numbers = range(first, min(first + _LINES_PER_CHUNK, len(self._uids) + 1))
            yield "".join(line(number) for number in numbers if number not in self._deleted).encode()
        yield b".\r\n"
