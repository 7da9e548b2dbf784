"""Notices to senders (DSNs): composed, and addressed to whoever is behind the reverse path. For the queue,
reception and submission."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sekisho.core.message.dsn import MAX_FULL_OCTETS, MAX_HEADER_OCTETS, Dsn, DsnRecipient, compose_dsn
from sekisho.core.message.dsn_text import Action, Language
from sekisho.core.message.header import HeaderSection
from sekisho.core.message.tongue import is_japanese
from sekisho.core.message.trace import format_return_path, new_message_id
from sekisho.core.policy.retry import wants_failure_notice, wants_success_notice
from sekisho.core.policy.routing import next_hop_for
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import EnhancedStatus, Reply
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.spool import Acceptance, MailboxDelivery, RelayRecipient, Spool
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.signing import NO_SIGNING, Signing

# As much of a message as a notice may need.
HEAD_OCTETS = max(MAX_FULL_OCTETS, MAX_HEADER_OCTETS)
_DONE = EnhancedStatus(2, 0, 0)


@dataclass(frozen=True, slots=True)
class NoticeRules:
    """`lifetime_us`: how long a notice is tried."""

    hostname: str
    language: Language
    routes: Mapping[str, str]
    lifetime_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticePorts:
    spool: Spool
    recipients: RecipientProbe
    clock: Clock
    dice: Dice
    journal: Journal
    signing: Signing = NO_SIGNING


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticedMessage:
    """What a notice is about. `head`: the first `HEAD_OCTETS` of the message at most, of `size_octets`.
    `is_ours`: somebody who had logged in sent it, in his own name."""

    message_id: str
    envelope: Envelope
    arrived_at_us: int
    head: bytes
    size_octets: int
    is_ours: bool = False


def may_be_told(envelope: Envelope) -> bool:
    """Does anything show that a stranger wrote his own name into MAIL FROM? Else a notice would go to
    somebody who never wrote here."""
    return not envelope.reverse_path.is_null and bool(envelope.vouched)


def delivered(recipients: Iterable[Recipient], now_us: int) -> tuple[DsnRecipient, ...]:
    """What is to be told after delivery into mailboxes here: those with NOTIFY=SUCCESS (RFC 3461 §4.1)."""
    return tuple(
        [
            DsnRecipient(recipient=recipient, action="delivered", status=_DONE, last_attempt_at_us=now_us)
            for recipient in recipients
            if wants_success_notice(recipient.notify)
        ]
    )


def failed(recipients: Iterable[Recipient], reply: Reply, now_us: int) -> tuple[DsnRecipient, ...]:
    """What is to be told when we accepted a message and one copy could not be made (over quota, say)."""
    status = reply.enhanced or EnhancedStatus(5, 0, 0)
    return tuple(
        DsnRecipient(
            recipient=recipient, action="failed", status=status, reply=reply, last_attempt_at_us=now_us
        )
        for recipient in recipients
        if wants_failure_notice(recipient.notify)
    )


class Notices:
    def __init__(self, rules: NoticeRules, ports: NoticePorts) -> None:
        self._rules = rules
        self._ports = ports

    async def about(self, message: NoticedMessage, told: Sequence[DsnRecipient]) -> tuple[Acceptance, ...]:
        """One notice per action that occurs in `told`, to be accepted by the spool; none about a notice (RFC
        5321 §4.5.4).

        Raises StoreUnavailable.
        """
        to = message.envelope.reverse_path.address
        found: list[Acceptance] = []
        for action in dict.fromkeys(recipient.action for recipient in told):
            group = tuple(recipient for recipient in told if recipient.action == action)
            if to is None:
                # RFC 3461 §5.2: a null reverse path is never told anything.
                self._journal(
                    message, "notice.about_notice", action, {"recipient": str(group[0].recipient.address)}
                )
            elif not (message.is_ours or may_be_told(message.envelope)):
                self._withhold(message, action, group)
            elif (notice := await self._notice(message, to, group, action)) is not None:
                found.append(notice)
        return tuple(found)

    def _withhold(self, message: NoticedMessage, action: Action, group: Sequence[DsnRecipient]) -> None:
        reverse_path = message.envelope.reverse_path
        domain = reverse_path.address.domain if reverse_path.address is not None else ""
        fields = {
            "reverse_path": str(reverse_path),
            "recipient": " ".join(str(one.recipient.address) for one in group),
            "because": f"neither SPF nor DKIM authenticates {domain}",
        }
        self._journal(message, "notice.withheld", action, fields)

    async def _notice(
        self, message: NoticedMessage, to: Address, told: tuple[DsnRecipient, ...], action: Action
    ) -> Acceptance | None:
        ports, rules = self._ports, self._rules
        now_us = ports.clock.now_us()
        resolution = await ports.recipients.resolve(to)
        if resolution.status == "unknown":
            self._journal(message, "notice.undeliverable", action, {"reverse_path": str(to)})
            return None
        notice_id = new_message_id(now_us, ports.dice.octets(8))
        author_domain = await self._author_domain(told)
        composed = compose_dsn(
            Dsn(
                id=notice_id,
                reporting_mta=rules.hostname,
                to=to,
                date_us=now_us,
                arrived_at_us=message.arrived_at_us,
                recipients=told,
                original=message.head,
                is_whole=_is_whole(message, action),
                envid=message.envelope.envid,
                message_id=message.message_id,
                language="ja" if is_japanese(message.head) else rules.language,
                author_domain=author_domain,
            )
        )
        content = ports.spool.open_content()
        content.write(composed.octets)
        signature = await ports.signing.sign(
            author_domain, HeaderSection(composed.octets), content, notice_id
        )
        fields = {"reverse_path": str(to), "notice": notice_id}
        self._journal(message, "notice.composed", action, fields, about=(notice_id,))
        return Acceptance(
            message_id=notice_id,
            envelope=Envelope(
                reverse_path=ReversePath(),
                recipients=(Recipient(to),),
                body=composed.body,
                smtputf8=composed.smtputf8,
                requiretls=message.envelope.requiretls,
            ),  # RFC 3464 §2: from <>
            content=content,
            prefix=signature,
            deliveries=tuple(
                MailboxDelivery(
                    delivery_id=f"{notice_id}/{account.id}/0",
                    account_id=account.id,
                    prefix=format_return_path(ReversePath()) + signature,
                )
                for account in resolution.accounts
            ),
            relays=self._relays((to,) if resolution.status == "not_ours" else resolution.remotes, now_us),
            origin="dsn",
            header_message_id=composed.header_message_id,
        )

    def _relays(self, remotes: Iterable[Address], now_us: int) -> tuple[RelayRecipient, ...]:
        return tuple(
            RelayRecipient(
                recipient=Recipient(address),
                next_hop=next_hop_for(address.domain, self._rules.routes),
                due_at_us=now_us,
                expires_at_us=now_us + self._rules.lifetime_us,
            )
            for address in remotes
        )

    async def _author_domain(self, told: Sequence[DsnRecipient]) -> str:
        """Where From is: at a domain that we can sign for, so that DMARC passes there however strict its
        record is.

        Without any it is at our own name, which is also that of EHLO: SPF checks it for the null reverse path
        (RFC 7208 §2.4).
        """
        for domain in _author_domains(self._rules.hostname, told):
            if await self._ports.signing.has_key(domain):
                return domain
        return self._rules.hostname

    def _journal(
        self,
        message: NoticedMessage,
        kind: str,
        action: Action,
        fields: dict[str, str],
        about: tuple[str, ...] = (),
    ) -> None:
        self._ports.journal.record(Entry(kind, message.message_id, {"action": action, **fields}, about))


def _is_whole(message: NoticedMessage, action: Action) -> bool:
    """RFC 3461 §4.3: RET says what a failure notice carries; the others carry the header section.

    Strangers get no more than that: else whoever can have a message fail here sends it, whole, under our
    name. RFC 8689 §5: with REQUIRETLS nobody does.
    """
    return (
        action == "failed"
        and not message.envelope.requiretls
        and message.is_ours
        and message.envelope.ret == "FULL"
        and message.size_octets == len(message.head)
    )


def _author_domains(hostname: str, told: Sequence[DsnRecipient]) -> Iterator[str]:
    """Our own name and what stands above it; then the domains of ours that the mail was for."""
    labels = hostname.split(".")
    for start in range(len(labels) - 1):
        yield ".".join(labels[start:])
    yield from dict.fromkeys(recipient.recipient.address.domain for recipient in told)
