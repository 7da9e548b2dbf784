"""One authentication service for SMTP, IMAP, POP3 (mission row 3)."""

import enum
from dataclasses import dataclass
from typing import Literal, Protocol

from sekisho.core.terms.identity import Identity
from sekisho.ports.stream import IpAddress

ServiceName = Literal["submission", "imap", "pop3"]


class LoginFailure(enum.Enum):
    """What a service may tell apart. Unknown account, wrong password and disabled login are all REFUSED."""

    REFUSED = "refused"  # 535 5.7.8 / NO [AUTHENTICATIONFAILED]
    LIMITED = "limited"  # too many guesses from there: same answer and same time as REFUSED
    UNAVAILABLE = "unavailable"  # 454 4.7.0 / NO [UNAVAILABLE]


@dataclass(frozen=True, slots=True)
class PasswordProof:
    """PLAIN or LOGIN or USER/PASS. `authzid` empty, or equal to the login name (THREATS 14)."""

    username: str
    password: str
    authzid: str = ""


class Authenticator(Protocol):
    async def verify(self, service: ServiceName, proof: PasswordProof, client: IpAddress) -> Identity | LoginFailure:
        """Never raises for bad credentials. A failure returns at a fixed deadline, whatever its cause (DESIGN §4 Time to refuse)."""
        ...

    async def still_valid(self, identity: Identity) -> bool:
        """May a session that this identity opened go on (THREATS 15)? Account and credential are still there and neither disabled nor at
        their end, the password is the one that was shown. Raises StoreUnavailable."""
        ...
