"""The seam between the end of a message and its acceptance: mail authentication, door policy and the fields
they add stand here."""

from dataclasses import dataclass
from typing import Protocol

from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.envelope import Voucher
from sekisho.ports.stream import Endpoint
from sekisho.probes.arrival import Arrival
from sekisho.services.reception.outwaiting import Outwait
from sekisho.services.smtp.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """`refusal` None lets the message in; `fields` (whole fields with CRLF, or b"") go on top of every
    mailbox copy."""

    refusal: Refusal | None = None
    fields: bytes = b""
    is_junk: bool = False  # mailbox copies go into Junk
    spared: frozenset[int] = frozenset()  # accounts whose copy goes into INBOX all the same
    junk_fields: bytes = b""  # the same as `fields`, on the copies that go into Junk
    client_name: str = ""  # verified reverse name, for Received
    proven_author: str = ""  # the author's domain, where DMARC shows that it is
    vouched: Voucher = ""  # what speaks for the domain of the reverse path


class Inspector(Protocol):
    def cuts(self, header: HeaderSection) -> list[Field]:
        """Fields that must not reach a reader (forged Authentication-Results); Return-Path is cut without
        being asked."""
        ...

    async def sender(self, client: Endpoint, reverse_path: ReversePath) -> Refusal | None:
        """Before the first recipient: is it clear already that nothing from there can be taken? It is said to
        every recipient of the transaction but the roles."""
        ...

    async def inspect(self, arrival: Arrival, outwait: Outwait | None = None) -> Inspection:
        """`outwait` None: nobody can tell whether the client still waits."""
        ...


class NoInspection:
    """Lets everything in."""

    def cuts(self, header: HeaderSection) -> list[Field]:
        return []

    async def sender(self, client: Endpoint, reverse_path: ReversePath) -> Refusal | None:
        return None

    async def inspect(self, arrival: Arrival, outwait: Outwait | None = None) -> Inspection:
        return Inspection()
