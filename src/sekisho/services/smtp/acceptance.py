"""From resolved recipients to one `Acceptance`, for reception and submission alike."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sekisho.core.message.dsn import DsnRecipient
from sekisho.core.policy.routing import next_hop_for
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.leases import Owner
from sekisho.ports.mailstore import SpecialUse
from sekisho.ports.spool import Accepted, MailboxDelivery, RelayRecipient, Spool
from sekisho.services.notices import NoticedMessage, Notices, delivered, failed
from sekisho.services.smtp.refusal import Refusal

JUNK: SpecialUse = "\\Junk"
JUNK_KEYWORD = "$Junk"  # in the IANA registry of IMAP keywords
FULL = Refusal.of(452, "4.2.2", "The mailbox is full; try again later", "mailbox-full")
# What the sender is told when others got their copy: there will be no other try.
_COPY_REFUSED = Reply.of(552, "5.2.2", "The mailbox is full")


@dataclass(frozen=True, slots=True)
class Destination:
    """One accepted RCPT: the accounts it reaches here and the addresses elsewhere."""

    recipient: Recipient
    account_ids: tuple[int, ...] = ()
    remotes: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class RelayTerms:
    """What relayed recipients are queued with. `owner` takes them at once (DESIGN §4 Leases); None leaves
    them to whoever comes."""

    now_us: int
    lifetime_seconds: float
    routes: Mapping[str, str]
    owner: Owner | None = None


def accounts_of(destinations: Iterable[Destination], roles: Container[str] = ()) -> tuple[int, ...]:
    """Who gets a copy here; with `roles` only whom a recipient with one of these local parts leads to."""
    chosen = (one for one in destinations if not roles or one.recipient.address.local_canonical in roles)
    return tuple(
        dict.fromkeys(account_id for destination in chosen for account_id in destination.account_ids)
    )


def groups_of(destinations: Iterable[Destination]) -> tuple[frozenset[int], ...]:
    """Of each recipient whom only mailboxes here are behind, the accounts: `Acceptance.one_of_each`."""
    return tuple(frozenset(one.account_ids) for one in destinations if one.account_ids and not one.remotes)


def deliveries_of(
    message_id: str,
    destinations: Iterable[Destination],
    prefix: bytes,
    *,
    is_junk: bool = False,
    spared: Container[int] = (),
    junk_prefix: bytes = b"",
) -> tuple[MailboxDelivery, ...]:
    """One copy per account, however many recipients lead to it; into INBOX, or if it is junk, and the account
    not spared, into what its owner uses for junk (where there is none, marked so into INBOX). `junk_prefix`:
    what stands on top of those in Junk, if not the same."""
    junk, inbox = (junk_prefix or prefix, JUNK, (JUNK_KEYWORD,)), (prefix, None, ())
    return tuple(
        MailboxDelivery(
            delivery_id=f"{message_id}/{account_id}/0",
            account_id=account_id,
            prefix=top,
            keywords=keywords,
            special_use=special_use,
        )
        for account_id in accounts_of(destinations)
        for top, special_use, keywords in (junk if is_junk and account_id not in spared else inbox,)
    )


def relays_of(destinations: Iterable[Destination], terms: RelayTerms) -> tuple[RelayRecipient, ...]:
    """One row per remote address. An alias that leads away keeps the parameters of the recipient that named
    it (RFC 3461 §5.2.7)."""
    rows: dict[Address, Recipient] = {}
    for destination in destinations:
        for address in destination.remotes:
            rows.setdefault(address, replace(destination.recipient, address=address))
    expires_at_us = terms.now_us + int(terms.lifetime_seconds * 1_000_000)
    return tuple(
        RelayRecipient(
            recipient=recipient,
            next_hop=next_hop_for(recipient.address.domain, terms.routes),
            due_at_us=terms.now_us,
            expires_at_us=expires_at_us,
            fresh_lease=terms.owner,
        )
        for recipient in rows.values()
    )


def outcome_for_senders(
    destinations: Sequence[Destination], accepted: Accepted, now_us: int
) -> tuple[DsnRecipient, ...]:
    """Whose copy was not made for want of room, and who asked to hear of success (RFC 3461 §4.1); mostly
    nobody."""
    over = set(accepted.over_quota_account_ids)
    missed = [d.recipient for d in destinations if over.intersection(d.account_ids)] if over else []
    # What went on to other hosts carries its NOTIFY along.
    made = [
        d.recipient
        for d in destinations
        if d.recipient.notify and not d.remotes and not over.intersection(d.account_ids)
    ]
    return failed(missed, _COPY_REFUSED, now_us) + delivered(made, now_us)


class SenderNotices:
    """Tells senders what came of local copies, after the acceptance and before the 250."""

    def __init__(self, notices: Notices, spool: Spool, journal: Journal) -> None:
        self._notices = notices
        self._spool = spool
        self._journal = journal

    async def tell(self, message: NoticedMessage, told: tuple[DsnRecipient, ...]) -> None:
        """The message is accepted: whatever happens here, it stays so."""
        try:
            for notice in await self._notices.about(message, told):
                accepted = await self._spool.accept(notice)
                if accepted.over_quota_account_ids:
                    self._lost(message, told, "the mailbox of the sender is full")
        except StoreUnavailable as error:
            self._lost(message, told, str(error))
        except Exception as error:  # an own bug: a 451 now would have the message sent, and kept, twice
            self._lost(message, told, self._journal.fault("notices", error))

    def _lost(self, message: NoticedMessage, told: tuple[DsnRecipient, ...], reason: str) -> None:
        recipients = " ".join(str(recipient.recipient.address) for recipient in told)
        self._journal.record(
            Entry("notice.lost", message.message_id, {"recipients": recipients, "reason": reason})
        )


def only_recipient(envelope: Envelope) -> Address | None:
    """The recipient that Received may name: more than one would disclose blind copies (RFC 5321 §7.2)."""
    return envelope.recipients[0].address if len(envelope.recipients) == 1 else None
