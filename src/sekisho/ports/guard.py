"""What is kept of the watch over hijacked accounts: each account's profile, open cases, what is held and what
had left.

The profile lies beside the mail and is debited inside the transaction that accepts a message
(`Acceptance.outgoing`), so that no number of simultaneous connections gets past a budget. Where a case is
opened, everything of that credential that still waits is held in the same transaction.
"""

from typing import Literal, Protocol

from msgspec import Struct, field

from sekisho.core.policy.takeover.judge import Ending, Hold, Oldest, TakeoverJudge
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.state import State
from sekisho.ports.content import MessageOctets
from sekisho.ports.spool import MailboxDelivery

BY_OPERATOR = -1  # in place of a case: an operator holds the sending of the whole account


class Case(Struct, frozen=True, kw_only=True):
    """Mail of one credential is held. `since_us`: from when on its deeds are doubtful. `closed_at_us` 0:
    open.

    `announced_at_us`, `frozen_at_us` 0: still to be done. `done`: what was disabled, in sentences.
    """

    id: int
    account_id: int
    credential_id: str
    action: Hold
    opened_at_us: int
    since_us: int
    score: int
    reasons: tuple[Reason, ...]
    announced_at_us: int = 0
    frozen_at_us: int = 0
    closed_at_us: int = 0
    ending: Ending = ""
    done: tuple[str, ...] = ()


class Sent(Struct, frozen=True, kw_only=True):
    """One submitted message, as far as the guard knows it. `case_id`: that holds it or part of it, or
    BY_OPERATOR; 0 if none."""

    message_id: str
    account_id: int
    credential_id: str
    accepted_at_us: int
    case_id: int
    score: int
    network: str
    client: str
    strangers: int


class Left(Struct, frozen=True):
    """One recipient that had the message, or does not exist."""

    address: str
    at_us: int
    message_id: str
    result: Literal["delivered", "failed"]


class Watched(Struct, frozen=True):
    """One account. `recovery_address`: where its owner is told besides the mailbox, "" if nowhere."""

    account_id: int
    bulk: bool = False
    recovery_address: str = ""
    state: State = field(default_factory=State)


class Release(Struct, frozen=True, kw_only=True):
    """How a held message leaves: with a prefix signed anew, and copies for mailboxes here."""

    prefix: bytes
    deliveries: tuple[MailboxDelivery, ...]
    now_us: int
    expires_at_us: int
    header_message_id: str = ""  # for threads, as in Acceptance
    references: tuple[str, ...] = ()
    delivery_memory_seconds: int = 12 * 86400


class Guard(Protocol):
    def use(self, judge: TakeoverJudge) -> None:
        """From the next message on it is asked, in the transaction, and what it says is done; the store
        judges nothing itself (`core.policy.takeover.judge` says what it is told and what may be asked
        for)."""
        ...

    async def holding(self, message_id: str) -> Case | None:
        """The open case of the credential that submitted this message: at every claim from the queue (< 200
        µs)."""
        ...

    async def open_case(self, account_id: int, credential_id: str) -> Case | None: ...

    async def cases(self, account_id: int | None = None, *, only_open: bool = True) -> list[Case]:
        """Newest first."""
        ...

    async def unfinished(self) -> list[Case]:
        """Open cases that were not announced, or whose credential is still to be frozen."""
        ...

    async def note(
        self, case_id: int, *, announced_at_us: int = 0, frozen_at_us: int = 0, done: tuple[str, ...] = ()
    ) -> None:
        """What was done about it; times that are 0 stay as they are, sentences are added."""
        ...

    async def close_case(self, case_id: int, ending: Ending) -> None:
        """Once; what follows for the account's profile, the judge says. Held mail stays held."""
        ...

    async def hold(self, account_id: int, credential_id: str, action: Hold, reason: Reason) -> Case:
        """Open a case whatever the score says (or give the open one). Raises LookupError where the judge
        opens none."""
        ...

    async def keep_back(self, account_id: int) -> int:
        """Hold whatever of the account waits in the queue now: how many messages. What it submits later says
        so itself."""
        ...

    async def held(self, account_id: int) -> list[Sent]:
        """Messages of which something is held, oldest first."""
        ...

    async def held_accounts(self) -> dict[int, int]:
        """Account → messages of it that are held."""
        ...

    async def sent_message(self, message_id: str) -> Sent | None: ...

    async def sent(self, account_id: int, since_us: int) -> list[Sent]: ...

    async def left(self, account_id: int, since_us: int, limit: int = 10_000) -> list[Left]:
        """Oldest first."""
        ...

    async def open_content(self, message_id: str) -> MessageOctets | None:
        """A queued message without the prefix that was put before it."""
        ...

    async def release(self, message_id: str, release: Release) -> tuple[int, int]:
        """Let what is held of it go, once: (recipients let go, mailboxes that were full and keep waiting)."""
        ...

    async def purge(self, account_id: int) -> tuple[int, int]:
        """Remove what is held: (messages, recipients)."""
        ...

    async def watched(self, account_id: int) -> Watched: ...

    async def set_bulk(self, account_id: int, bulk: bool) -> None: ...

    async def set_recovery_address(self, account_id: int, address: str) -> None: ...

    async def sweep(self, oldest: Oldest) -> None:
        """Forget what is from before."""
        ...
