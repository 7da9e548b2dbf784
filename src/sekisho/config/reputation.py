"""[reputation]: what this server's own experience with senders counts for."""

from typing import Annotated, Literal

from pydantic import Field

from sekisho.config.section import Section


class ReputationSettings(Section):
    enabled: bool = Field(True, description="Learn from verdicts, from what your people write and from what they move to and from Junk.")
    half_life_days: Annotated[float, Field(ge=1, le=365)] = Field(30.0, description="After so long an experience counts half.")
    bad_history: Literal["junk", "defer", "observe", "off"] = Field(
        "junk",
        description="Mail from where only bad came before: put it into Junk, have it sent again later, only write it down, or nothing.",
    )
    trust_days: Annotated[float, Field(ge=1, le=3650)] = Field(
        180.0, description="How long somebody that your people wrote to is known without writing back."
    )
    entries: Annotated[int, Field(ge=1000)] = Field(200_000, description="Senders that are remembered, about 200 octets each.")
