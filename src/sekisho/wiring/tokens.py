"""Tokens instead of passwords, where the settings name an issuer. Without one nothing of it is loaded."""

from typing import TYPE_CHECKING

from sekisho.config.schema import Config
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Journal
from sekisho.ports.tokens import TokenFacts, TokenHints, TokenRefused

if TYPE_CHECKING:
    from sekisho.adapters.oidc.verifier import OidcVerifier


class TokenLink:
    """Implements `ports.tokens.TokenVerifier`; `use` follows the settings."""

    def __init__(self, clock: Clock, journal: Journal) -> None:
        self._clock, self._journal = clock, journal
        self._verifier: OidcVerifier | None = None

    def use(self, config: Config) -> None:
        """A CA file that cannot be read any more leaves the old issuers in use."""
        issuers = config.login.issuers
        if self._verifier is None:
            if not issuers:
                return
            from sekisho.adapters.oidc.verifier import OidcVerifier

            self._verifier = OidcVerifier(self._clock)
        try:
            self._verifier.use(issuers)
        except OSError as error:
            self._journal.fault("login.issuers", error)

    @property
    def hints(self) -> TokenHints | None:
        return self._verifier.hints if self._verifier else None

    async def verify(self, token: str) -> TokenFacts:
        if self._verifier is None:
            raise TokenRefused("token of an unknown issuer")
        return await self._verifier.verify(token)
