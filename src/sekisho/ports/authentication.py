"""One authentication service for SMTP, IMAP, POP3 (mission row 3)."""

import enum
from dataclasses import dataclass, field
from typing import Literal, Protocol

from sekisho.core.sasl.exchange import Challenge
from sekisho.core.terms.identity import Identity
from sekisho.ports.stream import IpAddress, TlsInfo

ServiceName = Literal["submission", "imap", "pop3", "sieve"]


class LoginFailure(enum.Enum):
    """What a service may tell apart. Unknown account, wrong password and disabled login are all REFUSED."""

    REFUSED = "refused"  # 535 5.7.8 / NO [AUTHENTICATIONFAILED]
    LIMITED = "limited"  # too many guesses from there: same answer and same time as REFUSED
    UNAVAILABLE = "unavailable"  # 454 4.7.0 / NO [UNAVAILABLE]
    MALFORMED = "malformed"  # not what the mechanism says: 501 5.5.2 / BAD
    NOT_OFFERED = "not offered"  # that mechanism: 504 5.5.4 / NO


@dataclass(frozen=True, slots=True)
class Channel:
    """The connection that a login comes over. `tls` None: in the clear, where no mechanism is offered (RFC
    4954 §4)."""

    service: ServiceName
    client: IpAddress
    tls: TlsInfo | None = None


@dataclass(frozen=True, slots=True)
class PasswordProof:
    """A password handed over. `authzid` empty, or equal to the login name (THREATS 14).

    `mechanism`: the SASL mechanism that brought it, "" for a protocol's own command (IMAP LOGIN, POP3 USER
    and PASS).
    """

    username: str
    password: str = field(repr=False)
    authzid: str = ""
    mechanism: str = ""


Answer = Challenge | Identity | LoginFailure


class Exchange(Protocol):
    """One SASL exchange (RFC 4422 §3), octets out of base64; thrown away after anything but a Challenge, or
    when the client cancels.

    What a mechanism says with its success (SCRAM's signature of the server) comes as a last Challenge that is
    answered by an empty response: SMTP, IMAP and POP3 have no other place for it (RFC 4954 §4, RFC 5034 §4).
    """

    async def begin(self, mechanism: str, initial: bytes | None) -> Answer:
        """`mechanism` in any case; `initial` None: the client sent no initial response. Never raises for what
        the client did."""
        ...

    async def respond(self, octets: bytes) -> Answer:
        """The client's answer to the last Challenge."""
        ...


class Authenticator(Protocol):
    """A failure returns at a fixed deadline, whatever its cause (DESIGN §4 Time to refuse); only what breaks
    the syntax is told at once."""

    def mechanisms(self, channel: Channel) -> tuple[str, ...]:
        """What is offered there, best first; in upper case."""
        ...

    def exchange(self, channel: Channel) -> Exchange:
        """A new one for each AUTH (THREATS 13)."""
        ...

    async def verify(self, channel: Channel, proof: PasswordProof) -> Identity | LoginFailure:
        """A login without SASL. Never raises for bad credentials."""
        ...

    async def still_valid(self, identity: Identity) -> bool:
        """May a session that this identity opened go on (THREATS 15)? Account and credential are still there
        and neither disabled nor at their end, the password is the one that was shown. Raises
        StoreUnavailable."""
        ...
