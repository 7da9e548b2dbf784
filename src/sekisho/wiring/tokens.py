"""Tokens instead of passwords, where the settings name an issuer. Without one nothing of it is loaded."""

from typing import TYPE_CHECKING

from sekisho.config.schema import Config
from sekisho.ports.clock import Clock

if TYPE_CHECKING:
    from sekisho.adapters.oidc.verifier import OidcVerifier


def token_verifier(config: Config, clock: Clock, before: "OidcVerifier | None") -> "OidcVerifier | None":
    """One that knows the issuers' keys that `before` knows. Raises OSError when an issuer's CA file cannot be
    read any more."""
    issuers = config.login.issuers
    if before is None:
        if not issuers:
            return None
        from sekisho.adapters.oidc.verifier import OidcVerifier

        before = OidcVerifier(clock)
    return before.renewed(issuers)
