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
        600, description="Window in which all of these are counted."
    )
    connections: Count = Field(
        10_000, description="Most connections from one network within the window; 0: no limit."
    )
    messages: Count = Field(
        10_000, description="Most messages from one network within the window; 0: no limit."
    )
    recipients: Count = Field(
        20_000, description="Most recipients from one network within the window; 0: no limit."
    )
    errors: Count = Field(
        300,
        description="Most malformed or misplaced commands from one network within the window; 0: no limit.",
    )
    refused: Count = Field(
        200,
        description="Most recipients from one network within the window that "
        "do not exist or are not served here; 0: no limit.",
    )
    known_factor: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="Factor by which these limits are raised for senders with a good reputation."
    )

    def limits(self) -> RateLimits:
        return RateLimits(
            window_seconds=self.window_seconds,
            known_factor=self.known_factor,
            **{name: getattr(self, name) for name in MEASURES},
        )
