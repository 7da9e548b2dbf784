"""MAIL to the end of data: what reception and submission share of it, from the room that there is to the
entry of what was accepted."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.trace import TraceHop, format_received, new_message_id
from sekisho.core.terms.envelope import Envelope
from sekisho.core.terms.reply import EnhancedStatus, Reply
from sekisho.ports.journal import Entry, JournalValue
from sekisho.ports.spool import Acceptance, Accepted, RelayRecipient
from sekisho.services.notices import HEAD_OCTETS, NoticedMessage, NoticePorts, NoticeRules, Notices
from sekisho.services.smtp.acceptance import (
    FULL,
    Destination,
    RelayTerms,
    SenderNotices,
    only_recipient,
    outcome_for_senders,
    relays_of,
)
from sekisho.services.smtp.connection import Connection
from sekisho.services.smtp.content import HeaderGate, IncomingContent
from sekisho.services.smtp.entries import about_message, recipients_of, subject_of
from sekisho.services.smtp.refusal import Refusal
from sekisho.services.smtp.tools import ServiceConfig, ServiceTools

ROOM_SECONDS = 0.25
ROOM_OCTETS = 16_777_216  # as much as the reserve of the store
_SUCCESS = EnhancedStatus(2, 0, 0)
_NO_ROOM = Refusal.of(452, "4.3.1", "Not enough disk space at the moment; try again later")


@dataclass(slots=True)
class MailTransaction:
    """The envelope and where it leads are one: a recipient that was told 250 is here with its destination, or
    not at all (law 5).

    `opened`: as MAIL said it, without recipients."""

    opened: Envelope
    destinations: list[Destination] = field(default_factory=list)

    @property
    def envelope(self) -> Envelope:
        return replace(
            self.opened, recipients=tuple(destination.recipient for destination in self.destinations)
        )


class Acceptances:
    """One per service."""

    def __init__(self, tools: ServiceTools, config: ServiceConfig) -> None:
        self._tools, self._config = tools, config
        rules = NoticeRules(
            config.hostname,
            config.language,
            config.routes,
            int(config.queue.notice_lifetime_seconds * 1_000_000),
        )
        ports = NoticePorts(
            spool=tools.spool,
            recipients=tools.recipients,
            clock=tools.clock,
            dice=tools.dice,
            journal=tools.journal,
            signing=tools.signing,
        )
        self._room_until, self._room_octets = float("-inf"), 0
        self._notices = SenderNotices(Notices(rules, ports), tools.spool, tools.journal)

    async def no_room(self) -> Refusal | None:
        """At MAIL: the queue keeps the room that it needs to shrink (DESIGN §4 Disk). That there is room is
        believed for a moment, and only for so much mail."""
        now = self._tools.clock.monotonic()
        if now < self._room_until and self._room_octets > 0:
            return None
        if not await self._tools.spool.has_room():
            return _NO_ROOM
        self._room_until, self._room_octets = now + ROOM_SECONDS, ROOM_OCTETS
        return None

    def open(self, gate: HeaderGate) -> IncomingContent:
        limits = self._config.limits
        return IncomingContent(
            self._tools.spool.open_content(),
            gate,
            header_octets=limits.header_octets,
            header_fields=limits.header_fields,
        )

    def new_message_id(self) -> str:
        return new_message_id(self._tools.clock.now_us(), self._tools.dice.octets(8))

    def received(
        self,
        connection: Connection,
        envelope: Envelope,
        message_id: str,
        now_us: int,
        *,
        client_name: str = "",
        hides_client: bool = False,
        is_local: bool = False,
    ) -> bytes:
        """The Received field (RFC 5321 §4.4). `is_local`: it came by the submission socket of this
        machine."""
        tls, hello = connection.stream.tls, connection.hello
        hop = TraceHop(
            by=self._config.hostname,
            message_id=message_id,
            at_us=now_us,
            hello=hello.name,
            client=None if hides_client or is_local else connection.stream.peer.address,
            client_name=client_name,
            extended=hello.extended,
            tls_cipher=tls.cipher if tls else "",
            authenticated=connection.role == "submission" and not is_local,
            smtputf8=envelope.smtputf8,
            local=is_local,
            recipient=only_recipient(envelope),
        )
        return format_received(hop)

    def relays(self, destinations: Sequence[Destination], now_us: int) -> tuple[RelayRecipient, ...]:
        config = self._config
        return relays_of(
            destinations,
            RelayTerms(now_us, config.queue.lifetime_seconds, config.routes, self._tools.owner()),
        )

    async def tell(
        self,
        transaction: MailTransaction,
        acceptance: Acceptance,
        accepted: Accepted,
        content: IncomingContent,
    ) -> Refusal | None:
        """The refusal of what nobody had room for; else the senders that want to know it are told what came
        of their copies."""
        nobody_took_it = (
            accepted.over_quota_account_ids and not accepted.delivered_account_ids and not acceptance.relays
        )
        if accepted.nothing_taken or nobody_took_it:
            return replace(FULL, id=acceptance.message_id)
        now_us, is_ours = self._tools.clock.now_us(), acceptance.origin != "reception"
        told = outcome_for_senders(transaction.destinations, accepted, now_us)
        if told:
            head, size = content.stored_header().octets[:HEAD_OCTETS], acceptance.content.size_octets
            await self._notices.tell(
                NoticedMessage(
                    message_id=acceptance.message_id,
                    envelope=acceptance.envelope,
                    arrived_at_us=now_us,
                    head=head,
                    size_octets=size,
                    is_ours=is_ours,
                ),
                told,
            )
        return None

    def conclude(
        self, connection: Connection, acceptance: Acceptance, accepted: Accepted, header: HeaderSection
    ) -> Reply:
        """It is durably ours."""
        tools, role, envelope, octets = (
            self._tools,
            connection.role,
            acceptance.envelope,
            acceptance.content.size_octets,
        )
        if accepted.jobs:
            tools.started(accepted.jobs)
        self._room_octets -= octets
        connection.counts["accepted"] += 1
        tools.metrics.count("sekisho_messages_received_total", service=role, result="accepted")
        tools.metrics.count("sekisho_message_octets_total", octets, service=role)
        fields: dict[str, JournalValue] = {
            "client": connection.client,
            **({"account": connection.account} if role == "submission" else {"hello": connection.hello.name}),
            "reverse_path": str(envelope.reverse_path),
            "recipient": recipients_of(envelope),
            "recipients": len(envelope.recipients),
            "delivered": len(accepted.delivered_account_ids),
            "over_quota": len(accepted.over_quota_account_ids),
            "relayed": len(acceptance.relays),
            "octets": octets,
            "message_id": acceptance.header_message_id,
            "session": connection.session,
        }
        if acceptance.kept_back is not None:
            fields |= {"rule": "sending-held"}
        if self._config.ledger.subjects:
            fields["subject"] = subject_of(header)
        about = (*about_message(connection, envelope, acceptance.header_message_id), connection.session)
        tools.journal.record(Entry(f"{role}.accepted", acceptance.message_id, fields, about))
        return Reply(code=250, enhanced=_SUCCESS, lines=(f"Accepted as {acceptance.message_id}",))
