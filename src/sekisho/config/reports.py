"""[reports]: what others report about our domains, and what we report to them."""

from typing import Annotated

from pydantic import Field

from sekisho.config.section import SettingsSection


class ReportSettings(SettingsSection):
    addresses: tuple[str, ...] = Field(
        (),
        description="Addresses here to which reports come (rua= of DMARC and TLSRPT, feedback loops); none: "
        "postmaster of each domain.",
    )
    send_dmarc: bool = Field(
        False,
        description="Send domain owners who ask for it a report each day about mail in their name that came "
        "here (RFC 9990).",
    )
    send_tls: bool = Field(
        False,
        description="Send domains that ask for it a report each day about the TLS that mail to them met "
        "(RFC 8460), by mail.",
    )
    sender: str = Field(
        "",
        description="Address that reports are sent from; its domain needs a DKIM key. Empty: postmaster of "
        "the domain of roles.postmaster.",
    )
    organization: str = Field("", description="Whose reports they are; empty: hostname.")
    most_octets: Annotated[int, Field(ge=10_000, le=50_000_000)] = Field(
        5_000_000,
        description="Largest report that is sent, packed; what is rare is left out of a larger one.",
    )
    complaints_per_day: Annotated[int, Field(ge=0)] = Field(
        5,
        description="From so many complaints a day about the mail of one account the postmaster is told; 0: "
        "never.",
    )
    keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        180, description="How long reports that came are kept."
    )
    entries: Annotated[int, Field(ge=100)] = Field(
        20_000, description="Most reports of each kind that are kept."
    )
