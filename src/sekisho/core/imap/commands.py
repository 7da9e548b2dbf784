"""What a client can ask for: one frozen record per command, without tag and without state."""

from typing import Literal

from msgspec import Struct

from sekisho.core.imap.fetch_items import FetchItem
from sekisho.core.imap.search_keys import SearchKey
from sekisho.core.imap.sequences import SequenceSet


class Simple(Struct, frozen=True):
    """A command without arguments."""

    name: Literal[
        "CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "CHECK", "CLOSE", "UNSELECT", "NAMESPACE", "IDLE"
    ]


class ClientId(Struct, frozen=True):
    """ID (RFC 2971 §3.1)."""

    fields: tuple[tuple[bytes, bytes], ...]


class Enable(Struct, frozen=True):
    capabilities: tuple[str, ...]  # upper case


class Authenticate(Struct, frozen=True):
    """AUTHENTICATE. `initial` None: no initial response; b"=" means an empty one (RFC 4959 §3)."""

    mechanism: str
    initial: bytes | None


class LoginCommand(Struct, frozen=True):
    username: bytes
    password: bytes


class Select(Struct, frozen=True):
    name: str
    read_only: bool  # EXAMINE


class Create(Struct, frozen=True):
    """CREATE, with the attributes of RFC 6154 §3."""

    name: str
    uses: tuple[str, ...] = ()


class Delete(Struct, frozen=True):
    name: str


class Rename(Struct, frozen=True):
    name: str
    new_name: str


class Subscribe(Struct, frozen=True):
    name: str
    subscribed: bool


class ListMailboxes(Struct, frozen=True, kw_only=True):
    """LIST and LSUB, reference and patterns joined; an empty pattern asks for the separator (RFC 3501
    §6.3.8).

    `select` and `give`: options of RFC 5258 §3, in upper case. `status`: items of RFC 5819 §2.
    """

    patterns: tuple[str, ...]
    lsub: bool = False
    asks_root: bool = False
    select: frozenset[str] = frozenset()
    give: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()


class Status(Struct, frozen=True):
    name: str
    items: tuple[str, ...]


class Append(Struct, frozen=True, kw_only=True):
    """APPEND up to its literal."""

    name: str
    flags: int
    keywords: tuple[str, ...]
    date_us: int | None
    offset_minutes: int


class Expunge(Struct, frozen=True):
    """EXPUNGE, or UID EXPUNGE (RFC 4315 §2.1)."""

    uids: SequenceSet | None


class Search(Struct, frozen=True):
    """SEARCH. `key` None: a charset that we do not know."""

    uid: bool
    charset: str
    key: SearchKey | None


class Fetch(Struct, frozen=True):
    uid: bool
    messages: SequenceSet
    items: tuple[FetchItem, ...]


class Store(Struct, frozen=True, kw_only=True):
    uid: bool
    messages: SequenceSet
    how: Literal["add", "remove", "replace"]
    silent: bool
    flags: int
    keywords: tuple[str, ...]


class Copy(Struct, frozen=True):
    """COPY, or MOVE (RFC 6851 §3.1)."""

    uid: bool
    messages: SequenceSet
    target: str
    move: bool


Command = (
    Simple
    | ClientId
    | Enable
    | Authenticate
    | LoginCommand
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | ListMailboxes
    | Status
    | Append
    | Expunge
    | Search
    | Fetch
    | Store
    | Copy
)
