"""The seam between the end of a message and its acceptance: mail authentication, door policy and the fields
they add stand here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.envelope import Envelope, Voucher
from sekisho.ports.content import ContentWriter
from sekisho.ports.stream import Endpoint, TlsInfo
from sekisho.services.smtp.refusal import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Everything that is known about a message before it is accepted. `header` indexes the section as it was
    received."""

    message_id: str
    envelope: Envelope
    header: HeaderSection
    content: ContentWriter
    body_offset: int  # of the body in `content`
    client: Endpoint
    hello: str
    tls: TlsInfo | None
    account_ids: tuple[int, ...] = ()  # that get a copy
    role_account_ids: frozenset[int] = frozenset()  # those of them that get it as postmaster or abuse
    outwait: Callable[[float], Awaitable[bool]] | None = (
        None  # does the client still wait for its reply after so many seconds?
    )


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

    async def inspect(self, arrival: Arrival) -> Inspection: ...


class NoInspection:
    """Lets everything in."""

    def cuts(self, header: HeaderSection) -> list[Field]:
        return []

    async def sender(self, client: Endpoint, reverse_path: ReversePath) -> Refusal | None:
        return None

    async def inspect(self, arrival: Arrival) -> Inspection:
        return Inspection()
