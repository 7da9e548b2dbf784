"""[[login.issuers]]: OpenID Connect providers whose tokens open accounts here."""

from typing import Annotated, Literal

from pydantic import Field

from sekisho.config.section import LocalPath, SettingsSection

Algorithm = Literal["RS256", "ES256", "EdDSA"]


class IssuerSettings(SettingsSection):
    issuer: str = Field(description='URL of the provider, exactly as in its tokens ("iss").')
    audience: Annotated[str, Field(min_length=1)] = Field(
        description='Audience of the tokens ("aud"): the name by which the provider knows this server.'
    )
    jwks_url: str | None = Field(
        None, description="URL of the provider's public keys; absent: the one in its discovery document."
    )
    username_claim: Annotated[str, Field(min_length=1)] = Field(
        "email", description="Claim of the token that holds the address of the account."
    )
    domains: tuple[str, ...] = Field(
        (), description="Domains whose accounts may log in with these tokens; empty: all domains."
    )
    scope: str = Field("", description="Scope that a token must have; empty: none is needed.")
    algorithms: tuple[Algorithm, ...] = Field(
        ("RS256", "ES256", "EdDSA"), description="Signature algorithms that are accepted."
    )
    clock_skew_seconds: Annotated[int, Field(ge=0, le=600)] = Field(
        60, description="How far the provider's clock may differ from this server's."
    )
    ca_file: LocalPath | None = Field(
        None,
        description="PEM file of the authority behind the provider's HTTPS certificate; absent: those of "
        "the system.",
    )
