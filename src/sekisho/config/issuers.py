"""[[login.issuers]]: OpenID Connect providers whose tokens open accounts here."""

from typing import Annotated, Literal

from pydantic import Field

from sekisho.config.section import LocalPath, Section

Algorithm = Literal["RS256", "ES256", "EdDSA"]


class IssuerSettings(Section):
    issuer: str = Field(description='URL of the provider, exactly as its tokens name it ("iss").')
    audience: Annotated[str, Field(min_length=1)] = Field(
        description='Whom its tokens must be for ("aud"): the name that the provider knows this server by.'
    )
    jwks_url: str | None = Field(None, description="Where its public keys are; absent: where its discovery document says.")
    username_claim: Annotated[str, Field(min_length=1)] = Field("email", description="What in a token names the account, as its address.")
    domains: tuple[str, ...] = Field((), description="Only accounts of these domains; empty: of all.")
    scope: str = Field("", description="A scope that a token must have; empty: none.")
    algorithms: tuple[Algorithm, ...] = Field(("RS256", "ES256", "EdDSA"), description="Signatures that are taken.")
    clock_skew_seconds: Annotated[int, Field(ge=0, le=600)] = Field(60, description="By so much its clock may differ from ours.")
    ca_file: LocalPath | None = Field(None, description="PEM file of the CA of its HTTPS; absent: those of the system.")
