"""Tokens (RFC 7519, signed as RFC 7515 says) of the issuers that the settings name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jwt

from sekisho.adapters.oidc.keys import Get, IssuerKeys, discovery_url, https_getter
from sekisho.config.issuers import IssuerSettings
from sekisho.ports.clock import Clock
from sekisho.ports.tokens import TokenFacts, TokenHints, TokenRefused

# The times are held against the server's own clock, which PyJWT does not know.
_CHECKS = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "iss", "aud"]}


class OidcVerifier:
    """Implements `ports.tokens.TokenVerifier`. One of no issuers to begin with; `renewed` follows the
    settings."""

    def __init__(self, clock: Clock, getter: Callable[[Path | None], Get] = https_getter) -> None:
        self._clock, self._getter = clock, getter
        self._issuers: dict[str, tuple[IssuerSettings, IssuerKeys]] = {}

    def renewed(self, issuers: Sequence[IssuerSettings]) -> "OidcVerifier":
        """One for these issuers, of whom those that stayed the same keep their keys. Raises OSError for a CA
        file that cannot be read."""
        old = self._issuers
        new = OidcVerifier(self._clock, self._getter)
        new._issuers = {
            settings.issuer: old[settings.issuer]
            if old.get(settings.issuer, (None,))[0] == settings
            else (settings, IssuerKeys(settings, self._clock, self._getter(settings.ca_file)))
            for settings in issuers
        }
        return new

    @property
    def hints(self) -> TokenHints | None:
        for settings, _ in self._issuers.values():
            return TokenHints(settings.scope, discovery_url(settings.issuer))
        return None

    async def verify(self, token: str) -> TokenFacts:
        """See the port."""
        header, unverified = _peek(token)
        issuer = unverified.get("iss")
        settings, keys = self._issuers.get(issuer, (None, None)) if isinstance(issuer, str) else (None, None)
        if settings is None or keys is None:
            raise TokenRefused("token of an unknown issuer")
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in settings.algorithms:  # never "none", never a shared secret
            raise TokenRefused("token with a signature that is not taken")
        key = await keys.key(kid if isinstance(kid, str) else None, algorithm)
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=settings.audience,
                issuer=settings.issuer,
                options=_CHECKS,  # type: ignore[arg-type]  # a TypedDict, of which these are some
            )
        except (jwt.InvalidAudienceError, jwt.MissingRequiredClaimError) as error:
            raise TokenRefused("token for another audience") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise TokenRefused("token signed wrongly") from error
        return self._facts(settings, claims)

    def _facts(self, settings: IssuerSettings, claims: dict[str, Any]) -> TokenFacts:
        now, skew = self._clock.now_us() / 1_000_000, settings.clock_skew_seconds
        expires, not_before = claims["exp"], claims.get("nbf", 0)
        if not _is_time(expires) or not _is_time(not_before):
            raise TokenRefused("token without an end")
        if expires + skew <= now:  # RFC 7519 §4.1.4
            raise TokenRefused("token expired")
        if not_before - skew > now:  # RFC 7519 §4.1.5
            raise TokenRefused("token not valid yet", may_pass=True)
        scopes = claims.get("scope", claims.get("scp", ""))
        given = scopes.split() if isinstance(scopes, str) else scopes if isinstance(scopes, list) else ()
        if settings.scope and settings.scope not in given:
            raise TokenRefused("token without the scope")
        username = claims.get(settings.username_claim)
        # Somebody may have told the issuer the address of another, which the issuer never checked. Some
        # issuers write "false".
        is_verified = settings.username_claim != "email" or claims.get("email_verified", True) in (
            True,
            "true",
        )
        if not isinstance(username, str) or not username or not is_verified:
            raise TokenRefused("token without a name")
        if settings.domains and username.rpartition("@")[2].lower() not in {
            domain.lower() for domain in settings.domains
        }:
            raise TokenRefused("token for another domain")
        return TokenFacts(
            username, settings.issuer.removeprefix("https://"), int((expires + skew) * 1_000_000)
        )


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(header, claims), of which nothing is true yet; raises TokenRefused."""
    try:
        return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise TokenRefused("token malformed") from error


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40
