"""What a ruling of the guard makes of an acceptance: the same in every store."""

from collections.abc import Iterable

from msgspec.structs import replace

from sekisho.core.policy.takeover.judge import Ruling
from sekisho.core.terms.envelope import Recipient
from sekisho.core.terms.records import by_position
from sekisho.ports.outgoing import MAILBOX_HOP
from sekisho.ports.spool import Acceptance, RelayRecipient


def applied(acceptance: Acceptance, ruling: Ruling) -> Acceptance:
    """The acceptance as the ruling wants it: held whole, copies for mailboxes here too; or later than it
    would be due."""
    if ruling.holds:
        assert acceptance.outgoing is not None
        return held_whole(acceptance, acceptance.outgoing.locals, acceptance.outgoing.sending.at_us)
    if ruling.wait_us and acceptance.relays:
        return replace(acceptance, relays=tuple(_delayed(acceptance.relays, ruling.wait_us)))
    return acceptance


def held_whole(acceptance: Acceptance, locals_: Iterable[Recipient], now_us: int) -> Acceptance:
    """Nothing of it is delivered: it waits for all its recipients, those with mailboxes here too. A release
    gives new times."""
    held = [replace(relay, held=True, fresh_lease=None) for relay in acceptance.relays]
    terms = (
        (acceptance.relays[0].due_at_us, acceptance.relays[0].expires_at_us)
        if acceptance.relays
        else (now_us, now_us)
    )
    held += [by_position(RelayRecipient, recipient, MAILBOX_HOP, *terms, held=True) for recipient in locals_]
    return replace(acceptance, deliveries=(), relays=tuple(held))


def _delayed(relays: Iterable[RelayRecipient], wait_us: int) -> Iterable[RelayRecipient]:
    return (replace(relay, due_at_us=relay.due_at_us + wait_us, fresh_lease=None) for relay in relays)
