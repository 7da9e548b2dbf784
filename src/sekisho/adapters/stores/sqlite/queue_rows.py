"""Rows of the queue as SQL has them, and the records made of them."""

from typing import Any

import msgspec

from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.leases import Owner
from sekisho.ports.spool import QueueRecipient

RECIPIENT_COLUMNS = (
    "id, recipient, state, attempts, due_at_us, expires_at_us, delay_notified, last_reply, "
    "last_attempt_at_us, crashes"
)

_encoder = msgspec.json.Encoder()
_recipient = msgspec.json.Decoder(Recipient)
_envelope = msgspec.json.Decoder(Envelope)


def to_json(value: Envelope | Recipient) -> str:
    return _encoder.encode(value).decode()


def names_to_json(names: frozenset[str] | frozenset[int]) -> str:
    """For `json_each`."""
    return _encoder.encode(sorted(names)).decode()


def envelope(text: str) -> Envelope:
    return _envelope.decode(text)


def address(text: str) -> str:
    """Of a recipient's JSON."""
    return str(_recipient.decode(text).address)


def queue_recipient(row: tuple[Any, ...]) -> QueueRecipient:
    """From RECIPIENT_COLUMNS."""
    id_, recipient, state, attempts, due, expires, notified, reply, last, crashes = row
    return QueueRecipient(
        id=id_,
        recipient=_recipient.decode(recipient),
        state=state,
        attempts=attempts,
        due_at_us=due,
        expires_at_us=expires,
        delay_notified=bool(notified),
        last_reply=reply,
        last_attempt_at_us=last,
        crashes=crashes,
    )


def owner_key(owner: Owner) -> str:
    """`host/slot/incarnation`: a host's owners are a range of keys."""
    return str(owner)


def host_range(host: str) -> tuple[str, str]:
    """(from, before) of a host's owner keys: "0" follows "/"."""
    return f"{host}/", f"{host}0"
