"""[door.rates]: how much one network may ask of port 25."""

from typing import Annotated

from pydantic import Field

from sekisho.config.ruled import of_rule
from sekisho.config.section import SettingsSection
from sekisho.core.policy.door.connection import CONNECTION_RATE
from sekisho.core.policy.mode import Mode
from sekisho.core.policy.rates import MEASURES, RateLimits

Count = Annotated[int, Field(ge=0)]


class RateSettings(SettingsSection):
    mode: Mode = of_rule(CONNECTION_RATE)  # and the other rates
    window_seconds: Annotated[int, Field(ge=10, le=86_400)] = Field(
        600, description="The window of all these."
    )
    connections: Count = Field(
        10_000, description="Connections of one network within the window; 0: any number."
    )
    messages: Count = Field(10_000, description="Messages.")
    recipients: Count = Field(20_000, description="Recipients.")
    errors: Count = Field(300, description="Malformed commands, and those out of place.")
    refused: Count = Field(200, description="Recipients that do not exist, or are not served here.")
    known_factor: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="Whom this server has good experience with may do so many times as much."
    )

    def limits(self) -> RateLimits:
        return RateLimits(
            window_seconds=self.window_seconds,
            known_factor=self.known_factor,
            **{name: getattr(self, name) for name in MEASURES},
        )
