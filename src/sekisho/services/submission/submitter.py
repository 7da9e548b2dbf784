"""What submission decides about one connection: who is there, and may it send this?"""

from dataclasses import replace

from sekisho.core.message.header import HeaderSection
from sekisho.core.smtp.events import Hello, SaslBegins, SaslDropped, SaslResponse
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.directory import Account
from sekisho.services.smtp.acceptance import FULL, Destination
from sekisho.services.smtp.content import HeaderVerdict, IncomingContent
from sekisho.services.smtp.refusal import Refusal
from sekisho.services.smtp.transaction import Acceptances, MailTransaction
from sekisho.services.submission.departure import Departure
from sekisho.services.submission.fixups import FixupStamp, author_addresses, check_header, fixed_header
from sekisho.services.submission.login import SubmissionLogin
from sekisho.services.submission.seams import SubmissionContext, Submitted
from sekisho.services.submission.sender import SenderRights
from sekisho.services.submission.tools import SubmissionConfig, SubmissionTools

_NO_SUCH_USER = Refusal.of(550, "5.1.1", "No such recipient here", "no-such-recipient")
_LITERAL = Refusal.of(
    550, "5.1.2", "Mail to address literals is not accepted; use a domain", "address-literal"
)
_NOT_QUALIFIED = Refusal.of(
    554, "5.1.2", "The recipient's domain is not fully qualified", "not-qualified"
)  # RFC 6409 §4.2
_LOGGED_OUT = Refusal.of(421, "4.7.0", "This login is no longer valid; log in again")


class Submitter:
    """Implements `services.smtp.session.Decider`."""

    def __init__(
        self,
        tools: SubmissionTools,
        config: SubmissionConfig,
        acceptances: Acceptances,
        login: SubmissionLogin,
        rights: SenderRights,
    ) -> None:
        self._tools, self._config = tools, config
        self._acceptances = acceptances
        self._login, self._rights = login, rights
        self._connection = login.connection
        self._departure = Departure(tools, config, acceptances, login)
        self._account: Account | None = None  # of the transaction
        self._message_id = ""

    async def connected(self) -> None:
        return None

    async def hello(self, event: Hello, *, is_early: bool) -> tuple[str, ...]:
        return self._login.mechanisms

    async def sasl(self, event: SaslBegins | SaslResponse | SaslDropped) -> Refusal | Reply | bytes:
        return await self._login.take(event)

    async def mail(self, envelope: Envelope) -> Refusal | None:
        account = await self._current_account()
        if account is None:  # THREATS 15: an open session does not outlive its account
            return _LOGGED_OUT
        self._account = account
        sender = envelope.reverse_path.address  # None is for notices (MDNs): their From is still checked
        if sender is not None:
            refusal = await self._rights.refusal(account, sender, "envelope sender", self._login.only_sender)
            if refusal is not None:
                return refusal
        return await self._acceptances.no_room()

    async def _current_account(self) -> Account | None:
        identity = self._login.identity
        if identity is None or not await self._tools.authenticator.still_valid(identity):
            return None
        return await self._tools.directory.account(identity.account_id)

    async def rcpt(self, transaction: MailTransaction, recipient: Recipient) -> Refusal | Destination:
        address = recipient.address
        found = await self._tools.recipients.resolve(address)
        if found.status == "local":
            if (
                found.accounts
                and not found.remotes
                and all(0 < a.quota_octets <= a.used_octets for a in found.accounts)
            ):
                return FULL
            return Destination(recipient, tuple(account.id for account in found.accounts), found.remotes)
        if found.status == "unknown":
            return replace(_NO_SUCH_USER, because=found.alias_trouble)
        if address.is_literal or not address.domain:
            return _LITERAL
        if "." not in address.domain:
            return _NOT_QUALIFIED
        return Destination(recipient, remotes=(address,))

    async def begin(self, transaction: MailTransaction) -> IncomingContent:
        self._message_id = self._acceptances.new_message_id()
        return self._acceptances.open(self._look_at_header)

    def _look_at_header(self, header: HeaderSection) -> HeaderVerdict:
        refusal = check_header(header, self._config.limits.received_fields)
        if refusal is not None:
            return HeaderVerdict(refusal)
        assert self._account is not None
        domain = self._account.address.rpartition("@")[2]
        return fixed_header(header, FixupStamp(self._message_id, domain, self._tools.clock.now_us()))

    async def message(self, transaction: MailTransaction, content: IncomingContent) -> Refusal | Reply:
        submitted = await self._submitted(transaction, content)
        if isinstance(submitted, Refusal):
            return replace(submitted, id=self._message_id)
        assert self._account is not None
        is_kept_back = self._account.state == "sending_held"
        return await self._departure.send(transaction, submitted, content, is_kept_back=is_kept_back)

    async def _submitted(self, transaction: MailTransaction, content: IncomingContent) -> Submitted | Refusal:
        """Everybody whom the message names as its author or sender is the account."""
        account, identity = self._account, self._login.identity
        assert content.header is not None and account is not None and identity is not None
        authors = author_addresses(content.header, self._config.loose_dot_domains)
        if isinstance(authors, Refusal):
            return authors
        for name, address in authors:
            refusal = await self._rights.refusal(account, address, f"{name} field", self._login.only_sender)
            if refusal is not None:
                return refusal
        connection, destinations = self._connection, transaction.destinations
        return Submitted(
            message_id=self._message_id,
            identity=identity,
            envelope=transaction.envelope,
            header=content.stored_header(),
            content=content.writer,
            authors=tuple(address for name, address in authors if name == "From"),
            context=SubmissionContext(
                None if self._login.is_local else connection.stream.peer.address,
                connection.hello.name,
                self._login.mechanism,
            ),
            elsewhere=tuple(d.recipient.address for d in destinations if d.remotes == (d.recipient.address,)),
            locals=tuple(d.recipient for d in destinations if d.account_ids),
        )
