"""Accepting mail, and the queue of what must leave.

`accept` is the one call behind every 250: message, deliveries into mailboxes and queue rows in one durable
transaction. Relay is at-least-once; delivery into a mailbox is exactly-once by `delivery_id`.
"""

from typing import Literal, Protocol

from msgspec import Struct

from sekisho.core.policy.takeover.sending import Outgoing
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import ContentWriter, MessageOctets
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import SpecialUse
from sekisho.ports.outgoing import Decision

RecipientState = Literal["waiting", "claimed", "held", "parked", "delivered", "failed"]


class MailboxDelivery(Struct, frozen=True, kw_only=True):
    """One copy into one mailbox. `delivery_id` = message, recipient, action number: the same id never
    delivers twice.

    `mailbox` None means INBOX; one that does not exist means INBOX too (nothing is lost), unless `create`
    says to make it. `special_use` says what it is for (RFC 6154 §2), whatever its name is: such a one goes
    before `mailbox`.
    """

    delivery_id: str
    account_id: int
    prefix: bytes  # Return-Path, Authentication-Results, … ending in CRLF, or b""
    mailbox: str | None = None
    flags: int = 0
    keywords: tuple[str, ...] = ()
    special_use: SpecialUse | None = None
    create: bool = False


class RelayRecipient(Struct, frozen=True, kw_only=True):
    """One recipient that is not here. `next_hop`: the domain (A-labels) or a configured route such as
    "[smart.example]:587"."""

    recipient: Recipient
    next_hop: str
    due_at_us: int
    expires_at_us: int
    held: bool = False
    fresh_lease: Owner | None = None  # the accepting worker takes it at once (DESIGN §4 Leases)


class Acceptance(Struct, frozen=True, kw_only=True):
    """A message on its way in. `prefix` is what every copy that leaves starts with (Received); mailbox copies
    have their own."""

    message_id: str  # our id, told to the peer and written in Received
    envelope: Envelope
    content: ContentWriter
    prefix: bytes
    deliveries: tuple[MailboxDelivery, ...] = ()
    relays: tuple[RelayRecipient, ...] = ()
    origin: Literal["reception", "submission", "dsn", "local"] = "reception"
    account_id: int | None = None  # who submitted it
    header_message_id: str = ""  # normalised, for threads
    references: tuple[str, ...] = ()
    delivery_memory_seconds: int = 12 * 86400  # queue lifetime + 7 days
    # Of each group one copy at least is made, or nothing is taken at all: there is nobody who may be told
    # that a copy is missing.
    one_of_each: tuple[frozenset[int], ...] = ()
    outgoing: Outgoing | None = (
        None  # debited to the account in the same transaction, which may slow or hold the message
    )
    # The account's sending is held: all of the message waits for an operator; these recipients have their
    # mailboxes here.
    kept_back: tuple[Recipient, ...] | None = None
    # `message_id` is made of what the message is about: what it put into the queue once is not put there
    # again
    repeatable: bool = False


class Accepted(Struct, frozen=True, kw_only=True):
    delivered_account_ids: tuple[int, ...]
    over_quota_account_ids: tuple[int, ...]  # these copies were not made; the caller answers or bounces
    jobs: tuple["QueueJob", ...] = ()  # relays with `fresh_lease`, already claimed
    decision: Decision | None = (
        None  # about `outgoing`; what a held message would have delivered here waits too
    )
    nothing_taken: bool = False  # for the sake of `one_of_each`; nothing was written


class QueueRecipient(Struct, frozen=True, kw_only=True):
    id: int
    recipient: Recipient
    state: RecipientState
    attempts: int  # begun, this one included
    due_at_us: int
    expires_at_us: int
    delay_notified: bool = False
    last_reply: str = ""
    last_attempt_at_us: int = 0
    crashes: int = 0  # attempts that ended with their worker: the remote may have the message already


class QueueJob(Struct, frozen=True, kw_only=True):
    """Work for one worker: recipients of one message with one next hop. `epoch` fences the settle."""

    message_id: str
    next_hop: str
    envelope: Envelope  # recipients empty: they are below
    recipients: tuple[QueueRecipient, ...]
    size_octets: int  # prefix and content
    arrived_at_us: int
    owner: Owner
    epoch: int
    origin: str = "submission"
    account_id: int | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """How an attempt ended for one recipient."""

    recipient_id: int
    result: Literal[
        "delivered", "deferred", "failed", "held"
    ]  # held: it was not tried, and waits for an operator
    reply: Reply | None  # the remote's words, or our own
    remote: str = ""  # "mx.example [192.0.2.1]", "" if none was reached
    remote_has_dsn: bool = False
    retry_at_us: int = 0  # deferred
    delay_notified: bool = False
    interrupted: bool = False  # we stopped it ourselves (shutdown): the attempt does not count
    through_us: int = 0  # put off by a budget of ours: about when it will have gone


class DestinationState(Struct, frozen=True):
    next_hop: str
    not_before_us: int
    failures: int
    last_error: str


class QueuedMessage(Struct, frozen=True, kw_only=True):
    """For operators."""

    message_id: str
    envelope: Envelope
    recipients: tuple[QueueRecipient, ...]
    next_hops: tuple[str, ...]  # parallel to recipients
    size_octets: int
    arrived_at_us: int
    origin: str
    account_id: int | None


class QueuePlace(Struct, frozen=True, kw_only=True):
    """One recipient, for who watches over the queue. `since_us`: when its last attempt began."""

    recipient_id: int
    message_id: str
    address: str
    next_hop: str
    since_us: int


class QueueTally(Struct, frozen=True):
    """The whole queue, however long. `counts`: recipients by state; `stuck`: claimed for longer than asked
    about."""

    counts: dict[RecipientState, int]
    parked: tuple[QueuePlace, ...]
    stuck: tuple[QueuePlace, ...]


class StaleLease(Exception):
    """Somebody else owns this work now; nothing was written."""


class Spool(Protocol):
    def open_content(self) -> ContentWriter: ...

    async def accept(self, acceptance: Acceptance) -> Accepted:
        """Durable when it returns; raises StoreUnavailable, and then nothing of it exists.

        Copies over quota are left out and named; if that leaves neither deliveries nor relays, nothing is
        stored. What was accepted before (deliveries by their id, all relays of a `repeatable` one) is
        accepted again and changes nothing, also when it has left.
        """
        ...

    async def has_room(self) -> bool:
        """Is the disk above the low-water mark? (452 4.3.1 at MAIL when not)"""
        ...

    async def claim(
        self, owner: Owner, limit: int, *, per_next_hop: int = 1_000_000, busy: frozenset[str] = frozenset()
    ) -> list[QueueJob]:
        """Ready work by ready destination. Attempts are counted before they begin; what crashed three times
        is parked, not claimed.

        At most `per_next_hop` jobs of one next hop, none of those in `busy`: a slow destination holds up no
        other.
        """
        ...

    async def open_queued(self, message_id: str) -> MessageOctets | None: ...

    async def settle(
        self,
        job: QueueJob,
        outcomes: tuple[Outcome, ...],
        *,
        notices: tuple[Acceptance, ...] = (),
        not_before_us: int | None = None,
    ) -> tuple[Acceptance, ...]:
        """Write outcomes, notices (DSNs) and the destination's back-off in one transaction; raises
        StaleLease.

        A message whose recipients are all done goes. `not_before_us` None clears the back-off of the next hop
        when something was delivered. Gives back those `notices` of which a copy found its mailbox full.
        """
        ...

    async def next_due_at_us(self, busy: frozenset[str] = frozenset()) -> int | None:
        """When `claim` (with the same `busy`) will next have something, or None."""
        ...

    async def claims(self, owner: Owner) -> dict[int, str]:
        """What the store says that this owner has in hand: epoch → message."""
        ...

    async def give_back(self, owner: Owner, epochs: frozenset[int]) -> int:
        """Claims of a living owner that nobody works on: they count as ended with their worker
        (recipients)."""
        ...

    async def tally(self, stuck_since_us: int) -> QueueTally: ...

    async def pull_in(self, now_us: int, longest_us: int) -> int:
        """Times that only a wrong clock can have written: what is due later than `longest_us` from now is due
        now, what arrived in the future arrived now and expires as much earlier. Returns how many recipients
        were due too late."""
        ...

    async def queue(self, limit: int = 1000) -> list[QueuedMessage]: ...

    async def queued(self, message_id: str) -> QueuedMessage | None: ...

    async def retry(self, message_id: str | None) -> int:
        """Make it (None: all waiting and parked) due now; clears back-off; returns how many recipients."""
        ...

    async def hold(self, message_id: str, held: bool) -> int: ...

    async def drop(self, message_id: str) -> int:
        """Remove without a notice."""
        ...

    async def destinations(self) -> list[DestinationState]: ...
