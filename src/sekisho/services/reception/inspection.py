"""The seam between the end of a message and its acceptance: mail authentication, door policy and the fields they add stand here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.terms.address import ReversePath
from sekisho.core.terms.envelope import Envelope, Voucher
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import ContentWriter
from sekisho.ports.stream import Endpoint, TlsInfo


@dataclass(frozen=True, slots=True)
class Arrival:
    """Everything that is known about a message before it is accepted. `header` indexes the section as it was received."""

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
    outwait: Callable[[float], Awaitable[bool]] | None = None  # does the client still wait for its reply after so many seconds?


@dataclass(frozen=True, slots=True)
class SenderRefusal:
    """What is said to every recipient of this sender but the roles. `rule` and `because` are for the journal."""

    reply: Reply
    rule: str
    because: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """`refusal` None lets the message in; `fields` (whole fields with CRLF, or b"") go on top of every mailbox copy."""

    refusal: Reply | None = None
    fields: bytes = b""
    because: str = ""  # for the journal, never for the peer
    is_junk: bool = False  # mailbox copies go into Junk
    spared: frozenset[int] = frozenset()  # accounts whose copy goes into INBOX all the same
    junk_fields: bytes = b""  # the same as `fields`, on the copies that go into Junk
    client_name: str = ""  # verified reverse name, for Received
    vouched: Voucher = ""  # what speaks for the domain of the reverse path


class Inspector(Protocol):
    def cuts(self, header: HeaderSection) -> list[Field]:
        """Fields that must not reach a reader (forged Authentication-Results); Return-Path is cut without being asked."""
        ...

    async def sender(self, client: Endpoint, reverse_path: ReversePath) -> SenderRefusal | None:
        """Before the first recipient: is it clear already that nothing from there can be taken?"""
        ...

    async def inspect(self, arrival: Arrival) -> Inspection: ...


class NoInspection:
    """Lets everything in."""

    def cuts(self, header: HeaderSection) -> list[Field]:
        return []

    async def sender(self, client: Endpoint, reverse_path: ReversePath) -> SenderRefusal | None:
        return None

    async def inspect(self, arrival: Arrival) -> Inspection:
        return Inspection()
