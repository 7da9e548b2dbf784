"""From resolved recipients to one `Acceptance`, for reception and submission alike."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sekisho.core.policy.routing import next_hop_for
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.leases import Owner
from sekisho.ports.spool import MailboxDelivery, RelayRecipient


@dataclass(frozen=True, slots=True)
class Destination:
    """One accepted RCPT: the accounts it reaches here and the addresses elsewhere."""

    recipient: Recipient
    account_ids: tuple[int, ...] = ()
    remotes: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class RelayTerms:
    """What relayed recipients are queued with. `owner` takes them at once (DESIGN §4 Leases); None leaves them to whoever comes."""

    now_us: int
    lifetime_seconds: float
    routes: Mapping[str, str]
    owner: Owner | None = None
    held: bool = False


def deliveries_of(message_id: str, destinations: Iterable[Destination], prefix: bytes) -> tuple[MailboxDelivery, ...]:
    """One copy per account, however many recipients lead to it."""
    accounts = dict.fromkeys(account_id for destination in destinations for account_id in destination.account_ids)
    return tuple(MailboxDelivery(f"{message_id}/{account_id}/0", account_id, prefix) for account_id in accounts)


def relays_of(destinations: Iterable[Destination], terms: RelayTerms) -> tuple[RelayRecipient, ...]:
    """One row per remote address. An alias that leads away keeps the parameters of the recipient that named it (RFC 3461 §5.2.7)."""
    rows: dict[Address, Recipient] = {}
    for destination in destinations:
        for address in destination.remotes:
            rows.setdefault(address, replace(destination.recipient, address=address))
    expires_at_us = terms.now_us + int(terms.lifetime_seconds * 1_000_000)
    return tuple(
        RelayRecipient(
            recipient,
            next_hop_for(recipient.address.domain, terms.routes),
            terms.now_us,
            expires_at_us,
            held=terms.held,
            fresh_lease=terms.owner,
        )
        for recipient in rows.values()
    )


def only_recipient(envelope: Envelope) -> Address | None:
    """The recipient that Received may name: more than one would disclose blind copies (RFC 5321 §7.2)."""
    return envelope.recipients[0].address if len(envelope.recipients) == 1 else None
