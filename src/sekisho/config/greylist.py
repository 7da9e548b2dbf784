"""[greylist]: strangers that nothing speaks for are asked to come again."""

from typing import Annotated

from pydantic import Field

from sekisho.config.ruled import of_rule
from sekisho.config.section import SettingsSection
from sekisho.core.policy.door.stranger import GREYLIST
from sekisho.core.policy.greylist import DAY_US, HOUR_US, SECOND_US, GreylistRules
from sekisho.core.policy.mode import Mode


class GreylistSettings(SettingsSection):
    mode: Mode = of_rule(GREYLIST)
    after_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        60.0, description="How long after the first try a retry is accepted at the earliest."
    )
    until_hours: Annotated[float, Field(ge=1, le=240)] = Field(
        24.0,
        description="How long after the first try a retry is still accepted; a later one counts as a "
        "first try again.",
    )
    remember_days: Annotated[float, Field(ge=1, le=3650)] = Field(
        36.0, description="How many days a sender stays known after its last message."
    )
    tarpit_seconds: Annotated[float, Field(ge=0, le=300)] = Field(
        0.0,
        description="How long a client is kept waiting for its reply; a client that waits is "
        "accepted without a retry (taRgrey uses 65). 0: it is answered at once.",
    )
    tarpit_connections: Annotated[int, Field(ge=1, le=10_000)] = Field(
        100,
        description="Most clients that wait at the same time, per worker; all others are answered at once.",
    )
    entries: Annotated[int, Field(ge=1000)] = Field(
        200_000, description="Most senders that are remembered, at about 100 octets each."
    )

    def rules(self) -> GreylistRules:
        return GreylistRules(
            after_us=int(self.after_seconds * SECOND_US),
            until_us=int(self.until_hours * HOUR_US),
            remember_us=int(self.remember_days * DAY_US),
            tarpit_us=int(self.tarpit_seconds * SECOND_US),
        )
