"""Mailboxes and what lies in them, for IMAP, POP3 and delivery.

Every method is one transaction. UIDs and modseqs are given out inside it and only ever grow (RFC 9051
§2.3.1.1, RFC 7162 §3.1). Mailbox names are UTF-8 text with "/" between levels; "INBOX" is case-insensitive
and stored in upper case.
"""

from typing import Literal, Protocol

from msgspec import Struct

from sekisho.core.terms.uidset import UidSet
from sekisho.ports.content import ContentWriter, MessageOctets

# System flags are bits (RFC 9051 §2.3.2); everything else is a keyword.
ANSWERED, FLAGGED, DELETED, SEEN, DRAFT = 1, 2, 4, 8, 16
HIERARCHY_SEPARATOR = "/"
SpecialUse = Literal["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash", "\\All", "\\Flagged"]


class NoSuchMailbox(Exception):
    pass


class MailboxExists(Exception):
    pass


class MailboxRefused(Exception):
    """Not allowed, with a sentence for the client (deleting INBOX, a bad name, too many mailboxes)."""


class OverQuota(Exception):
    pass


class MailboxInfo(Struct, frozen=True, kw_only=True):
    id: int
    account_id: int
    name: str
    uidvalidity: int
    uidnext: int
    highestmodseq: int
    messages: int
    unseen: int
    deleted: int
    size_octets: int
    special_use: SpecialUse | None
    subscribed: bool
    mailbox_id: str  # OBJECTID (RFC 8474)
    first_recent_uid: int = 1  # UIDs from here on were not yet seen by a session that SELECTed


class View(Struct, frozen=True, kw_only=True):
    """A mailbox at one instant. `recent`: the UIDs that this session may call \\Recent (RFC 3501 §2.3.2)."""

    info: MailboxInfo
    uids: UidSet
    recent: UidSet
    first_unseen_uid: int | None
    keywords: tuple[str, ...]  # in use in this mailbox


class FlagRow(Struct, frozen=True):
    uid: int
    modseq: int
    flags: int  # bits
    keywords: tuple[str, ...] = ()


class MessageRow(Struct, frozen=True, kw_only=True):
    uid: int
    modseq: int
    flags: int
    keywords: tuple[str, ...]
    internal_date_us: int
    internal_offset_minutes: int  # the zone that APPEND gave (RFC 9051 §2.3.3)
    save_date_us: int
    size_octets: int  # prefix and content
    content_id: str
    prefix_octets: int
    email_id: str  # RFC 8474 §5.1
    thread_id: str


class MailboxChanges(Struct, frozen=True):
    """What happened after a modseq: `vanished` were expunged, `changed` are new or have new flags (ascending
    by UID)."""

    info: MailboxInfo
    uids: UidSet
    vanished: UidSet
    changed: list[FlagRow]


class Appended(Struct, frozen=True, kw_only=True):
    """One message for APPEND. `content` is finished; `date_us` None means now."""

    content: ContentWriter
    flags: int = 0
    keywords: tuple[str, ...] = ()
    date_us: int | None = None
    offset_minutes: int = 0
    message_id: str = ""  # normalised, for threads
    references: tuple[str, ...] = ()


class StoreResult(Struct, frozen=True):
    changed: list[FlagRow]  # with their new flags; only rows that really changed have a new modseq
    modified: UidSet  # failed UNCHANGEDSINCE (RFC 7162 §3.1.3)
    highestmodseq: int


class CopyResult(Struct, frozen=True):
    """For COPYUID (RFC 4315 §3): the n-th source became the n-th target. Empty when nothing was there to
    copy."""

    uidvalidity: int
    source_uids: tuple[int, ...]
    target_uids: tuple[int, ...]
    source_highestmodseq: int  # MOVE: after the expunge


class MailStore(Protocol):
    async def mailboxes(self, account_id: int) -> list[MailboxInfo]:
        """All of them, by name."""
        ...

    async def mailbox(self, account_id: int, name: str) -> MailboxInfo:
        """Raises NoSuchMailbox."""
        ...

    async def create_mailbox(
        self, account_id: int, name: str, special_use: SpecialUse | None = None
    ) -> MailboxInfo:
        """Missing parents are created too (RFC 9051 §6.3.4); raises MailboxExists, MailboxRefused."""
        ...

    async def rename_mailbox(self, account_id: int, name: str, new_name: str) -> None:
        """With its inferiors; INBOX moves its messages and stays (RFC 9051 §6.3.6)."""
        ...

    async def delete_mailbox(self, account_id: int, name: str) -> None:
        """Its messages go. With inferiors it is refused with MailboxRefused. A new one of this name gets a
        greater UIDVALIDITY."""
        ...

    async def set_subscribed(self, account_id: int, name: str, subscribed: bool) -> None:
        """Names that do not exist may be subscribed and stay so (RFC 9051 §6.3.7)."""
        ...

    async def subscriptions(self, account_id: int) -> list[str]: ...

    async def view(self, account_id: int, name: str, *, claim_recent: bool) -> View:
        """SELECT (`claim_recent`) or EXAMINE; raises NoSuchMailbox."""
        ...

    async def changes_since(self, mailbox_id: int, modseq: int) -> MailboxChanges:
        """Raises NoSuchMailbox when it was deleted."""
        ...

    async def rows(self, mailbox_id: int, uids: UidSet) -> list[MessageRow]:
        """Ascending; UIDs that are gone are left out. Callers ask in portions (≤ 1,000) and yield in
        between."""
        ...

    async def flag_rows(self, mailbox_id: int, uids: UidSet) -> list[FlagRow]: ...

    async def find(self, mailbox_id: int, *, with_flags: int = 0, without_flags: int = 0) -> UidSet:
        """UIDs whose system flags include all of the first and none of the second."""
        ...

    async def open(self, mailbox_id: int, uid: int) -> MessageOctets | None:
        """None when it is gone. Stays readable although it is expunged meanwhile."""
        ...

    async def structures(self, content_ids: list[str]) -> dict[str, bytes]:
        """Cached parses (an opaque blob of core/message), for those that have one."""
        ...

    async def save_structures(self, structures: dict[str, bytes]) -> None:
        """A cache: need not be durable."""
        ...

    async def append(
        self, account_id: int, name: str, messages: list[Appended]
    ) -> tuple[int, tuple[int, ...]]:
        """(UIDVALIDITY, UIDs), durable; all or nothing. Raises NoSuchMailbox, OverQuota, StoreUnavailable."""
        ...

    async def store_flags(
        self,
        mailbox_id: int,
        uids: UidSet,
        how: Literal["add", "remove", "replace"],
        flags: int,
        keywords: tuple[str, ...],
        unchanged_since: int | None = None,
    ) -> StoreResult: ...

    async def copy(
        self, mailbox_id: int, uids: UidSet, account_id: int, target: str, *, move: bool = False
    ) -> CopyResult:
        """Flags, dates and content go along; raises NoSuchMailbox (TRYCREATE), OverQuota."""
        ...

    async def expunge(
        self, mailbox_id: int, uids: UidSet | None = None, *, only_deleted: bool = True
    ) -> tuple[UidSet, int]:
        """(expunged, highestmodseq). `uids` None: all. POP3 passes only_deleted=False."""
        ...
