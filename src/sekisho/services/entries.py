"""What entries of the journal say about a message."""

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.text import decode_field
from sekisho.core.terms.envelope import Envelope

SUBJECT_OCTETS = 500
MOST_NAMED = 20  # recipients, in one entry


def about_message(envelope: Envelope, header_message_id: str) -> tuple[str, ...]:
    """What it can be found by: message-id, sender and recipients."""
    addresses = [str(recipient.address) for recipient in envelope.recipients]
    return (header_message_id, str(envelope.reverse_path), *addresses)


def about_stranger(envelope: Envelope, header_message_id: str) -> tuple[str, ...]:
    """The same of a message from outside, and the domain of its sender."""
    sender = envelope.reverse_path.address
    return (*about_message(envelope, header_message_id), sender.domain if sender is not None else "")


def recipients_of(envelope: Envelope) -> str:
    """The first of them by name, separated by spaces."""
    return " ".join(str(recipient.address) for recipient in envelope.recipients[:MOST_NAMED])


def subject_of(header: HeaderSection) -> str:
    value = header.first(b"subject")
    return decode_field(value[:SUBJECT_OCTETS]).strip() if value is not None else ""
