"""The server's own letters: to an owner, in the mailbox or at a second address, and to the administrator."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from email.header import Header

from sekisho.core.message.date import format_date
from sekisho.core.message.dsn_text import Language
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.trace import format_return_path
from sekisho.core.policy.routing import next_hop_for
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.clock import Clock
from sekisho.ports.spool import Acceptance, MailboxDelivery, RelayRecipient, Spool
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.signing import Signing


@dataclass(frozen=True, slots=True)
class LetterRules:
    """`lifetime_us`: how long a letter to another server is tried."""

    hostname: str
    language: Language
    routes: Mapping[str, str]
    lifetime_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """`id` is the same when the same letter is written again: it is delivered into a mailbox here, and sent
    elsewhere, once."""

    id: str
    to: Address
    author_domain: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLetter:
    """A whole message; the rest as of a `Letter`. `requiretls`: it answers a message that had REQUIRETLS (RFC
    8689 §6.1)."""

    id: str
    to: Address
    author_domain: str
    octets: bytes
    requiretls: bool = False


class LetterWriter:
    def __init__(
        self, rules: LetterRules, spool: Spool, recipients: RecipientProbe, signing: Signing, clock: Clock
    ) -> None:
        self._rules = rules
        self._spool, self._recipients = spool, recipients
        self._signing, self._clock = signing, clock

    async def send(self, letter: Letter) -> bool:
        """Accepted for delivery, now or before? False when nobody has that address, or the mailbox is full.
        Raises StoreUnavailable."""
        octets = _compose(letter, self._rules.hostname, self._clock.now_us())
        return await self.send_written(
            WrittenLetter(id=letter.id, to=letter.to, author_domain=letter.author_domain, octets=octets)
        )

    async def send_written(self, letter: WrittenLetter) -> bool:
        """The same for one that is composed already."""
        now_us, octets = self._clock.now_us(), letter.octets
        resolution = await self._recipients.resolve(letter.to)
        remotes = (letter.to,) if resolution.status == "not_ours" else resolution.remotes
        if resolution.status == "unknown" or not (remotes or resolution.accounts):
            return False
        content = self._spool.open_content()
        content.write(octets)
        signature = await self._signing.sign(letter.author_domain, HeaderSection(octets), content, letter.id)
        expires_at_us = now_us + self._rules.lifetime_us
        accepted = await self._spool.accept(
            Acceptance(
                message_id=letter.id,
                envelope=Envelope(
                    reverse_path=ReversePath(),
                    recipients=(Recipient(letter.to),),
                    body="7BIT",
                    smtputf8=letter.to.needs_smtputf8,
                    requiretls=letter.requiretls,
                ),
                content=content,
                prefix=signature,
                deliveries=tuple(
                    MailboxDelivery(
                        delivery_id=f"{letter.id}/{account.id}/0",
                        account_id=account.id,
                        prefix=format_return_path(ReversePath()) + signature,
                    )
                    for account in resolution.accounts
                ),
                relays=tuple(
                    RelayRecipient(
                        recipient=Recipient(address),
                        next_hop=next_hop_for(address.domain, self._rules.routes),
                        due_at_us=now_us,
                        expires_at_us=expires_at_us,
                    )
                    for address in remotes
                ),
                origin="dsn",
                header_message_id=f"{letter.id}@{self._rules.hostname}",
                repeatable=True,
            )
        )
        return bool(accepted.delivered_account_ids or remotes)


def _compose(letter: Letter, hostname: str, now_us: int) -> bytes:
    subject = (
        letter.subject if letter.subject.isascii() else Header(letter.subject, "utf-8").encode(linesep="\r\n")
    )
    lines = [
        f"From: <postmaster@{letter.author_domain}>",
        f"To: <{letter.to}>",
        f"Subject: {subject}",
        f"Date: {format_date(now_us)}",
        f"Message-ID: <{letter.id}@{hostname}>",
        "Auto-Submitted: auto-generated",  # RFC 3834 §5
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: base64",
    ]
    text = letter.text.replace("\n", "\r\n").encode()
    return (
        "".join(f"{line}\r\n" for line in lines).encode()
        + b"\r\n"
        + base64.encodebytes(text).replace(b"\n", b"\r\n")
    )
