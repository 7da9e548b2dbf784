"""The state of one SMTP session on the server side, and the replies queued for its client."""

import enum
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sekisho.core.smtp.content import BdatDecoder, DataDecoder
from sekisho.core.smtp.events import Ended, Event
from sekisho.core.smtp.paths import PathRules
from sekisho.core.terms.envelope import Envelope
from sekisho.core.terms.reference import Reference
from sekisho.core.terms.reply import Reply

EndReason = Literal[
    "quit", "refused", "errors", "transactions", "syntax", "content", "shutdown", "lost", "service"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How the machine behaves. Sizes are octets; a limit of 0 on `text_line_octets` means none.

    `text_line_octets`: RFC 5321 §4.5.3.1.6 asks for 998; longer lines are common in real mail and harmless,
    so they are kept as they came (never folded) unless a limit is set. `any_hello_name`: take an EHLO name
    that is no name, as mail clients send it.
    """

    role: Literal["reception", "submission"]
    hostname: str
    message_octets: int = 52_428_800
    recipients: int = 1000
    transactions: int = 1000
    errors: int = 10
    refused_recipients: int = 100
    command_line_octets: int = 4096  # RFC 5321 §4.5.3.1.4 and what each extension adds
    sasl_line_octets: int = 12_288  # RFC 4954 §4
    text_line_octets: int = 0
    starttls: bool = True
    smtputf8: bool = True
    chunking: bool = True
    dsn: bool = True
    mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN")
    any_hello_name: bool = False
    loose_dot_domains: Container[str] = ()
    # What is made of the settings once, not for each session: path rules by EHLO and TLS, answers to EHLO.
    _rules: dict[tuple[bool, bool], PathRules] = field(init=False, repr=False, compare=False)
    _hellos: dict[tuple[bool, bool, tuple[str, ...]], bytes] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        sasl = self.role == "submission"
        rules = {
            (ehlo, tls): PathRules(
                message_octets=self.message_octets,
                dsn=self.dsn,
                utf8_offered=self.smtputf8,
                sasl_offered=sasl,
                extended=ehlo,
                tls=tls,
                loose_domains=self.loose_dot_domains,
            )
            for ehlo in (False, True)
            for tls in (False, True)
        }
        object.__setattr__(self, "_rules", rules)

    def path_rules(self, extended: bool, tls: bool) -> PathRules:
        return self._rules[extended, tls]

    def hello_wire(self, tls: bool, authenticated: bool, mechanisms: tuple[str, ...]) -> bytes:
        """The answer to EHLO: no enhanced status there (RFC 2034 §4)."""
        wire = self._hellos.get((tls, authenticated, mechanisms))
        if wire is None:
            wire = Reply.of(250, None, "\n".join(extensions(self, tls, authenticated, mechanisms))).to_wire()
            self._hellos[(tls, authenticated, mechanisms)] = wire
        return wire


class Phase(enum.Enum):
    COMMAND = "command"
    DATA = "data"
    CHUNK = "chunk"
    SASL = "sasl"
    ENDED = "ended"


class Transaction(NamedTuple):
    """MAIL … end of data, replaced whole. `chunks` is there from the first BDAT on."""

    envelope: Envelope
    chunks: BdatDecoder | None = None


class Chunk(NamedTuple):
    """The BDAT under way. `refusal` is said once its octets are swallowed (THREATS 5)."""

    octets: int
    last: bool
    refusal: Reply | None = None


_END = Reply.of(421, "4.7.0", "Too many errors, closing the connection")


@dataclass(slots=True, kw_only=True)
class Session:
    """What commands read and change. `events` wait to be told; `pending` was told and waits for its answer.

    `reference`: what our own refusals refer to. `mechanisms`: of SASL, as they are offered on this
    connection.
    """

    settings: ServerSettings
    tls: bool
    reference: Reference | None = None
    mechanisms: tuple[str, ...] = ()
    phase: Phase = Phase.COMMAND
    hello: str | None = None
    extended: bool = False
    authenticated: bool = False
    transaction: Transaction | None = None
    data: DataDecoder | None = None
    chunk: Chunk | None = None
    pending: Event | None = None
    events: list[Event] = field(default_factory=list)
    output: list[bytes] = field(default_factory=list)
    end_reason: EndReason = "quit"
    errors: int = 0
    refused_recipients: int = 0
    transactions: int = 0

    @property
    def rules(self) -> PathRules:
        return self.settings.path_rules(self.extended, self.tls)

    def referring(self, reply: Reply) -> Reply:
        """A refusal that follows from our limits and not from the client's grammar, as its reader may ask
        about it."""
        return reply.referring(self.reference) if self.reference is not None else reply

    def say(self, reply: Reply) -> None:
        """Queue a reply; it is sent with others of its batch (RFC 2920 §3.2)."""
        self.output.append(reply.to_wire())
        if reply.code == 421:  # RFC 5321 §4.2.3: closing transmission channel
            self.end("service")

    def refuse(self, reply: Reply) -> None:
        """Queue a reply that counts as an error of the client."""
        self.say(reply)
        self.errors += 1
        if self.errors >= self.settings.errors and self.phase is not Phase.ENDED:
            self.output.append(self.referring(_END).to_wire())
            self.end("errors")

    def end(self, reason: EndReason) -> None:
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        self.end_reason = reason
        self.transaction = None
        self.events.append(Ended(reason))

    def forget(self) -> None:
        """RFC 3207 §4.2: after the handshake nothing from before counts."""
        self.hello = None
        self.extended = False
        self.authenticated = False
        self.transaction = None
        self.data = None


def extensions(
    settings: ServerSettings, tls: bool, authenticated: bool, mechanisms: tuple[str, ...]
) -> tuple[str, ...]:
    """Host name and keywords, as they stand at this moment of the session."""
    lines = [
        settings.hostname,
        "PIPELINING",
        f"SIZE {settings.message_octets}",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
    ]
    if settings.starttls and not tls:  # RFC 3207 §4.2: not inside TLS
        lines.append("STARTTLS")
    if settings.role == "submission" and tls and not authenticated and mechanisms:  # RFC 4954 §4
        lines.append("AUTH " + " ".join(mechanisms))
    if settings.smtputf8:
        lines.append("SMTPUTF8")
    if settings.chunking:
        lines.append("CHUNKING")
    if settings.dsn:
        lines.append("DSN")
    if tls:  # RFC 8689 §2: only inside TLS
        lines.append("REQUIRETLS")
    lines.append(f"LIMITS MAILMAX={settings.transactions} RCPTMAX={settings.recipients}")  # RFC 9422 §4
    lines.append("HELP")
    return tuple(lines)
