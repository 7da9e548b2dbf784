"""What entries of the journal say about a message and its connection."""

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.text import decode_field
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.journal import Entry, JournalValue
from sekisho.services.smtp.connection import Connection

SUBJECT_OCTETS = 500
MOST_NAMED = 20  # recipients, in one entry


def about_message(connection: Connection, envelope: Envelope, header_message_id: str) -> tuple[str, ...]:
    """What it can be found by: message-id, sender and recipients; of a stranger's also the domain of its
    sender."""
    addresses = [str(recipient.address) for recipient in envelope.recipients]
    sender = envelope.reverse_path.address
    last = (
        connection.account if connection.role == "submission" else sender.domain if sender is not None else ""
    )
    return (header_message_id, str(envelope.reverse_path), *addresses, last)


def recipients_of(envelope: Envelope) -> str:
    """The first of them by name, separated by spaces."""
    return " ".join(str(recipient.address) for recipient in envelope.recipients[:MOST_NAMED])


def subject_of(header: HeaderSection) -> str:
    value = header.first(b"subject")
    return decode_field(value[:SUBJECT_OCTETS]).strip() if value is not None else ""


def of_connection(connection: Connection, reason: str) -> Entry:
    """It is over, and why."""
    tls, is_ours = connection.stream.tls, connection.role == "submission"
    fields: dict[str, JournalValue] = {
        "client": connection.client,
        "hello": connection.hello.name,
        "tls": tls.version if tls else "",
        **({"account": connection.account} if is_ours else {}),
        "reason": reason,
        **connection.counts,
    }
    about = (*connection.about_client, connection.account) if is_ours else connection.about_client
    return Entry(f"{connection.role}.connection", connection.session, fields, about)
