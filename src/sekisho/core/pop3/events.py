"""What the POP3 machine tells its caller. Each event but NEED_DATA and Listing must be answered before the
next one is asked for."""

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field


class NeedData(enum.Enum):
    """Nothing to do until more octets come."""

    NEED_DATA = "need data"


NEED_DATA = NeedData.NEED_DATA


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send what is pending, do the handshake, then `tls_started`. Octets that are already here end the
    connection (Closed)."""


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """USER and PASS: answer with `open_maildrop` or `refuse_login`."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SaslStarted:
    """AUTH: answer with `challenge`, `open_maildrop` or `refuse_login`. `initial_response` None: the client
    sent none."""

    mechanism: str
    initial_response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pop3SaslResponse:
    """The answer to the last challenge: answer as `SaslStarted`."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SaslAborted:
    """The exchange ended without a result (cancelled, or not base64); the client knows. Throw the mechanism
    away, then `resume`."""

    reason: str


@dataclass(frozen=True, slots=True)
class ScanListing:
    """A long answer in pieces: send them all before the next event."""

    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Retrieve:
    """RETR (`body_lines` None) or TOP: answer with `message_follows`, then the octets through transparency,
    or `message_gone`."""

    number: int
    uid: int
    body_lines: int | None


@dataclass(frozen=True, slots=True)
class Quit:
    """UPDATE state: remove these, all or none, then `finish`."""

    deleted_uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pop3Closed:
    """Send what is pending and close. `is_orderly`: the client said QUIT."""

    reason: str
    is_orderly: bool = False


Event = (
    NeedData
    | StartTls
    | PasswordLogin
    | SaslStarted
    | Pop3SaslResponse
    | SaslAborted
    | ScanListing
    | Retrieve
    | Quit
    | Pop3Closed
)
