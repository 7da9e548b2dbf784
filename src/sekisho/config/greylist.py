"""[greylist]: strangers that nothing speaks for are asked to come again."""

from typing import Annotated

from pydantic import Field

from sekisho.config.section import Section
from sekisho.core.policy.greylist import DAY_US, HOUR_US, SECOND_US, GreylistRules
from sekisho.core.policy.mode import Mode


class GreylistSettings(Section):
    mode: Mode = Field(
        "enforce",
        description="Ask strangers to come again for whom no paper and no experience speaks; observe: only write it down; off: do nothing.",
    )
    after_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(60.0, description="A retry counts from then on.")
    until_hours: Annotated[float, Field(ge=1, le=240)] = Field(24.0, description="Until then; later ones are first tries again.")
    remember_days: Annotated[float, Field(ge=1, le=3650)] = Field(36.0, description="How long a sender is known after its last message.")
    tarpit_seconds: Annotated[float, Field(ge=0, le=300)] = Field(
        0.0, description="A client that waits so long for its reply need not come back (taRgrey: 65); 0: it is told at once."
    )
    tarpit_connections: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100, description="So many clients wait at the same time, per worker; all others are told at once."
    )
    entries: Annotated[int, Field(ge=1000)] = Field(200_000, description="Senders that are remembered, about 100 octets each.")

    def rules(self) -> GreylistRules:
        return GreylistRules(
            after_us=int(self.after_seconds * SECOND_US),
            until_us=int(self.until_hours * HOUR_US),
            remember_us=int(self.remember_days * DAY_US),
            tarpit_us=int(self.tarpit_seconds * SECOND_US),
        )
