"""Tokens of an OpenID Connect issuer, shown instead of a password."""

from dataclasses import dataclass
from typing import Protocol


class TokenRefused(Exception):
    """The token opens nothing; the text is for the journal. `may_pass`: the same token may be good soon."""

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass


class IssuerUnavailable(Exception):
    """Whether it opens anything cannot be known now; the text is for the journal."""


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """`username`: as the issuer calls the person. `issuer`: its URL without "https://"."""

    username: str
    issuer: str
    expires_at_us: int


@dataclass(frozen=True, slots=True)
class TokenHints:
    """What a client without a good token is told: the scope that it needs and where the issuer describes
    itself."""

    scope: str
    discovery: str


class TokenVerifier(Protocol):
    @property
    def hints(self) -> TokenHints | None:
        """None: there is no issuer, so no token is taken."""
        ...

    async def verify(self, token: str) -> TokenFacts:
        """Raises TokenRefused, IssuerUnavailable. May ask the issuer for its keys."""
        ...
