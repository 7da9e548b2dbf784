"""What a script may know: the message, the envelope, the owner and the world about it. Everything is handed
in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.structure import Structure, StructureScanner

_PIECE = 65_536
ReadOctets = Callable[[int, int], bytes]  # (start, end) of the message


class MailView:
    """A message that need not be in memory: its header section, its size, and a way to read what lies between
    two offsets."""

    def __init__(self, header: HeaderSection, size: int, read: ReadOctets) -> None:
        self.header = header
        self.size = size
        self.read = read
        self._structures: dict[int, Structure] = {}

    @classmethod
    def of(cls, octets: bytes) -> "MailView":
        """A message that is in memory."""
        return cls(HeaderSection(octets), len(octets), lambda start, end: octets[start:end])

    def structure(self, limit: int) -> Structure:
        """Its parts, as far as they lie in the first `limit` octets."""
        if limit not in self._structures:
            scanner, end = StructureScanner(), min(self.size, limit)
            for start in range(0, end, _PIECE):
                scanner.feed(self.read(start, min(start + _PIECE, end)))
            self._structures[limit] = scanner.finish()
        return self._structures[limit]


def _never(*_: object) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Situation:
    """`reverse_path` is "" for the null path. `auth` None: nobody logged in. `owner`: addresses that are the
    script owner's.

    `environment`: items of RFC 5183 §4. `mailbox_exists`: whether one may file into it. `special_use_exists`:
    (mailbox or None, attribute). `is_duplicate`: whether a key was remembered. `separators`: of subaddresses.
    `offset_minutes`: of the local zone, east of UTC.
    """

    message: MailView
    reverse_path: str = ""
    recipient: str = ""
    original_recipient: str = ""
    auth: str | None = None
    owner: tuple[str, ...] = ()
    separators: str = "+"
    now_us: int = 0
    offset_minutes: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    mailbox_exists: Callable[[str], bool] = _never
    special_use_exists: Callable[[str | None, str], bool] = _never
    is_duplicate: Callable[[bytes], bool] = _never

    @cached_property
    def owner_addresses(self) -> frozenset[str]:
        """In lower case, with the envelope's recipient."""
        return frozenset(
            each.lower() for each in (*self.owner, self.recipient, self.original_recipient) if each
        )
