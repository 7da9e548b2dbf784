"""Reception (MTA in): port 25. Takes mail for local recipients from anyone, and nothing else from anybody."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from sekisho.config.ledger import LedgerSettings
from sekisho.config.schema import Limits, QueueSettings, ReceptionSettings
from sekisho.core.message.dsn_text import Language
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.references import header_message_id, header_references
from sekisho.core.message.trace import Hop, format_received, format_return_path, is_looping, new_message_id
from sekisho.core.policy.door import DoorVerdict
from sekisho.core.smtp.events import Hello, SaslBegins, SaslResponse
from sekisho.core.smtp.session import ServerSettings
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import EnhancedStatus, Reply
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.directory import Account
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.leases import Owner
from sekisho.ports.ledger import client_keys
from sekisho.ports.metrics import Metrics
from sekisho.ports.spool import Acceptance, Accepted, QueueJob, Spool
from sekisho.ports.stream import ListenerInfo, Shutdown, Stream, StreamError
from sekisho.probes.recipient import ROLES, RecipientProbe
from sekisho.services.acceptance import (
    FULL,
    Destination,
    RelayTerms,
    SenderNotices,
    accounts_of,
    check_complete,
    deliveries_of,
    groups_of,
    only_recipient,
    outcome_for_senders,
    relays_of,
)
from sekisho.services.entries import about_stranger, recipients_of, subject_of
from sekisho.services.notices import HEAD_OCTETS, NoticedMessage, NoticePorts, NoticeRules, Notices, may_be_told
from sekisho.services.reception.inspection import Arrival, Inspector, SenderRefusal
from sekisho.services.reception.outwaiting import outwait
from sekisho.services.reception.watch import DoorWatch
from sekisho.services.references import References
from sekisho.services.signing import NO_SIGNING, Signing
from sekisho.services.smtp_content import HeaderVerdict, IncomingContent
from sekisho.services.smtp_session import OpenSessions, SessionTools, SmtpSession, Timeouts

_SUCCESS = EnhancedStatus(2, 0, 0)
_SENDER_OK = Reply.of(250, "2.1.0", "Sender OK")
_RECIPIENT_OK = Reply.of(250, "2.1.5", "Recipient OK")
_NO_RELAY = Reply.of(550, "5.7.1", "Relaying denied: that domain is not served here")
_NO_SUCH_USER = Reply.of(550, "5.1.1", "No such recipient here")
_NO_ROOM = Reply.of(452, "4.3.1", "Not enough room for mail now; try again later")
_LOOP = Reply.of(554, "5.4.6", "Too many Received fields: the message goes in a loop")
_NOT_OFFERED = Reply.of(502, "5.5.1", "Not implemented")


@dataclass(frozen=True, slots=True)
class ReceptionTools:
    """`started` gets the queue work that was claimed with the acceptance; `owner` claims it, or gives None: whoever has time then."""

    spool: Spool
    recipients: RecipientProbe
    inspector: Inspector
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    shutdown: Shutdown
    owner: Callable[[], Owner | None] = lambda: None
    started: Callable[[tuple[QueueJob, ...]], None] = lambda jobs: None
    signing: Signing = NO_SIGNING  # of notices
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    watch: DoorWatch | None = None


@dataclass(frozen=True, slots=True)
class ReceptionConfig:
    hostname: str
    limits: Limits
    reception: ReceptionSettings
    queue: QueueSettings
    routes: Mapping[str, str] = field(default_factory=dict)  # config: relay.routes
    language: Language = "en"  # of notices
    ledger: LedgerSettings = field(default_factory=LedgerSettings)


class Reception:
    """Implements `ports.stream.ConnectionHandler`. One per worker."""

    def __init__(self, tools: ReceptionTools, config: ReceptionConfig) -> None:
        self._tools = tools
        self._config = config
        self._sessions = OpenSessions(tools.shutdown)
        rules = NoticeRules(config.hostname, config.language, config.routes, int(config.queue.notice_lifetime_seconds * 1_000_000))
        ports = NoticePorts(tools.spool, tools.recipients, tools.clock, tools.dice, tools.journal, tools.signing)
        self._notices = SenderNotices(Notices(rules, ports), tools.spool, tools.journal)
        settings = config.reception
        self._timeouts = Timeouts(
            settings.command_timeout_seconds,
            settings.data_timeout_seconds,
            settings.session_timeout_seconds,
            data_octets_per_second=settings.data_octets_per_second,
        )
        self._session_tools = SessionTools(tools.clock, tools.journal, tools.metrics, tools.shutdown)
        self._server_settings = lru_cache(maxsize=2)(self._make_server_settings)

    def _make_server_settings(self, starttls: bool) -> ServerSettings:
        limits = self._config.limits
        return ServerSettings(
            "reception",
            self._config.hostname,
            message_octets=limits.message_octets,
            recipients=limits.recipients,
            transactions=limits.transactions_per_session,
            errors=limits.errors_per_session,
            refused_recipients=10 * limits.errors_per_session,
            text_line_octets=self._config.reception.text_line_octets,
            starttls=starttls,
            loose_dot_domains=frozenset(self._config.reception.loose_dot_domains),
        )

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        decider = _Transactions(stream, self._tools, self._config, self._notices)
        session = SmtpSession(stream, self._server_settings(listener.can_starttls), decider, self._timeouts, self._session_tools)
        reason = "lost"
        try:
            reason = await self._sessions.run(session)
        except StreamError as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            decider.ended(reason, session.machine.errors)


class _Transactions:
    """The decisions of one connection (`services.smtp_session.Decider`)."""

    is_authenticated = False
    last_words: Reply | None = None

    def __init__(self, stream: Stream, tools: ReceptionTools, config: ReceptionConfig, notices: SenderNotices) -> None:
        self._stream = stream
        self.about_client = client_keys(stream.peer.address)
        self.client = self.about_client[0]
        self.references = References(tools.dice, config.ledger.why_url)
        self._tools = tools
        self._config = config
        self._notices = notices
        self._hello = Hello(False, "")
        self._reverse_path = ReversePath()
        self._sender_refusal: SenderRefusal | None = None
        self._is_sender_known = False
        self._declared_octets = 0
        self._destinations: list[Destination] = []
        self._counts = {"accepted": 0, "refused": 0, "recipients_refused": 0}
        self._visit = tools.watch.visit(stream, self.references, self.about_client) if tools.watch is not None else None

    def ended(self, reason: str, errors: int) -> None:
        """The connection is over; the client made so many errors."""
        if self._visit is not None:
            self._visit.ended(errors)
            if self._visit.is_repeated:
                return
        tls = self._stream.tls
        version = tls.version if tls else ""
        fields: dict[str, JournalValue] = {"client": self.client, "hello": self._hello.name, "tls": version, "reason": reason}
        self._tools.journal.record(Entry("reception.connection", self.references.session, fields | self._counts, self.about_client))

    async def connected(self) -> Reply | None:
        return await self._visit.greet() if self._visit is not None else None

    async def hello(self, event: Hello, *, is_early: bool) -> Reply | None:
        self._hello = event
        if self._visit is not None:
            self._visit.hello(is_early=is_early)
        return None

    def tls_started(self) -> None:
        self._hello = Hello(False, "")

    async def mail(self, envelope: Envelope) -> Reply:
        self._destinations.clear()
        self._reverse_path, self._is_sender_known = envelope.reverse_path, False
        self._declared_octets = envelope.declared_octets or 0
        if self._visit is not None and (verdict := await self._visit.mail()) is not None:
            return self._turn_away("MAIL", str(envelope.reverse_path), verdict)
        return _SENDER_OK if await self._tools.spool.has_room() else _NO_ROOM

    async def rcpt(self, recipient: Recipient) -> Reply:
        found = await self._tools.recipients.resolve(recipient.address, self._stream.local.address)
        if found.status == "local":
            # A full mailbox beside one with room: the copy that fits is made, and who sends is not kept waiting for the other.
            if found.accounts and not found.remotes and all(_is_full(account, self._declared_octets) for account in found.accounts):
                return self._refuse_recipient(recipient, FULL, "mailbox-full")
            if (refusal := await self._refusal_of_sender(recipient)) is not None:
                return self._refuse_recipient(recipient, refusal.reply, refusal.rule, refusal.because)
            if self._visit is not None:
                is_role = recipient.address.local_canonical in ROLES
                verdict = await self._visit.rcpt(self._hello.name, is_role=is_role)
                if verdict is not None and verdict.reply is not None:
                    return self._refuse_recipient(recipient, verdict.reply, verdict.rule, verdict.because)
            self._destinations.append(Destination(recipient, tuple(a.id for a in found.accounts), found.remotes))
            return _RECIPIENT_OK
        if self._visit is not None and (verdict := await self._visit.refused_rcpt()) is not None and verdict.reply is not None:
            return self._refuse_recipient(recipient, verdict.reply, verdict.rule, verdict.because)
        if found.status == "unknown":
            return self._refuse_recipient(recipient, _NO_SUCH_USER, "no-such-recipient", found.alias_trouble)
        return self._refuse_recipient(recipient, _NO_RELAY, "relay-denied")

    async def _refusal_of_sender(self, recipient: Recipient) -> SenderRefusal | None:
        """Asked once in a transaction, and never for postmaster and abuse."""
        if recipient.address.local_canonical in ROLES:
            return None
        if not self._is_sender_known:
            self._sender_refusal = await self._tools.inspector.sender(self._stream.peer, self._reverse_path)
            self._is_sender_known = True
        return self._sender_refusal

    def _turn_away(self, command: str, argument: str, verdict: DoorVerdict) -> Reply:
        assert verdict.reply is not None
        fields: dict[str, JournalValue] = {
            "client": self.client,
            "command": command,
            "argument": argument,
            "reply": str(verdict.reply),
            "rule": verdict.rule,
            "because": verdict.because,
            "session": self.references.session,
        }
        about = (*self.about_client, self.references.session, argument)
        self._tools.journal.record(Entry("reception.command_refused", self.references.new(), fields, about))
        return verdict.reply

    def _refuse_recipient(self, recipient: Recipient, reply: Reply, rule: str, because: str = "") -> Reply:
        self._counts["recipients_refused"] += 1
        client, session, reverse_path, address = self.client, self.references.session, str(self._reverse_path), str(recipient.address)
        fields: dict[str, JournalValue] = {
            "client": client,
            "reverse_path": reverse_path,
            "recipient": address,
            "reply": str(reply),
            "rule": rule,
            "because": because,
            "session": session,
        }
        about = (address, reverse_path, *self.about_client, session)
        self._tools.journal.record(Entry("reception.recipient_refused", self.references.new(), fields, about))
        return reply

    async def begin(self, envelope: Envelope) -> IncomingContent | Reply:
        limits = self._config.limits
        return IncomingContent(
            self._tools.spool.open_content(), self._look_at_header, header_octets=limits.header_octets, header_fields=limits.header_fields
        )

    def _look_at_header(self, header: HeaderSection) -> HeaderVerdict:
        if is_looping(header, self._config.limits.received_fields):
            return HeaderVerdict(_LOOP)
        # RFC 5321 §4.4: the Return-Path of final delivery is ours.
        cuts = header.all(b"return-path") + self._tools.inspector.cuts(header)
        return HeaderVerdict(replacement=header.excluding(cuts)) if cuts else HeaderVerdict()

    async def message(self, envelope: Envelope, content: IncomingContent) -> Reply:
        assert content.header is not None
        check_complete(self._destinations, envelope)
        tools = self._tools
        now_us = tools.clock.now_us()
        message_id = new_message_id(now_us, tools.dice.octets(8))
        inspection = await tools.inspector.inspect(self._arrival(envelope, content, content.header, message_id))
        if inspection.refusal is not None:
            content.writer.discard()
            return self._refuse_message(envelope, inspection.refusal, message_id, ("", inspection.because), content.header)
        envelope = replace(envelope, vouched=inspection.vouched)
        received = format_received(self._hop(envelope, message_id, now_us, inspection.client_name))
        return_path, below = format_return_path(envelope.reverse_path), inspection.fields + received
        deliveries = deliveries_of(
            message_id,
            self._destinations,
            return_path + below,
            is_junk=inspection.is_junk,
            spared=inspection.spared,
            junk_prefix=return_path + inspection.junk_fields + below,
        )
        terms = RelayTerms(now_us, self._config.queue.lifetime_seconds, self._config.routes, tools.owner())
        acceptance = Acceptance(
            message_id=message_id,
            envelope=envelope,
            content=content.writer,
            prefix=received,
            deliveries=deliveries,
            relays=relays_of(self._destinations, terms),
            origin="reception",
            header_message_id=header_message_id(content.header),
            references=header_references(content.header),
            one_of_each=() if may_be_told(envelope) else groups_of(self._destinations),
        )
        accepted = await tools.spool.accept(acceptance)
        if accepted.nothing_taken or (accepted.over_quota_account_ids and not accepted.delivered_account_ids and not acceptance.relays):
            return self._refuse_message(envelope, FULL, message_id, ("mailbox-full", ""), content.header)
        told = outcome_for_senders(self._destinations, accepted, now_us)
        if told:
            head = content.stored_header().octets
            message = NoticedMessage(acceptance.message_id, envelope, now_us, head[:HEAD_OCTETS], acceptance.content.size_octets)
            await self._notices.tell(message, told)
        return self._conclude(acceptance, accepted, content.header)

    def _arrival(self, envelope: Envelope, content: IncomingContent, header: HeaderSection, message_id: str) -> Arrival:
        stream, destinations = self._stream, self._destinations
        return Arrival(
            message_id, envelope, header, content.writer, content.body_offset, stream.peer, self._hello.name, stream.tls,
            accounts_of(destinations), frozenset(accounts_of(destinations, ROLES)), self._outwait,
        )  # fmt: skip

    async def _outwait(self, seconds: float) -> bool:
        return await outwait(self._stream, seconds, self._tools.sleep, self._tools.shutdown)

    def _conclude(self, acceptance: Acceptance, accepted: Accepted, header: HeaderSection) -> Reply:
        if accepted.jobs:
            self._tools.started(accepted.jobs)
        octets = acceptance.content.size_octets
        self._counts["accepted"] += 1
        self._tools.metrics.count("sekisho_messages_received_total", service="reception", result="accepted")
        self._tools.metrics.count("sekisho_message_octets_total", octets, service="reception")
        fields: dict[str, JournalValue] = {
            "client": self.client,
            "hello": self._hello.name,
            "reverse_path": str(acceptance.envelope.reverse_path),
            "recipient": recipients_of(acceptance.envelope),
            "recipients": len(acceptance.envelope.recipients),
            "delivered": len(accepted.delivered_account_ids),
            "over_quota": len(accepted.over_quota_account_ids),
            "relayed": len(acceptance.relays),
            "octets": octets,
            "message_id": acceptance.header_message_id,
            "session": self.references.session,
            **self._subject(header),
        }
        about = (*about_stranger(acceptance.envelope, acceptance.header_message_id), self.references.session)
        self._tools.journal.record(Entry("reception.accepted", acceptance.message_id, fields, about))
        return Reply(250, _SUCCESS, (f"Accepted as {acceptance.message_id}",))

    def _hop(self, envelope: Envelope, message_id: str, now_us: int, client_name: str) -> Hop:
        tls = self._stream.tls
        return Hop(
            by=self._config.hostname,
            message_id=message_id,
            at_us=now_us,
            hello=self._hello.name,
            client=self._stream.peer.address,
            client_name=client_name,
            extended=self._hello.extended,
            tls_cipher=tls.cipher if tls else "",
            smtputf8=envelope.smtputf8,
            recipient=only_recipient(envelope),
        )

    def _subject(self, header: HeaderSection) -> dict[str, JournalValue]:
        return {"subject": subject_of(header)} if self._config.ledger.subjects else {}

    def _refuse_message(self, envelope: Envelope, reply: Reply, id_: str, why: tuple[str, str], header: HeaderSection | None) -> Reply:
        """`why`: the rule, "" if the inspector's own entry names it, and what it found."""
        rule, because = why
        self._counts["refused"] += 1
        self._tools.metrics.count("sekisho_messages_received_total", service="reception", result="refused")
        fields: dict[str, JournalValue] = {
            "client": self.client,
            "reverse_path": str(envelope.reverse_path),
            "recipient": recipients_of(envelope),
            "recipients": len(envelope.recipients),
            "reply": str(reply),
            "rule": rule,
            "because": because,
            "session": self.references.session,
        }
        message_id = ""
        if header is not None:
            message_id = header_message_id(header)
            fields |= {"message_id": message_id, **self._subject(header)}
        about = (*about_stranger(envelope, message_id), *self.about_client, self.references.session)
        self._tools.journal.record(Entry("reception.refused", self.references.use(id_), fields, about))
        return reply

    def refused(self, envelope: Envelope, reply: Reply, id_: str) -> None:
        self._refuse_message(envelope, reply, id_, ("content", ""), None)

    def dropped(self) -> None:
        self._destinations.clear()

    async def sasl(self, event: SaslBegins | SaslResponse) -> Reply | bytes:
        return _NOT_OFFERED

    def sasl_dropped(self) -> None:
        pass

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return ()


def _is_full(account: Account, declared_octets: int) -> bool:
    """RFC 1870 §6.1: what the client says of the size counts before the message comes."""
    return account.quota_octets > 0 and account.used_octets + max(declared_octets, 1) > account.quota_octets
