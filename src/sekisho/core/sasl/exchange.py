"""What a SASL mechanism and its caller say to each other (RFC 4422 §3).

Octets here are already out of base64: that is the protocol machine's work. A mechanism object serves one
exchange and is thrown away after it, whatever happened (THREATS 13).
"""

from dataclasses import dataclass, field
from typing import Protocol

# RFC 4616 §2 gives no bound; this is far above any real name or password, and what one exchange may cost us.
MAX_NAME_OCTETS = 1024
MAX_PASSWORD_OCTETS = 1024


class SaslError(Exception):
    """The client broke the mechanism's syntax; the exchange is over and failed. The text is for the
    journal."""


class SaslRefused(SaslError):
    """The message is well-formed, but what it shows does not hold: the channel that it is bound to."""


class SaslWrong(SaslRefused):
    """The proof fits no password: a guess."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send these octets and come back with the client's response."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class SaslCredentials:
    """The exchange is over: check these. `authzid` is empty when the client gave none."""

    username: str
    password: str = field(repr=False)
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class SecretNeeded:
    """SCRAM: look up the stored keys of this user (or invent them, see `scram.pretended_secret`) and call
    `give_secrets`."""

    username: str
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class Proven:
    """SCRAM: the client proved the password. `final` goes out with the success, or as a last challenge where
    it cannot.

    `index`: which of the secrets that were given it proved.
    """

    username: str
    authzid: str
    final: bytes
    index: int = 0


@dataclass(frozen=True, slots=True)
class BearerToken:
    """The exchange is over: ask the issuer's keys about it. `username`: whom the client wants to be, empty:
    whom the token names."""

    username: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Certified:
    """EXTERNAL: TLS knows who it is; `authzid` empty when the client did not say as whom it wants to act."""

    authzid: str = ""


Step = Challenge | SaslCredentials | SecretNeeded | Proven | BearerToken | Certified


class Mechanism(Protocol):
    def start(self, initial_response: bytes | None) -> Step:
        """Begin; None means that the client sent no initial response (RFC 4422 §3). Raises SaslError."""
        ...

    def respond(self, response: bytes) -> Step:
        """The client's answer to the last Challenge; raises SaslError."""
        ...


def decode_text(octets: bytes, max_octets: int, what: str) -> str:
    """UTF-8 without NUL, bounded; raises SaslError naming `what`."""
    if len(octets) > max_octets:
        raise SaslError(f"the {what} is longer than {max_octets} octets")
    if b"\0" in octets:
        raise SaslError(f"the {what} holds a NUL")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SaslError(f"the {what} is not UTF-8") from error
