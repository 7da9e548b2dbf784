"""What reception decides about one connection, whose client nobody vouches for."""

from dataclasses import replace

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.references import header_message_id, header_references
from sekisho.core.message.trace import format_return_path, is_looping
from sekisho.core.smtp.events import Hello, SaslBegins, SaslDropped, SaslResponse
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.directory import Account
from sekisho.ports.spool import Acceptance, MailboxDelivery
from sekisho.probes.arrival import Arrival
from sekisho.probes.recipient import ROLES, Resolution
from sekisho.services.notices import may_be_told
from sekisho.services.reception.connection_policy import ConnectionPolicy
from sekisho.services.reception.inspection import Inspection
from sekisho.services.reception.outwaiting import outwait
from sekisho.services.reception.tools import ReceptionConfig, ReceptionTools
from sekisho.services.sieve.sorting import SCRIPT_RULE, Offered
from sekisho.services.smtp.acceptance import FULL, Destination, accounts_of, deliveries_of, groups_of
from sekisho.services.smtp.connection import Connection
from sekisho.services.smtp.content import HeaderVerdict, IncomingContent
from sekisho.services.smtp.refusal import CONTENT_RULE, Refusal
from sekisho.services.smtp.transaction import Acceptances, MailTransaction

_NO_RELAY = Refusal.of(550, "5.7.1", "Relaying denied: that domain is not served here", "relay-denied")
_NO_SUCH_USER = Refusal.of(550, "5.1.1", "No such recipient here", "no-such-recipient")
_LOOP = Refusal.of(554, "5.4.6", "Too many Received fields: the message is in a loop", CONTENT_RULE)
_NOT_OFFERED = Refusal.of(502, "5.5.1", "Not implemented")


class Stranger:
    """Implements `services.smtp.session.Decider`. `policy` None: nobody watches this client."""

    def __init__(
        self,
        tools: ReceptionTools,
        config: ReceptionConfig,
        acceptances: Acceptances,
        connection: Connection,
        policy: ConnectionPolicy | None,
    ) -> None:
        self._tools, self._config = tools, config
        self._acceptances = acceptances
        self._connection = connection
        self._policy = policy
        # Of the sender of the transaction: what is said to its recipients, and whether that was asked.
        self._sender_refusal: Refusal | None = None
        self._is_sender_known = False

    async def connected(self) -> Refusal | None:
        return await self._policy.greet() if self._policy is not None else None

    async def hello(self, event: Hello, *, is_early: bool) -> tuple[str, ...]:
        if self._policy is not None:
            self._policy.hello(is_early=is_early)
        return ()

    async def mail(self, envelope: Envelope) -> Refusal | None:
        self._is_sender_known = False
        if self._policy is not None and (refusal := await self._policy.mail()) is not None:
            return refusal
        return await self._acceptances.no_room()

    async def rcpt(self, transaction: MailTransaction, recipient: Recipient) -> Refusal | Destination:
        found = await self._tools.recipients.resolve(recipient.address, self._connection.stream.local.address)
        if found.status == "local":
            refusal = await self._refusal_here(transaction.opened, recipient, found)
            return refusal or Destination(
                recipient, tuple(account.id for account in found.accounts), found.remotes
            )
        if self._policy is not None and (refusal := await self._policy.refused_rcpt()) is not None:
            return refusal
        return replace(_NO_SUCH_USER, because=found.alias_trouble) if found.status == "unknown" else _NO_RELAY

    async def _refusal_here(
        self, opened: Envelope, recipient: Recipient, found: Resolution
    ) -> Refusal | None:
        """Of a recipient that exists. Postmaster and abuse are reached by any sender and under any name."""
        # A full mailbox beside one with room: the copy that fits is made, and who sends is not kept waiting
        # for the other.
        if (
            found.accounts
            and not found.remotes
            and all(_is_full(account, opened.declared_octets or 0) for account in found.accounts)
        ):
            return FULL
        is_role = recipient.address.local_canonical in ROLES
        if not is_role and (refusal := await self._refusal_of_sender(opened)) is not None:
            return refusal
        return await self._policy.rcpt(is_role=is_role) if self._policy is not None else None

    async def _refusal_of_sender(self, opened: Envelope) -> Refusal | None:
        """Asked once in a transaction."""
        if not self._is_sender_known:
            self._sender_refusal = await self._tools.inspector.sender(
                self._connection.stream.peer, opened.reverse_path
            )
            self._is_sender_known = True
        return self._sender_refusal

    async def begin(self, transaction: MailTransaction) -> IncomingContent:
        return self._acceptances.open(self._look_at_header)

    def _look_at_header(self, header: HeaderSection) -> HeaderVerdict:
        if is_looping(header, self._config.limits.received_fields):
            return HeaderVerdict(_LOOP)
        # RFC 5321 §4.4: the Return-Path of final delivery is ours.
        cuts = header.all(b"return-path") + self._tools.inspector.cuts(header)
        return HeaderVerdict(replacement=header.excluding(cuts)) if cuts else HeaderVerdict()

    async def message(self, transaction: MailTransaction, content: IncomingContent) -> Refusal | Reply:
        assert content.header is not None
        acceptances, now_us = self._acceptances, self._tools.clock.now_us()
        message_id = acceptances.new_message_id()
        arrival = self._arrival(transaction, content, message_id, now_us)
        inspection = await self._tools.inspector.inspect(arrival, self._outwait)
        if inspection.refusal is not None:
            return replace(inspection.refusal, id=message_id)
        envelope = replace(arrival.envelope, vouched=inspection.vouched)
        received = acceptances.received(
            self._connection, envelope, message_id, now_us, client_name=inspection.client_name
        )
        offered = Offered(
            message_id=message_id,
            envelope=envelope,
            destinations=transaction.destinations,
            header=content.stored_header(),
            content=content.writer,
            deliveries=_deliveries(transaction, message_id, inspection, received),
            client=self._connection.client,
        )
        wanted = await self._tools.sieve.sort(offered)
        if wanted.refusal is not None:
            return Refusal(reply=wanted.refusal, rule=SCRIPT_RULE, because=wanted.because, id=message_id)
        acceptance = Acceptance(
            message_id=message_id,
            envelope=envelope,
            content=content.writer,
            prefix=received,
            deliveries=wanted.deliveries,
            relays=acceptances.relays(wanted.destinations, now_us),
            origin="reception",
            header_message_id=header_message_id(content.header),
            references=header_references(content.header),
            one_of_each=() if may_be_told(envelope) else groups_of(transaction.destinations),
        )
        author = inspection.proven_author
        report = await self._tools.intake.read(message_id, envelope, content.writer, author)
        accepted = await self._tools.spool.accept(acceptance)
        refusal = await acceptances.tell(transaction, acceptance, accepted, content)
        if refusal is None:
            await self._tools.sieve.follow(offered, wanted)
            await self._tools.intake.keep(report)
        return refusal or acceptances.conclude(self._connection, acceptance, accepted, content.header)

    def _arrival(
        self, transaction: MailTransaction, content: IncomingContent, message_id: str, now_us: int
    ) -> Arrival:
        assert content.header is not None
        client, destinations = self._connection.stream.peer, transaction.destinations
        return Arrival(
            message_id=message_id,
            at_us=now_us,
            hostname=self._config.hostname,
            client=client,
            hello=self._connection.hello.name,
            envelope=transaction.envelope,
            header=content.header,
            content=content.writer,
            body_offset=content.body_offset,
            account_ids=accounts_of(destinations),
            role_account_ids=frozenset(accounts_of(destinations, ROLES)),
        )

    async def _outwait(self, seconds: float) -> bool:
        return await outwait(self._connection.stream, seconds, self._tools.sleep, self._tools.shutdown)

    async def sasl(self, event: SaslBegins | SaslResponse | SaslDropped) -> Refusal:
        return _NOT_OFFERED


def _deliveries(
    transaction: MailTransaction, message_id: str, inspection: Inspection, received: bytes
) -> tuple[MailboxDelivery, ...]:
    return_path, below = format_return_path(transaction.opened.reverse_path), inspection.fields + received
    return deliveries_of(
        message_id,
        transaction.destinations,
        return_path + below,
        is_junk=inspection.is_junk,
        spared=inspection.spared,
        junk_prefix=return_path + inspection.junk_fields + below,
    )


def _is_full(account: Account, declared_octets: int) -> bool:
    """RFC 1870 §6.1: what the client says of the size counts before the message comes."""
    return account.quota_octets > 0 and account.used_octets + max(declared_octets, 1) > account.quota_octets
