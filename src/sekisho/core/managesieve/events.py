"""What the ManageSieve machine tells its caller. Each event but NEED_MORE and SessionOver must be answered
before the next is asked for."""

import enum
from dataclasses import dataclass, field


class NeedMore(enum.Enum):
    """Nothing to do until more octets come."""

    NEED_MORE = "need more"


NEED_MORE = NeedMore.NEED_MORE


@dataclass(frozen=True, slots=True)
class TlsAsked:
    """Send what is pending, do the handshake, then `tls_started`. Octets that are already here end the
    session."""


@dataclass(frozen=True, slots=True)
class LoginBegun:
    """AUTHENTICATE: answer with `challenge`, `log_in` or `refuse_login`. `initial` None: the client sent no
    initial response."""

    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginAnswered:
    """The answer to the last challenge: answer as `LoginBegun`."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginDropped:
    """The exchange ended without a result, and the client knows. Throw the mechanism away, then `resume`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRequest:
    """A command of somebody who has logged in: answer with `ok` or `no`. `name` and `new_name`: of scripts,
    "" where there is none; `octets`: a script's; `size`: what HAVESPACE asks for."""

    command: str
    name: str = ""
    new_name: str = ""
    octets: bytes = b""
    size: int = 0


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """UNAUTHENTICATE: forget who it was, then `ok`."""


@dataclass(frozen=True, slots=True)
class SessionOver:
    """Send what is pending and close. `is_orderly`: the client said LOGOUT."""

    reason: str
    is_orderly: bool = False


ManageSieveEvent = (
    NeedMore | TlsAsked | LoginBegun | LoginAnswered | LoginDropped | ScriptRequest | LoggedOut | SessionOver
)
