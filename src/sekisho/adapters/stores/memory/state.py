"""Everything the memory store knows, and the few steps that more than one port takes on it."""

from dataclasses import dataclass, field

from sekisho.adapters.stores import rules
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.uidset import Run, UidSet
from sekisho.ports.changes import AccountChanged, Changes
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.content import ContentWriter, StoreUnavailable
from sekisho.ports.credentials import SecondFactor, StoredCredential
from sekisho.ports.directory import Account, Alias, Domain, StoredPassword
from sekisho.ports.guard import Case, Left, Sent
from sekisho.ports.keys import DkimKey
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import (
    DELETED,
    SEEN,
    FlagRow,
    MailboxInfo,
    MailboxRefused,
    MessageRow,
    NoSuchMailbox,
    OverQuota,
    SpecialUse,
)
from sekisho.ports.spool import RecipientState


@dataclass(slots=True)
class MemoryMessage:
    """One message in one mailbox. `octets` is prefix‖content."""

    row: MessageRow
    octets: bytes

    def flag_row(self) -> FlagRow:
        return FlagRow(self.row.uid, self.row.modseq, self.row.flags, self.row.keywords)


@dataclass(slots=True, kw_only=True)
class MemoryMailbox:
    id: int
    account_id: int
    name: str
    uidvalidity: int
    mailbox_id: str
    special_use: SpecialUse | None = None
    uidnext: int = 1
    highestmodseq: int = 1
    first_recent_uid: int = 1
    keywords: tuple[str, ...] = ()
    messages: dict[int, MemoryMessage] = field(default_factory=dict)  # ascending by UID
    tombstones: list[tuple[int, tuple[Run, ...]]] = field(default_factory=list)  # (modseq, UIDs)


@dataclass(slots=True)
class KeptScript:
    octets: bytes
    changed_at_us: int
    is_active: bool = False


@dataclass(slots=True, kw_only=True)
class AccountState:
    account: Account
    password: StoredPassword
    credentials: dict[str, StoredCredential] = field(default_factory=dict)
    second_factor: SecondFactor | None = None
    used_octets: int = 0
    last_uidvalidity: int = 0
    mailboxes: dict[str, MemoryMailbox] = field(default_factory=dict)
    subscriptions: set[str] = field(default_factory=set)
    past_uidvalidity: dict[str, int] = field(default_factory=dict)  # of names that are gone
    threads: dict[str, str] = field(default_factory=dict)  # message-id → thread id
    sender_rights: set[str] = field(default_factory=set)
    scripts: dict[str, KeptScript] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class QueueRow:
    id: int
    recipient: Recipient
    next_hop: str
    state: RecipientState
    due_at_us: int
    expires_at_us: int
    attempts: int = 0
    crashes: int = 0
    owner: Owner | None = None
    epoch: int = 0
    delay_notified: bool = False
    last_reply: str = ""
    last_attempt_at_us: int = 0


@dataclass(slots=True, kw_only=True)
class QueueMessage:
    message_id: str
    envelope: Envelope
    octets: bytes
    arrived_at_us: int
    origin: str
    account_id: int | None
    prefix_octets: int = 0
    rows: list[QueueRow] = field(default_factory=list)


@dataclass(slots=True)
class MemoryDestination:
    not_before_us: int = 0
    failures: int = 0
    last_error: str = ""


@dataclass(slots=True, kw_only=True)
class GuardAccount:
    bulk: bool = False
    recovery_address: str = ""
    profile: bytes = b""  # encoded, as a store keeps it
    known: dict[int, list[int]] = field(default_factory=dict)  # key → first and last, µs
    left: list[Left] = field(default_factory=list)


class MemoryState:
    def __init__(self, clock: Clock, dice: Dice, changes: Changes, mailboxes_per_account: int) -> None:
        self.clock, self.dice, self.changes = clock, dice, changes
        self.mailboxes_per_account = mailboxes_per_account
        self.domains: dict[str, Domain] = {}
        self.accounts: dict[int, AccountState] = {}
        self.by_address: dict[str, int] = {}
        self.aliases: dict[str, Alias] = {}
        self.server_keys: dict[str, bytes] = {}  # by purpose
        self.dkim_keys: dict[tuple[str, str], DkimKey] = {}  # (domain, selector) → key
        self.mailboxes: dict[int, MemoryMailbox] = {}
        self.delivered: dict[str, int] = {}  # delivery id → forgotten at, µs
        self.queue: dict[str, QueueMessage] = {}
        self.destinations: dict[str, MemoryDestination] = {}
        self.structures: dict[str, bytes] = {}
        self.guarded: dict[int, GuardAccount] = {}
        self.cases: dict[int, Case] = {}
        self.sent: dict[str, Sent] = {}
        self.has_room = True  # a test may say otherwise
        self.unavailable = ""  # a test may say why nothing can be written

    def check_available(self) -> None:
        if self.unavailable:
            raise StoreUnavailable(self.unavailable)

    def account(self, account_id: int) -> AccountState:
        try:
            return self.accounts[account_id]
        except KeyError:
            raise StoreUnavailable(f"account {account_id} is gone") from None

    def mailbox(self, account_id: int, name: str) -> MemoryMailbox:
        state = self.accounts.get(account_id)
        mailbox = state.mailboxes.get(rules.canonical_name(name)) if state else None
        if mailbox is None:
            raise NoSuchMailbox(name)
        return mailbox

    def mailbox_by_id(self, mailbox_id: int) -> MemoryMailbox:
        try:
            return self.mailboxes[mailbox_id]
        except KeyError:
            raise NoSuchMailbox(str(mailbox_id)) from None

    def add_mailbox(self, state: AccountState, name: str, special_use: SpecialUse | None) -> MemoryMailbox:
        mailbox = MemoryMailbox(
            id=self.dice.new_id(),
            account_id=state.account.id,
            name=name,
            uidvalidity=self.new_uidvalidity(state),
            mailbox_id="F" + rules.object_id(self.clock, self.dice),
            special_use=special_use,
        )
        state.mailboxes[name] = self.mailboxes[mailbox.id] = mailbox
        return mailbox

    def make_mailbox(self, state: AccountState, name: str) -> None:
        """With its superiors, if it is not there and may be made."""
        try:
            name = rules.new_name(name)
        except MailboxRefused:
            return
        missing = [each for each in (*rules.superiors(name), name) if each not in state.mailboxes]
        if len(state.mailboxes) + len(missing) <= self.mailboxes_per_account:
            for each in missing:
                self.add_mailbox(state, each, None)

    def new_uidvalidity(self, state: AccountState) -> int:
        state.last_uidvalidity = rules.next_uidvalidity(state.last_uidvalidity, self.clock.now_us())
        return state.last_uidvalidity

    def forget_name(self, state: AccountState, mailbox: MemoryMailbox) -> None:
        del state.mailboxes[mailbox.name]
        state.past_uidvalidity[mailbox.name] = max(
            mailbox.uidvalidity, state.past_uidvalidity.get(mailbox.name, 0)
        )

    def info(self, mailbox: MemoryMailbox) -> MailboxInfo:
        rows = [message.row for message in mailbox.messages.values()]
        return MailboxInfo(
            id=mailbox.id,
            account_id=mailbox.account_id,
            name=mailbox.name,
            uidvalidity=mailbox.uidvalidity,
            uidnext=mailbox.uidnext,
            highestmodseq=mailbox.highestmodseq,
            messages=len(rows),
            unseen=sum(not row.flags & SEEN for row in rows),
            deleted=sum(bool(row.flags & DELETED) for row in rows),
            size_octets=sum(row.size_octets for row in rows),
            special_use=mailbox.special_use,
            subscribed=mailbox.name in self.accounts[mailbox.account_id].subscriptions,
            mailbox_id=mailbox.mailbox_id,
            first_recent_uid=mailbox.first_recent_uid,
        )

    def charge(self, state: AccountState, octets: int, *, always: bool = False) -> None:
        """Count octets on the account; raises OverQuota before anything was counted, unless `always`."""
        quota = state.account.quota_octets
        if quota and not always and state.used_octets + octets > quota:
            raise OverQuota
        state.used_octets += octets

    def thread_of(self, state: AccountState, message_id: str, references: tuple[str, ...]) -> str:
        keys = rules.thread_keys(message_id, references)
        known = (state.threads[key] for key in keys if key in state.threads)
        thread_id = next(known, None) or "T" + rules.object_id(self.clock, self.dice)
        for key in keys:
            state.threads.setdefault(key, thread_id)
        return thread_id

    def place(self, mailbox: MemoryMailbox, messages: list[MemoryMessage]) -> list[int]:
        """Give each message a UID and all of them one modseq in this mailbox; row.uid and row.modseq are set
        here."""
        mailbox.highestmodseq += 1
        uids = []
        for message in messages:
            old = message.row
            keywords, mailbox.keywords = rules.merged_keywords(mailbox.keywords, old.keywords)
            uid = mailbox.uidnext
            mailbox.uidnext += 1
            fields = {name: getattr(old, name) for name in old.__struct_fields__}
            row = MessageRow(**fields | {"uid": uid, "modseq": mailbox.highestmodseq, "keywords": keywords})
            mailbox.messages[uid] = MemoryMessage(row, message.octets)
            uids.append(uid)
        return uids

    def remove(self, mailbox: MemoryMailbox, uids: list[int]) -> UidSet:
        """Expunge: the octets are given back, a tombstone stays."""
        gone = UidSet.of(uids)
        if gone:
            mailbox.highestmodseq += 1
            mailbox.tombstones.append((mailbox.highestmodseq, gone.runs))
            size = sum(mailbox.messages.pop(uid).row.size_octets for uid in uids)
            self.accounts[mailbox.account_id].used_octets -= size
        return gone

    def account_changed(self, account_id: int) -> None:
        self.changes.publish(AccountChanged(account_id))


def content_octets(content: ContentWriter) -> bytes:
    """What was written to a writer of this store."""
    octets: bytes = content.octets()  # type: ignore[attr-defined]  # only writers of this store reach it
    return octets
