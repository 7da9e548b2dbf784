"""Where signing and the watch over hijacked accounts stand: between end of data and acceptance, in this
order."""

from dataclasses import dataclass
from typing import Protocol

from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.takeover.sending import Outgoing, Said
from sekisho.core.terms.address import Address
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.identity import Identity
from sekisho.ports.content import ContentWriter
from sekisho.ports.outgoing import Decision
from sekisho.ports.stream import IpAddress
from sekisho.services.smtp.refusal import Refusal


@dataclass(frozen=True, slots=True)
class SubmissionContext:
    """From where and by what: `client` None for the submission socket of this machine; `hello` its EHLO name,
    `mechanism` that of SASL."""

    client: IpAddress | None = None
    hello: str = ""
    mechanism: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A message whose sender and header section are in order. `header` is what the store has; `authors` are
    the From addresses.

    `elsewhere`: recipients of other servers; `locals`: those whose mailboxes are here. An alias that leads
    away is among neither.
    """

    message_id: str
    identity: Identity
    envelope: Envelope
    header: HeaderSection
    content: ContentWriter
    authors: tuple[Address, ...]
    context: SubmissionContext = SubmissionContext()
    elsewhere: tuple[Address, ...] = ()
    locals: tuple[Recipient, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboundVerdict:
    """`outgoing` goes with the acceptance, whose transaction debits it and may slow or hold the message."""

    refusal: Refusal | None = None
    outgoing: Outgoing | None = None


class OutboundJudge(Protocol):
    async def judge(self, submitted: Submitted) -> OutboundVerdict: ...

    def decided(self, submitted: Submitted, decision: Decision) -> None:
        """The message is accepted, and this was decided about it. Never raises."""
        ...


class ContentInspection(Protocol):
    """What the classifier and scanners say of outgoing mail; only advice to the watch."""

    async def says(self, submitted: Submitted) -> tuple[Said, ...]:
        """What speaks against it. Never raises for a scanner that does not answer."""
        ...


class NoContentCheck:
    async def says(self, submitted: Submitted) -> tuple[Said, ...]:
        return ()


class Signer(Protocol):
    async def sign(self, submitted: Submitted) -> bytes:
        """Whole fields with CRLF that go on top (DKIM-Signature), or b""."""
        ...


class NoJudge:
    async def judge(self, submitted: Submitted) -> OutboundVerdict:
        return OutboundVerdict()

    def decided(self, submitted: Submitted, decision: Decision) -> None:
        pass


class NoSigner:
    async def sign(self, submitted: Submitted) -> bytes:
        return b""
