"""Letting held mail go: signed anew, since a signature has a date and keys change, and each message once."""

from dataclasses import dataclass

from sekisho.core.message.address_list import parse_address_list
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.references import header_message_id, header_references
from sekisho.core.message.trace import format_return_path
from sekisho.ports.clock import Clock
from sekisho.ports.content import MessageOctets
from sekisho.ports.freezing import Freezer
from sekisho.ports.guard import Guard, Release
from sekisho.ports.outgoing import MAILBOX_HOP
from sekisho.ports.spool import MailboxDelivery, QueuedMessage, Spool
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.signing import Signing

HEADER_OCTETS = 1_048_576
_OLD_SIGNATURE = frozenset({b"dkim-signature"})


class Releaser:
    """`lifetime_us`: how long a released message is tried, from its release on."""

    def __init__(
        self,
        spool: Spool,
        guard: Guard,
        recipients: RecipientProbe,
        signing: Signing,
        clock: Clock,
        lifetime_us: int,
    ) -> None:
        self._spool, self._guard, self._recipients = spool, guard, recipients
        self._signing, self._clock, self._lifetime_us = signing, clock, lifetime_us

    async def release(self, message_id: str) -> tuple[int, int]:
        """(recipients let go, mailboxes here that were full and keep waiting). Raises StoreUnavailable."""
        queued = await self._spool.queued(message_id)
        whole = await self._spool.open_queued(message_id)
        content = await self._guard.open_content(message_id)
        if queued is None or whole is None or content is None:
            return 0, 0
        header = HeaderSection(await content.read(0, HEADER_OCTETS))
        old_prefix = await whole.read(0, whole.size_octets - content.size_octets)
        prefix = HeaderSection(old_prefix + b"\r\n").without(_OLD_SIGNATURE) + await self._sign(
            header, content, message_id
        )
        now_us = self._clock.now_us()
        release = Release(
            prefix=prefix,
            deliveries=await self._deliveries(
                queued, format_return_path(queued.envelope.reverse_path) + prefix
            ),
            now_us=now_us,
            expires_at_us=now_us + self._lifetime_us,
            header_message_id=header_message_id(header),
            references=header_references(header),
        )
        return await self._guard.release(message_id, release)

    async def _sign(self, header: HeaderSection, content: MessageOctets, message_id: str) -> bytes:
        authors = parse_address_list(header.first(b"from") or b"")
        return await self._signing.sign(authors[0].domain, header, content, message_id) if authors else b""

    async def _deliveries(self, queued: QueuedMessage, prefix: bytes) -> tuple[MailboxDelivery, ...]:
        """Copies for mailboxes here, to those that their addresses lead to now; what an alias sends elsewhere
        has a row of its own."""
        account_ids: dict[int, None] = {}
        for row, next_hop in zip(queued.recipients, queued.next_hops, strict=True):
            if row.state == "held" and next_hop == MAILBOX_HOP:
                found = await self._recipients.resolve(row.recipient.address)
                account_ids |= dict.fromkeys(account.id for account in found.accounts)
        return tuple(
            MailboxDelivery(
                delivery_id=f"{queued.message_id}/{account_id}/0", account_id=account_id, prefix=prefix
            )
            for account_id in account_ids
        )


@dataclass(frozen=True, slots=True)
class GuardKit:
    """What an operator's commands about held mail work with."""

    guard: Guard
    releaser: Releaser
    freezer: Freezer
