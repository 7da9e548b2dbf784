"""What is not taken: returned by whoever decides, numbered, written down and given its id here alone.

Each refusal carries an id, so that whoever reads it can ask about it, and the postmaster finds what was
written down. A connection has a short id; what is refused in it is numbered: "k3q7w2ma-1". A refused message
goes by its own id.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.references import header_message_id
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reference import Reference
from sekisho.core.terms.reply import Reply
from sekisho.ports.journal import Entry, JournalValue
from sekisho.services.smtp.connection import Connection, SessionTools
from sekisho.services.smtp.entries import about_message, recipients_of, subject_of

CONTENT_RULE = "content"  # of what a message is made of, before anybody is asked about it


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`reply`: what the client is told, without an id. `rule`: its name in `admin/why`, "" if none spoke.
    `because`: for the journal, never for the client. `id`: what it goes by, "" for the next number of the
    connection. `is_told`: the entry of that id says it already. `parting`: a 421 that follows the reply and
    ends the session."""

    reply: Reply
    rule: str = ""
    because: str = ""
    id: str = ""
    is_told: bool = False
    parting: Reply | None = None

    @classmethod
    def of(cls, code: int, enhanced: str | None, text: str, rule: str = "", because: str = "") -> "Refusal":
        """`Refusal.of(550, "5.1.1", "No such recipient here", "no-such-recipient")`"""
        return cls(reply=Reply.of(code, enhanced, text), rule=rule, because=because)


class Refusals:
    """Of one connection: a method for each kind of entry, which gives back the reply as it is said, with the
    id to ask about."""

    def __init__(self, connection: Connection, tools: SessionTools) -> None:
        self.connection, self._tools = connection, tools
        self._count = 0

    @property
    def reference(self) -> Reference:
        """Of the connection itself."""
        return Reference.of(self.connection.session, self._tools.why_url)

    def number(self) -> str:
        self._count += 1
        return f"{self.connection.session}-{self._count}"

    def parting(self, reply: Reply) -> Reply:
        """A last reply, which the connection's own entry explains."""
        return reply.referring(self.reference)

    def command(self, command: str, argument: str, refusal: Refusal) -> Reply:
        """Whatever no other kind is for: a full disk, an own bug, a wrong password."""
        fields: dict[str, JournalValue] = {
            "client": self.connection.client,
            "command": command,
            "argument": argument,
        }
        about = (*self.connection.about_client, self.connection.session, argument)
        return self._write("command_refused", refusal, fields, about)

    def greeting(self, refusal: Refusal) -> Reply:
        if refusal.is_told:
            self.connection.is_told = True
            return self._refer(refusal.reply, refusal.id)
        if not refusal.rule:
            return self.command("connect", "", refusal)
        id_ = refusal.id or self.number()
        self._turned_away(id_, refusal.rule, refusal.because, refusal.reply)
        return self._refer(refusal.reply, id_)

    def observed(self, rule: str, because: str) -> None:
        """What speaks against the connection itself, by a rule that is not enforced: the client does not hear
        of it."""
        self._turned_away(self.connection.session, rule, because, None)

    def _turned_away(self, id_: str, rule: str, because: str, reply: Reply | None) -> None:
        connection = self.connection
        fields: dict[str, JournalValue] = {
            "client": connection.client,
            "rule": rule,
            "because": because,
            "reply": str(reply or ""),
            "observed": reply is None,
            "session": connection.session,
        }
        about = (*connection.about_client, connection.session)
        self._tools.journal.record(Entry(f"{connection.role}.turned_away", id_, fields, about))

    def sender(self, envelope: Envelope, refusal: Refusal) -> Reply:
        """At MAIL. Who is logged in and takes another's name tried to send a message that is refused."""
        if self.connection.role == "submission" and refusal.rule:
            return self.message(envelope, refusal, None)
        return self.command("MAIL", str(envelope.reverse_path), refusal)

    def recipient(self, envelope: Envelope, recipient: Recipient, refusal: Refusal) -> Reply:
        if not refusal.rule:
            return self.command("RCPT", str(recipient.address), refusal)
        connection, address, reverse_path = (
            self.connection,
            str(recipient.address),
            str(envelope.reverse_path),
        )
        fields: dict[str, JournalValue] = {"client": connection.client}
        about: tuple[str, ...]
        if connection.role == "submission":
            fields |= {"account": connection.account, "recipient": address}
            about = (address, connection.account, connection.session)
        else:
            connection.counts["recipients_refused"] += 1
            fields |= {"reverse_path": reverse_path, "recipient": address}
            about = (address, reverse_path, *connection.about_client, connection.session)
        return self._write("recipient_refused", refusal, fields, about)

    def message(self, envelope: Envelope, refusal: Refusal, header: HeaderSection | None) -> Reply:
        """`header` None: it was not read, or is nothing to go by."""
        connection = self.connection
        connection.counts["refused"] += 1
        self._tools.metrics.count(
            "sekisho_messages_received_total", service=connection.role, result="refused"
        )
        message_id = header_message_id(header) if header is not None else ""
        fields: dict[str, JournalValue] = {
            "client": connection.client,
            "reverse_path": str(envelope.reverse_path),
        }
        if envelope.recipients:
            fields["recipient"] = recipients_of(envelope)
        if header is not None:
            fields["message_id"] = message_id
        if connection.role == "submission":
            fields["account"] = connection.account
        else:
            fields["recipients"] = len(envelope.recipients)
            if header is not None and self._tools.subjects:
                fields["subject"] = subject_of(header)
        about = about_message(connection, envelope, message_id)
        return self._write("refused", refusal, fields, (*about, *connection.about_client, connection.session))

    def local(self, uid: int | None, refusal: Refusal) -> Reply:
        """At the submission socket of this machine, before there is a session."""
        self._tools.journal.record(
            Entry(
                "submission.local_refused", self.connection.session, {"uid": uid, "reply": str(refusal.reply)}
            )
        )
        return self.parting(refusal.reply)

    def _write(
        self, kind: str, refusal: Refusal, fields: Mapping[str, JournalValue], about: tuple[str, ...]
    ) -> Reply:
        connection, id_ = self.connection, refusal.id or self.number()
        entry: dict[str, JournalValue] = {**fields, "reply": str(refusal.reply)}
        if refusal.rule or refusal.because or kind != "command_refused":
            entry |= {"rule": refusal.rule, "because": refusal.because}
        entry["session"] = connection.session
        self._tools.journal.record(Entry(f"{connection.role}.{kind}", id_, entry, about))
        return self._refer(refusal.reply, id_)

    def _refer(self, reply: Reply, id_: str) -> Reply:
        return reply.referring(Reference.of(id_, self._tools.why_url))
