"""Where signing and the watch over hijacked accounts stand: between end of data and acceptance, in this order."""

from dataclasses import dataclass
from typing import Protocol

from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Envelope
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.reply import Reply
from sekisho.ports.content import ContentWriter


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message whose sender and header section are in order. `header` is what the store has; `authors` are the From addresses."""

    message_id: str
    identity: Identity
    envelope: Envelope
    header: HeaderSection
    content: ContentWriter
    authors: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class OutboundVerdict:
    """`held`: take it, but let nothing leave until an operator says so."""

    refusal: Reply | None = None
    held: bool = False
    because: str = ""


class OutboundJudge(Protocol):
    async def judge(self, submitted: Submitted) -> OutboundVerdict: ...


class Signer(Protocol):
    async def sign(self, submitted: Submitted) -> bytes:
        """Whole fields with CRLF that go on top (DKIM-Signature), or b""."""
        ...


class NoJudge:
    async def judge(self, submitted: Submitted) -> OutboundVerdict:
        return OutboundVerdict()


class NoSigner:
    async def sign(self, submitted: Submitted) -> bytes:
        return b""
