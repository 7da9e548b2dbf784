"""Submission (MSA): ports 465 and 587. Takes mail from accounts of this server only, and only in their own names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sekisho.config.ledger import LedgerSettings
from sekisho.config.schema import Limits, LoginSettings, QueueSettings, SubmissionSettings
from sekisho.core.message.dsn_text import Language
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.references import header_message_id, header_references
from sekisho.core.message.trace import Hop, format_received, format_return_path, new_message_id
from sekisho.core.smtp.events import Hello, SaslBegins, SaslResponse
from sekisho.core.smtp.session import ServerSettings
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.reply import Reply
from sekisho.ports.authentication import Authenticator
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.directory import Account, Directory
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.leases import Owner
from sekisho.ports.ledger import client_keys
from sekisho.ports.metrics import Metrics
from sekisho.ports.outgoing import Outgoing
from sekisho.ports.spool import Acceptance, Accepted, QueueJob, Spool
from sekisho.ports.stream import ListenerInfo, Shutdown, Stream, StreamError
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.acceptance import (
    FULL,
    Destination,
    RelayTerms,
    SenderNotices,
    check_complete,
    deliveries_of,
    only_recipient,
    outcome_for_senders,
    relays_of,
)
from sekisho.services.entries import about_message, recipients_of, subject_of
from sekisho.services.experience import Correspondence, NoCorrespondence
from sekisho.services.notices import HEAD_OCTETS, NoticedMessage, NoticePorts, NoticeRules, Notices
from sekisho.services.references import References
from sekisho.services.signing import NO_SIGNING, Signing
from sekisho.services.smtp_content import HeaderVerdict, IncomingContent
from sekisho.services.smtp_session import OpenSessions, SessionTools, SmtpSession, Timeouts
from sekisho.services.submission.fixups import Stamp, author_addresses, check_header, fixed_header
from sekisho.services.submission.login import Login
from sekisho.services.submission.seams import Context, OutboundJudge, Signer, Submitted
from sekisho.services.submission.sender import SenderRights

_SENDER_OK = Reply.of(250, "2.1.0", "Sender OK")
_RECIPIENT_OK = Reply.of(250, "2.1.5", "Recipient OK")
_NO_SUCH_USER = Reply.of(550, "5.1.1", "No such recipient here")
_LITERAL = Reply.of(550, "5.1.2", "Mail to address literals is not sent; use a domain")
_NOT_QUALIFIED = Reply.of(554, "5.1.2", "The recipient's domain is not fully qualified")  # RFC 6409 §4.2
_NO_ROOM = Reply.of(452, "4.3.1", "Not enough room for mail now; try again later")
_LOGGED_OUT = Reply.of(421, "4.7.0", "This login is no longer valid; log in again")


@dataclass(frozen=True, slots=True)
class SubmissionTools:
    """`started` gets the queue work that was claimed with the acceptance; `owner` claims it, or gives None: whoever has time then."""

    spool: Spool
    directory: Directory
    recipients: RecipientProbe
    authenticator: Authenticator
    judge: OutboundJudge
    signer: Signer
    clock: Clock
    dice: Dice
    journal: Journal
    metrics: Metrics
    shutdown: Shutdown
    owner: Callable[[], Owner | None] = lambda: None
    started: Callable[[tuple[QueueJob, ...]], None] = lambda jobs: None
    signing: Signing = NO_SIGNING  # of notices
    correspondence: Correspondence = field(default_factory=NoCorrespondence)


@dataclass(frozen=True, slots=True)
class SubmissionConfig:
    hostname: str
    limits: Limits
    submission: SubmissionSettings
    login: LoginSettings
    queue: QueueSettings
    loose_dot_domains: tuple[str, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)  # config: relay.routes
    language: Language = "en"  # of notices
    ledger: LedgerSettings = field(default_factory=LedgerSettings)


class Submission:
    """Implements `ports.stream.ConnectionHandler`. One per worker."""

    def __init__(self, tools: SubmissionTools, config: SubmissionConfig) -> None:
        self._tools = tools
        self._config = config
        self._sessions = OpenSessions(tools.shutdown)
        rules = NoticeRules(config.hostname, config.language, config.routes, int(config.queue.notice_lifetime_seconds * 1_000_000))
        ports = NoticePorts(tools.spool, tools.recipients, tools.clock, tools.dice, tools.journal, tools.signing)
        self._notices = SenderNotices(Notices(rules, ports), tools.spool, tools.journal)
        settings = config.submission
        self._timeouts = Timeouts(
            settings.command_timeout_seconds,
            settings.data_timeout_seconds,
            settings.session_timeout_seconds,
            settings.login_timeout_seconds,
            settings.data_octets_per_second,
        )
        self._session_tools = SessionTools(tools.clock, tools.journal, tools.metrics, tools.shutdown)
        self._server_settings = lru_cache(maxsize=2)(self._make_server_settings)

    def _make_server_settings(self, starttls: bool) -> ServerSettings:
        limits = self._config.limits
        return ServerSettings(
            "submission",
            self._config.hostname,
            message_octets=limits.message_octets,
            recipients=limits.recipients,
            transactions=limits.transactions_per_session,
            errors=limits.errors_per_session,
            refused_recipients=10 * limits.errors_per_session,
            starttls=starttls,
            mechanisms=(),  # they depend on the connection
            any_hello_name=True,
            loose_dot_domains=frozenset(self._config.loose_dot_domains),
        )

    def new_references(self) -> References:
        """The ids of one connection."""
        return References(self._tools.dice, self._config.ledger.why_url)

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        await self.serve(stream, listener)

    async def serve(self, stream: Stream, listener: ListenerInfo, identity: Identity | None = None) -> None:
        """`identity`: who is there is known from the operating system; there is no login."""
        decider = _Transactions(stream, self._tools, self._config, self._notices, identity)
        session = SmtpSession(stream, self._server_settings(listener.can_starttls), decider, self._timeouts, self._session_tools)
        reason = "lost"
        try:
            reason = await self._sessions.run(session)
        except StreamError as error:
            reason = f"{type(error).__name__}: {error}"
            raise
        finally:
            summary = decider.summary(reason)
            about = (*decider.about_client, str(summary["account"]))
            self._tools.journal.record(Entry("submission.connection", decider.references.session, summary, about))


class _Transactions:
    """The decisions of one connection (`services.smtp_session.Decider`)."""

    def __init__(
        self, stream: Stream, tools: SubmissionTools, config: SubmissionConfig, notices: SenderNotices, identity: Identity | None
    ) -> None:
        self._stream = stream
        self.about_client = client_keys(stream.peer.address)
        self.client = self.about_client[0]
        self.references = References(tools.dice, config.ledger.why_url)
        self._tools = tools
        self._config = config
        self._notices = notices
        self._rights = SenderRights(tools.directory)
        self._login = Login(tools.authenticator, stream, config.login.failures_per_connection)
        self._login.identity = identity
        self._is_local = identity is not None
        self._account: Account | None = None
        self._hello = Hello(False, "")
        self._destinations: list[Destination] = []
        self._message_id = ""
        self._counts = {"accepted": 0, "refused": 0}

    @property
    def is_authenticated(self) -> bool:
        return self._login.identity is not None

    @property
    def last_words(self) -> Reply | None:
        return self._login.last_words

    def summary(self, reason: str) -> dict[str, str | int]:
        tls, identity = self._stream.tls, self._login.identity
        return {
            "client": self.client,
            "hello": self._hello.name,
            "tls": tls.version if tls else "",
            "account": str(identity.address) if identity else "",
            "reason": reason,
            **self._counts,
        }

    async def connected(self) -> Reply | None:
        return None

    async def hello(self, event: Hello, *, is_early: bool) -> Reply | None:
        self._hello = event
        return None

    def tls_started(self) -> None:
        self._hello = Hello(False, "")

    async def sasl(self, event: SaslBegins | SaslResponse) -> Reply | bytes:
        return await self._login.take(event)

    def sasl_dropped(self) -> None:
        self._login.failed()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return self._login.mechanisms

    async def mail(self, envelope: Envelope) -> Reply:
        self._destinations.clear()
        self._message_id = ""
        account = await self._current_account()
        if account is None:  # THREATS 15: an open session does not outlive its account
            return _LOGGED_OUT
        self._account = account
        sender = envelope.reverse_path.address  # None is for notices (MDNs): their From is still checked
        if sender is not None and not await self._rights.may_send_as(account, sender, self._only_sender):
            fields = {"reverse_path": str(sender), "rule": "not-your-address"}
            return self._refuse(_not_yours("envelope sender", sender, account, self._only_sender), fields, str(sender))
        return _SENDER_OK if await self._tools.spool.has_room() else _NO_ROOM

    async def _current_account(self) -> Account | None:
        identity = self._login.identity
        if identity is None or not await self._tools.authenticator.still_valid(identity):
            return None
        return await self._tools.directory.account(identity.account_id)

    async def rcpt(self, recipient: Recipient) -> Reply:
        address = recipient.address
        found = await self._tools.recipients.resolve(address)
        if found.status == "local":
            if found.accounts and not found.remotes and all(0 < a.quota_octets <= a.used_octets for a in found.accounts):
                return self._refuse_recipient(recipient, FULL, "mailbox-full")
            self._destinations.append(Destination(recipient, tuple(a.id for a in found.accounts), found.remotes))
            return _RECIPIENT_OK
        if found.status == "unknown":
            return self._refuse_recipient(recipient, _NO_SUCH_USER, "no-such-recipient", found.alias_trouble)
        if address.is_literal or not address.domain:
            return self._refuse_recipient(recipient, _LITERAL, "address-literal")
        if "." not in address.domain:
            return self._refuse_recipient(recipient, _NOT_QUALIFIED, "not-qualified")
        self._destinations.append(Destination(recipient, remotes=(address,)))
        return _RECIPIENT_OK

    def _refuse_recipient(self, recipient: Recipient, reply: Reply, rule: str, because: str = "") -> Reply:
        address, account, session = str(recipient.address), self._account_address, self.references.session
        fields: dict[str, JournalValue] = {
            "client": self.client,
            "account": account,
            "recipient": address,
            "reply": str(reply),
            "rule": rule,
            "because": because,
            "session": session,
        }
        about = (address, account, session)
        self._tools.journal.record(Entry("submission.recipient_refused", self.references.new(), fields, about))
        return reply

    @property
    def _only_sender(self) -> Address | None:
        return self._login.identity.sender if self._login.identity else None

    @property
    def _account_address(self) -> str:
        return str(self._login.identity.address) if self._login.identity else ""

    async def begin(self, envelope: Envelope) -> IncomingContent | Reply:
        limits = self._config.limits
        self._message_id = new_message_id(self._tools.clock.now_us(), self._tools.dice.octets(8))
        return IncomingContent(
            self._tools.spool.open_content(), self._look_at_header, header_octets=limits.header_octets, header_fields=limits.header_fields
        )

    def _look_at_header(self, header: HeaderSection) -> HeaderVerdict:
        refusal = check_header(header, self._config.limits.received_fields)
        if refusal is not None:
            return HeaderVerdict(refusal)
        assert self._account is not None
        domain = self._account.address.rpartition("@")[2]
        return fixed_header(header, Stamp(self._message_id, domain, self._tools.clock.now_us()))

    async def message(self, envelope: Envelope, content: IncomingContent) -> Reply:
        assert content.header is not None and self._account is not None and self._login.identity is not None
        check_complete(self._destinations, envelope)
        authors = author_addresses(content.header, self._config.loose_dot_domains)
        if isinstance(authors, Reply):
            return self._refuse_content(authors, content, envelope, "malformed-author")
        for name, address in authors:
            if not await self._rights.may_send_as(self._account, address, self._only_sender):
                reply = _not_yours(f"{name} field", address, self._account, self._only_sender)
                return self._refuse_content(reply, content, envelope, "not-your-address")
        from_addresses = tuple(address for name, address in authors if name == "From")
        submitted = Submitted(
            self._message_id,
            self._login.identity,
            envelope,
            content.stored_header(),
            content.writer,
            from_addresses,
            Context(None if self._is_local else self._stream.peer.address, self._hello.name, self._login.mechanism),
            tuple(d.recipient.address for d in self._destinations if d.remotes == (d.recipient.address,)),
            tuple(d.recipient for d in self._destinations if d.account_ids),
        )
        if self._account.state == "sending_held":
            return await self._accept(submitted, None, is_kept_back=True)
        verdict = await self._tools.judge.judge(submitted)
        if verdict.refusal is not None:
            return self._refuse_content(verdict.refusal, content, envelope, "takeover", verdict.because)
        return await self._accept(submitted, verdict.outgoing)

    async def _accept(self, submitted: Submitted, outgoing: Outgoing | None, *, is_kept_back: bool = False) -> Reply:
        """`is_kept_back`: an operator holds what the account sends; it hears of success all the same, as with the guard."""
        tools, envelope, now_us = self._tools, submitted.envelope, self._tools.clock.now_us()
        prefix = format_received(self._hop(envelope, now_us)) + await tools.signer.sign(submitted)
        terms = RelayTerms(now_us, self._config.queue.lifetime_seconds, self._config.routes, tools.owner())
        acceptance = Acceptance(
            message_id=self._message_id,
            envelope=envelope,
            content=submitted.content,
            prefix=prefix,
            deliveries=deliveries_of(self._message_id, self._destinations, format_return_path(envelope.reverse_path) + prefix),
            relays=relays_of(self._destinations, terms),
            origin="local" if self._is_local else "submission",
            account_id=submitted.identity.account_id,
            header_message_id=header_message_id(submitted.header),
            references=header_references(submitted.header),
            outgoing=outgoing,
            kept_back=submitted.locals if is_kept_back else None,
        )
        accepted = await tools.spool.accept(acceptance)
        if is_kept_back:
            return self._conclude(acceptance, accepted, submitted.header)
        if accepted.decision is not None:
            tools.judge.decided(submitted, accepted.decision)
            if accepted.decision.case_id:
                return self._conclude(acceptance, accepted, submitted.header)  # nobody is told of success: nothing was delivered
        tools.correspondence.wrote(submitted.identity.account_id, [one for d in self._destinations for one in d.remotes])
        if accepted.over_quota_account_ids and not accepted.delivered_account_ids and not acceptance.relays:
            return self._refuse_message(FULL, envelope, ("mailbox-full", ""), acceptance.header_message_id)
        told = outcome_for_senders(self._destinations, accepted, now_us)
        if told:
            head = submitted.header.octets
            size_octets = acceptance.content.size_octets
            message = NoticedMessage(acceptance.message_id, envelope, now_us, head[:HEAD_OCTETS], size_octets, is_ours=True)
            await self._notices.tell(message, told)
        return self._conclude(acceptance, accepted, submitted.header)

    def _conclude(self, acceptance: Acceptance, accepted: Accepted, header: HeaderSection) -> Reply:
        if accepted.jobs:
            self._tools.started(accepted.jobs)
        self._counts["accepted"] += 1
        octets = acceptance.content.size_octets
        self._tools.metrics.count("sekisho_messages_received_total", service="submission", result="accepted")
        self._tools.metrics.count("sekisho_message_octets_total", octets, service="submission")
        fields: dict[str, JournalValue] = {
            "client": self.client,
            "account": self._account_address,
            "reverse_path": str(acceptance.envelope.reverse_path),
            "recipient": recipients_of(acceptance.envelope),
            "recipients": len(acceptance.envelope.recipients),
            "delivered": len(accepted.delivered_account_ids),
            "over_quota": len(accepted.over_quota_account_ids),
            "relayed": len(acceptance.relays),
            "octets": octets,
            "message_id": acceptance.header_message_id,
            "session": self.references.session,
        }
        if acceptance.kept_back is not None:
            fields |= {"rule": "sending-held"}
        if self._config.ledger.subjects:
            fields["subject"] = subject_of(header)
        about = (*about_message(acceptance.envelope, acceptance.header_message_id), self._account_address, self.references.session)
        self._tools.journal.record(Entry("submission.accepted", acceptance.message_id, fields, about))
        return Reply.of(250, "2.0.0", f"Accepted as {acceptance.message_id}")

    def _hop(self, envelope: Envelope, now_us: int) -> Hop:
        tls = self._stream.tls
        hidden = self._config.submission.hide_client_address or self._is_local
        return Hop(
            by=self._config.hostname,
            message_id=self._message_id,
            at_us=now_us,
            hello=self._hello.name,
            client=None if hidden else self._stream.peer.address,
            extended=self._hello.extended,
            tls_cipher=tls.cipher if tls else "",
            authenticated=not self._is_local,
            smtputf8=envelope.smtputf8,
            local=self._is_local,
            recipient=only_recipient(envelope),
        )

    def _refuse_content(self, reply: Reply, content: IncomingContent, envelope: Envelope, rule: str, because: str = "") -> Reply:
        header = content.stored_header()
        content.writer.discard()
        return self._refuse_message(reply, envelope, (rule, because), header_message_id(header))

    def _refuse_message(self, reply: Reply, envelope: Envelope, why: tuple[str, str], message_id: str) -> Reply:
        rule, because = why
        fields = {"reverse_path": str(envelope.reverse_path), "rule": rule, "because": because, "message_id": message_id}
        self.references.use(self._message_id)
        return self._refuse(reply, fields | {"recipient": recipients_of(envelope)}, *about_message(envelope, message_id))

    def _refuse(self, reply: Reply, fields: dict[str, str], *about: str) -> Reply:
        """Written down under the id that was chosen, or else a new one."""
        references, account = self.references, self._account_address
        self._counts["refused"] += 1
        self._tools.metrics.count("sekisho_messages_received_total", service="submission", result="refused")
        entry = {"client": self.client, "account": account, "reply": str(reply), **fields, "session": references.session}
        id_ = references.use(references.taken() or references.new())
        self._tools.journal.record(Entry("submission.refused", id_, entry, (*about, account, *self.about_client, references.session)))
        return reply

    def refused(self, envelope: Envelope, reply: Reply, id_: str) -> None:
        self.references.use(id_)
        fields = {"reverse_path": str(envelope.reverse_path), "recipient": recipients_of(envelope), "rule": "content"}
        self._refuse(reply, fields, *about_message(envelope, ""))

    def dropped(self) -> None:
        self._destinations.clear()


def _not_yours(what: str, address: Address, account: Account, only: Address | None) -> Reply:
    """550 5.7.1 (RFC 6409 §6.1), naming what and what to do."""
    allowed = f"{account.address} or one of its aliases" if only is None else f"{only}: this password is for that alone"
    return Reply.of(550, "5.7.1", f"The {what} {address} is not yours; send as {allowed}")
